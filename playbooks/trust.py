"""The trust boundary: text of models, tools and papers is data, and a lesson is read for what it must not be.

Structure can't be forged, because bullets are rows and not lines of a file; what a lesson *says* is linted here. A lint
is no proof: lessons from untrusted runs go through quarantine and the gate whatever it finds.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from agentkit.playbooks.bullets import MAX_CONTENT

Kind = Literal["secret", "instruction", "structure", "length"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Why a text may not become a bullet as it is."""

    kind: Kind
    detail: str


_SECRETS = {
    "an API key": r"\b(?:sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[abprs]|hf|AIza|npm)[-_][A-Za-z0-9_-]{12,}",
    "an AWS key": r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}",
    "a private key": r"-----BEGIN [A-Z ]*(?:PRIVATE|SECRET)",
    "a token": r"\b(?:bearer|basic)\s+[A-Za-z0-9+/_.=-]{16,}|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "a password": r"\b(?:password|passwd|pwd|passphrase|secret|api[_ -]?key|token|pin)\b\s*(?:is|=|:|->)\s*"
    r"[\"'`]?(?=[^\s\"'`]*[\d!@#$%^&*])[^\s\"'`]{4,}",
    "a password in a URL": r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@",
    "a card number": r"\b(?:\d[ -]?){15,16}\b",
}

_INSTRUCTIONS = {
    "overrides instructions": r"\b(?:ignore|disregard|forget|override|bypass)\b[^.]{0,40}"
    r"\b(?:previous|prior|above|earlier|all|any|other|system|safety|your)\b[^.]{0,30}"
    r"\b(?:instructions?|rules?|prompts?|polic(?:y|ies)|guidelines?|bullets?|lessons?|playbook|restrictions?|checks?)",
    "asks for secrets": r"\b(?:store|save|keep|record|remember|memori[sz]e|include|copy|reveal|print|show|output|write|"
    r"put|append|collect|log|leak|send|add|dump|note)\b[^.]{0,60}\b(?:passwords?|passwd|credentials?|secrets?|"
    r"api[_ -]?keys?|private keys?|(?:access|auth|session|bearer) tokens?|system prompts?|cookies|ssh keys?|"
    r"environment variables|card numbers?)\b",
    "sends data out": r"\b(?:send|post|upload|forward|exfiltrate|transmit|e-?mail|report|leak|submit|ping|beacon)\b"
    r"[^.]{0,80}(?:https?://|\bwww\.|[\w.-]+@[\w-]+\.\w+|\b[\w-]+\.(?:com|net|io|ru|xyz|example|org)\b)",
    "poses as another role": r"(?:^|[\s>\]|])(?:system|assistant|developer|admin(?:istrator)?)\s*(?:message|prompt|"
    r"note|override)?\s*:|<\|?(?:im_start|im_end|system|assistant|endoftext|eot_id)|\[/?INST\]|\byou are now\b|"
    r"\bfrom now on,? (?:you|always|never|ignore)\b|\bnew (?:system )?(?:instructions?|persona|role)\b",
    "runs commands": r"\b(?:curl|wget|nc|bash|sh|powershell)\s+(?:-\w+\s+)*(?:https?://|\S+\.(?:sh|ps1|com|io))|"
    r"\brm\s+-rf?\b|\|\s*(?:ba)?sh\b|\beval\(|\bos\.system\(|base64\s+-d",
    "hides from people": r"\b(?:do not|don't|never|without)\b[^.]{0,30}\b(?:tell|inform|mention|alert|notify|telling|"
    r"informing|mentioning|alerting|notifying)\b[^.]{0,30}\b(?:users?|anyone|humans?|operators?|people|person|admins?)",
    "switches checks off": r"\b(?:disable|turn off|skip|switch off|deactivate|circumvent)\b[^.]{0,40}\b(?:gate|"
    r"evaluator|reviewer|sandbox|safety|security|guardrails?|verification of the (?:user|signature)|approval|lint)",
    "edits the playbook": r"\b(?:retire|delete|remove|erase|drop|replace|rewrite)\b[^.]{0,30}\b(?:all|every|each|other|"
    r"the (?:whole|entire))\b[^.]{0,30}\b(?:bullets?|lessons?|playbook|memor(?:y|ies)|sections?|entries)\b",
}

_STRUCTURE = {
    "a heading": r"(?:^|\n)\s{0,3}#{1,6}\s+\S|(?:^|\s)#{2,6}\s+\S",
    "a bullet's id": r"\[\s*[a-z]{2,8}-\d{3,6}\s*\]|\[\s*[a-z2-7w-z]{8}\s*\]\s*(?:\(|::|helpful)",
    "counters": r"\b(?:helpful|harmful|neutral)\s*[=:]\s*\d+",
    "a block of the prompt": r"</?(?:playbook|cases|task|system|evidence|lessons?|trajectory|feedback|bullets?)\b",
    "an operation": r"[{\"']\s*\"?(?:op|operations|type)\"?\s*:\s*\[?\s*[\"{](?:add|update|merge|split|"
    r"retire|vote|delete)",
}


def lint(text: str) -> list[Finding]:
    """What speaks against a text as a lesson; an empty list where nothing does."""
    found = [Finding(kind="secret", detail=name) for name in _matches(_SECRETS, text)]
    if not found and _looks_random(text):
        found.append(Finding(kind="secret", detail="a long random string"))
    found += [Finding(kind="instruction", detail=name) for name in _matches(_INSTRUCTIONS, text)]
    found += [Finding(kind="structure", detail=name) for name in _matches(_STRUCTURE, text)]
    if len(text) > MAX_CONTENT:
        found.append(Finding(kind="length", detail=f"{len(text)} characters"))
    return found


def _matches(patterns: dict[str, str], text: str) -> list[str]:
    plain = _BREAKS.sub("\n", _HIDDEN.sub("", text))
    return [name for name, pattern in patterns.items() if re.search(pattern, plain, re.IGNORECASE)]


_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_HIDDEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def _looks_random(text: str) -> bool:
    """A word of 24 and more letters and digits, mixed, with the entropy of a key."""
    words = re.findall(r"[A-Za-z0-9+/_=-]{24,}", text)
    return any(_entropy(w) > 4.0 and re.search(r"\d", w) and re.search(r"[A-Z]", w) for w in words)


def _entropy(word: str) -> float:
    counts, n = Counter(word).values(), len(word)
    return -sum(c / n * math.log2(c / n) for c in counts)


_BRACKETED_ID = re.compile(r"\[(?=\s*[\w-]{2,24}\s*\])")
_TAG = re.compile(r"<(?=[/|]?[A-Za-z_])")


def escape_content(text: str) -> str:
    """Content as it stands in a prompt: it can't end its line, look like an id, or open or close a block."""
    line = " ".join(text.split())
    line = _TAG.sub("<\u200b", _BRACKETED_ID.sub("[\u200b", line))
    return re.sub(r"^(?=[#\-*>])", "\u200b", line)
