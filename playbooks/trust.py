"""The trust boundary: texts from models, tools and papers are data, and lessons are checked for what they must not
contain.

Structure can't be forged, because bullets are rows and not lines of a file; what a lesson *says* is linted here.
Linting proves nothing: lessons from untrusted runs go through quarantine and the gate whatever it finds.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from agentkit.ledger import Verdict
from agentkit.playbooks.bullets import MAX_CONTENT, plain
from agentkit.redaction import secrets_in
from agentkit.text import defuse

Kind = Literal["secret", "instruction", "structure", "length"]


@dataclass(frozen=True, kw_only=True)
class LintFinding:
    """Why a text may not become a bullet as it is."""

    kind: Kind
    detail: str


_SECRETS = {"a card number": r"\b(?:\d[ -]?){15,16}\b"}
"""In addition to the shapes in `agentkit.redaction`: no lesson needs such a long number, though a task may."""

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


def lint(text: str) -> list[LintFinding]:
    """What speaks against a text as a lesson; an empty list if nothing does.

    Two forms are checked: the one in which `clean` stores it, without invisible characters, and what its letters look
    like (Unicode's NFKC: full-width, mathematical and circled letters are read as plain ones).
    """
    stored = plain(text)
    found = [
        finding
        for form in dict.fromkeys([stored, plain(unicodedata.normalize("NFKC", stored))])
        for finding in _lint(form)
    ]
    return list(dict.fromkeys(found))


def _lint(text: str) -> Iterator[LintFinding]:
    secrets = [*secrets_in(text), *_matches(_SECRETS, text)]
    if not secrets and _looks_random(text):
        secrets = ["a long random string"]
    yield from (LintFinding(kind="secret", detail=name) for name in secrets)
    yield from (LintFinding(kind="instruction", detail=name) for name in _matches(_INSTRUCTIONS, text))
    yield from (LintFinding(kind="structure", detail=name) for name in _matches(_STRUCTURE, text))
    if len(text) > MAX_CONTENT:
        yield LintFinding(kind="length", detail=f"{len(text)} characters")


def ask_a_person(findings: Sequence[str]) -> Verdict:
    """The verdict on a text in which the lint found something. No gate may decide about it, since a lesson can be
    hostile and still help."""
    found = list(dict.fromkeys(findings))
    return Verdict(decision="ask", reason="; ".join(found)[:500], evidence={"lint": found})


def secret_findings(*texts: str) -> list[str]:
    """The kinds of secret that the texts contain; such texts are never stored."""
    return list(dict.fromkeys(f.detail for text in texts for f in lint(text) if f.kind == "secret"))


def _matches(patterns: dict[str, str], text: str) -> list[str]:
    return [name for name, pattern in patterns.items() if re.search(pattern, text, re.IGNORECASE)]


def _looks_random(text: str) -> bool:
    """Whether the text has a word of 24 or more mixed letters and digits with the entropy of a key."""
    words = re.findall(r"[A-Za-z0-9+/_=-]{24,}", text)
    return any(_entropy(w) > 4.0 and re.search(r"\d", w) and re.search(r"[A-Z]", w) for w in words)


def _entropy(word: str) -> float:
    counts, n = Counter(word).values(), len(word)
    return -sum(c / n * math.log2(c / n) for c in counts)


_BRACKETED_ID = re.compile(r"\[(?=\s*[\w-]{2,24}\s*\])")


def escape_content(text: str) -> str:
    """Content in the form it has in a prompt: it can't end its line, look like an id, or open or close a block."""
    line = " ".join(text.split())
    line = _BRACKETED_ID.sub("[\u200b", defuse(line))
    return re.sub(r"^(?=[#\-*>])", "\u200b", line)
