"""How sure a model was of what it wrote: the log-probabilities of its tokens, summed up for each field of its answer.

Models report the probabilities *before* sampling and without the grammar (llama.cpp, OpenAI). A token that the grammar
forced therefore shows how unlikely the model found it, which is a signal of its own (Park et al., "Grammar-Aligned
Decoding", arXiv 2405.21047).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

from langchain_core.messages import AIMessage

from agentkit.answer_type import AnswerType
from agentkit.text import answer_place

WHOLE = ""
"""The field name used for an answer that is plain text."""
ANSWER, THOUGHTS = "answer", "reasoning"
"""The fields of an answer that its thoughts lead to, as JSON or as text with a last line `Answer: …`."""
ALTERNATIVES = 20
"""Alternatives to request per token: the most that hosted models return."""
FEW_ALTERNATIVES = 5
"""Alternatives to request if the answer is free text, which has many tokens, each with its list of alternatives."""
KEPT_CHOICES = 8
"""How many choices are kept of a closed answer, the likeliest."""


@dataclass(frozen=True, kw_only=True)
class FieldLogprobs:
    """One field of an answer.

    Attributes:
        tokens: its length in tokens.
        total: the sum of their log-probabilities, in nats.
        lowest: the lowest of them.
        entropy: the mean entropy over the reported alternatives, in nats.
        forced: how many tokens were not the model's first choice. At temperature 0, it was the grammar that forced
            them.
    """

    tokens: int
    total: float
    lowest: float
    entropy: float
    forced: int


@dataclass(frozen=True, kw_only=True)
class Logprobs:
    """The part of a call's log-probabilities that is kept.

    Attributes:
        fields: by field name; `WHOLE` for plain text. A nested field has its path as name, such as `person.name`.
        choices: the probability of each choice of a closed answer, most likely first; empty for open answers.
    """

    fields: Mapping[str, FieldLogprobs]
    choices: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, rounded to four decimals."""
        rounded = {
            name: {key: round(value, 4) for key, value in asdict(item).items()} for name, item in self.fields.items()
        }
        return {"fields": rounded, "choices": {name: round(share, 4) for name, share in self.choices.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        fields = {name: FieldLogprobs(**item) for name, item in data["fields"].items()}
        return cls(fields=fields, choices=dict(data["choices"]))

    def answer(self) -> FieldLogprobs | None:
        """The part that decides whether the answer is right: the answer's own fields combined, without the reasoning
        before them."""
        own = [item for name, item in self.fields.items() if name.split(".")[0] == ANSWER]
        return _together(own or [item for name, item in self.fields.items() if name != THOUGHTS])


class _Token(NamedTuple):
    start: int
    end: int
    logprob: float
    alternatives: tuple[tuple[bytes, float], ...]


def told(message: AIMessage, schema: object = None) -> Logprobs | None:
    """The summary of a message's log-probabilities; None if its model returned none.

    Args:
        schema: the form of the answer, which gives the possible choices.
    """
    reported = message.response_metadata.get("logprobs")
    tokens = reported.get("content") if isinstance(reported, Mapping) else None
    if not tokens:
        return None
    form = schema if isinstance(schema, AnswerType) else None
    choices = (form.answer.choices if form.answer is not None else form.choices) if form is not None else None
    texts = [json.dumps(choice, ensure_ascii=False).strip('"') for choice in choices or ()]
    return summarize(None if message.tool_calls else message.text, tokens, texts)


def summarize(text: str | None, reported: Sequence[Mapping[str, Any]], choices: Sequence[str] = ()) -> Logprobs | None:
    """Summarise the log-probabilities of an answer.

    Args:
        text: what the model wrote, JSON or not; None for a tool call, since the message does not contain its text.
        reported: the tokens in the format of OpenAI's API: `token`, `logprob`, `top_logprobs`, and `bytes` where a
            token is not a whole character.
        choices: the possible values of a closed answer, as they appear in the text.

    Returns:
        None if the tokens don't match the text.
    """
    tokens, written = _tokens(reported)
    if not tokens or (text is not None and written.strip() != text.encode().strip()):
        return None
    spans = [
        (name.removeprefix("arguments."), start, end) for name, start, end in _spans(written.decode(errors="replace"))
    ]
    fields = {
        name: _field(own)
        for name, start, end in spans
        if (own := [token for token in tokens if token.start < end and token.end > start])
    }
    decisive = next((span for span in spans if span[0] == ANSWER), spans[-1])
    return Logprobs(fields=fields, choices=_shares(written, tokens, [choice.encode() for choice in choices], decisive))


def _tokens(reported: Sequence[Mapping[str, Any]]) -> tuple[list[_Token], bytes]:
    tokens, written = [], b""
    for item in reported:
        piece = _bytes(item)
        alternatives = tuple((_bytes(other), float(other["logprob"])) for other in item.get("top_logprobs") or ())
        tokens.append(_Token(len(written), len(written) + len(piece), float(item["logprob"]), alternatives))
        written += piece
    return tokens, written


def _bytes(item: Mapping[str, Any]) -> bytes:
    known = item.get("bytes")
    return bytes(known) if known else str(item.get("token") or "").encode()


def _field(tokens: Sequence[_Token]) -> FieldLogprobs:
    forced = sum(any(share > token.logprob + 1e-6 for _, share in token.alternatives) for token in tokens)
    return FieldLogprobs(
        tokens=len(tokens),
        total=sum(token.logprob for token in tokens),
        lowest=min(token.logprob for token in tokens),
        entropy=sum(_entropy(token) for token in tokens) / len(tokens),
        forced=forced,
    )


def _together(fields: Sequence[FieldLogprobs]) -> FieldLogprobs | None:
    """Combine several fields into one."""
    tokens = sum(item.tokens for item in fields)
    if not tokens:
        return None
    return FieldLogprobs(
        tokens=tokens,
        total=sum(item.total for item in fields),
        lowest=min(item.lowest for item in fields),
        entropy=sum(item.entropy * item.tokens for item in fields) / tokens,
        forced=sum(item.forced for item in fields),
    )


def _entropy(token: _Token) -> float:
    """Entropy over the reported alternatives; the remaining probability counts as one more."""
    shares = [math.exp(logprob) for _, logprob in token.alternatives]
    rest = 1 - sum(shares)
    return -sum(share * math.log(share) for share in [*shares, rest] if share > 1e-12)


_SPACE = re.compile(r"\s*")


def _spans(text: str) -> Iterator[tuple[str, int, int]]:
    """The byte ranges of the fields of a JSON object; a string's range includes its closing quote, which ends it.

    A text that is not a JSON object is a single field, including the token that ends it; or two fields, if reasoning
    precedes a last `Answer: …`.
    """
    try:
        found = list(_members(text, _SPACE.match(text).end(), ""))  # type: ignore[union-attr]
    except (ValueError, IndexError):
        found = []
    if not found:
        at = len(text[: answer_place(text)].encode())
        if at:
            yield THOUGHTS, 0, at
        yield ANSWER if at else WHOLE, at, len(text.encode()) + 1
    for name, start, end in found:
        yield name, len(text[:start].encode()), len(text[:end].encode())


def _members(text: str, at: int, path: str) -> Iterator[tuple[str, int, int]]:
    """The leaves of the object that begins at this position, each with its path."""
    decoder = json.JSONDecoder()
    if text[at] != "{":
        raise ValueError("no object")
    at += 1
    while text[at := _SPACE.match(text, at).end()] != "}":  # type: ignore[union-attr]
        name, at = decoder.raw_decode(text, at)
        at = _SPACE.match(text, text.index(":", at) + 1).end()  # type: ignore[union-attr]
        value, end = decoder.raw_decode(text, at)
        here = f"{path}.{name}" if path else str(name)
        if isinstance(value, dict) and value:
            yield from _members(text, at, here)
        else:
            yield here, at + (text[at] == '"'), end
        at = _SPACE.match(text, end).end()  # type: ignore[union-attr]
        at += text[at] == ","


def _shares(
    written: bytes, tokens: Sequence[_Token], choices: Sequence[bytes], span: tuple[str, int, int]
) -> dict[str, float]:
    """The probability of each choice, as far as the reported alternatives show it.

    A choice that departs from the chosen one at some token gets the probability of the alternatives that lead to it; if
    one alternative leads to several choices, they share it equally.
    """
    _, place, end = span
    value = written[place:end].strip().strip(b'"')
    chosen = next((choice for choice in choices if choice == value), None)
    if chosen is None:
        return {}
    shares = dict.fromkeys(choices, 0.0)
    before = 0.0
    for token in tokens:
        if token.end <= place or token.start >= place + len(chosen) + 1:
            continue
        prefix = written[place : max(place, token.start)]
        for piece, logprob in token.alternatives:
            way = prefix + piece[max(0, place - token.start) :]
            rivals = [c for c in choices if c != chosen and _leads(way, c, chosen)]
            for rival in rivals:
                shares[rival] += math.exp(before + logprob) / len(rivals)
        before += token.logprob
    shares[chosen] = math.exp(before)
    whole = sum(shares.values()) or 1.0
    ranked = sorted(shares.items(), key=lambda item: -item[1])[:KEPT_CHOICES]
    return {choice.decode(): share / whole for choice, share in ranked if share > 0}


def _leads(way: bytes, choice: bytes, chosen: bytes) -> bool:
    """Whether a prefix leads to `choice` and no longer to `chosen`."""
    return bool(way) and choice.startswith(way) and not chosen.startswith(way)
