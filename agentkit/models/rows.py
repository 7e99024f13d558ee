"""One row of a batch with its grammar, sampling and stop texts, and the classes that connect rows to transformers'
`generate`."""

from __future__ import annotations

import queue
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(kw_only=True, eq=False)
class Request:
    """One call.

    Attributes:
        chat: the role and content of each turn.
        grammar: what the answer must follow, in llguidance's variant of Lark; None for free text.
        logprobs: how many of the most likely tokens to report at each position, with log-probabilities; 0 for none.
        adapter: the adapter file to answer with; empty for the bare model.
        scale: how much of the adapter is added.
        pieces: the answer's text as it grows, terminated by None.
        cancelled: set by a caller that no longer wants the answer.
    """

    chat: list[dict[str, str]]
    grammar: str | None
    temperature: float
    max_tokens: int
    seed: int
    stop: tuple[str, ...]
    logprobs: int = 0
    adapter: str = ""
    scale: float = 1.0
    cancelled: bool = False
    pieces: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    future: Future[Completion] = field(default_factory=Future)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What a model wrote; `finish` is "stop" or "length". Log-probabilities, if requested, are in OpenAI's format."""

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    logprobs: tuple[JsonObject, ...] = ()


class Row:
    """The decoding state of one request.

    Args:
        matcher: an llguidance matcher, or None for free text.
        limit: the longest answer, in tokens.
        ends: tokens that end an answer.
    """

    def __init__(
        self, request: Request, prompt: list[int], matcher: Any, limit: int, tokenizer: Any, ends: frozenset[int]
    ) -> None:
        self.request, self.prompt, self.matcher, self.limit = request, prompt, matcher, limit
        self._tokenizer, self._ends = tokenizer, ends
        self.tokens: list[int] = []
        self.text, self.finish = "", ""
        self._settled = self._sent = 0
        self.noise: Any = None
        self.logprobs: list[JsonObject] = []
        self._before: Any = None

    def watch(self, scores: Any) -> None:
        """Remember the model's own scores for the next token, before grammar and temperature, if log-probabilities are
        wanted."""
        if self.request.logprobs:
            self._before = scores.float().log_softmax(-1)

    def add(self, token: int) -> bool:
        """Append the next token; returns whether the row is finished."""
        if self.finish:
            return True
        self.tokens.append(token)
        if self._before is not None:
            self.logprobs.append(self._told(token))
        if token in self._ends:
            self.finish = "stop"
            return True
        if self.matcher is not None:
            self.matcher.consume_token(token)
        self._decode()
        if self._stopped() or self.request.cancelled or (self.matcher is not None and self.matcher.is_stopped()):
            self.finish = "stop"
        elif len(self.tokens) >= self.limit:
            self.finish = "length"
        self._send()
        return bool(self.finish)

    def _told(self, token: int) -> JsonObject:
        """A token's log-probability and those of its most likely alternatives, in OpenAI's format."""
        best = self._before.topk(min(self.request.logprobs, self._before.shape[-1]))
        rivals = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        told = self._piece(token, float(self._before[token]))
        return told | {"top_logprobs": [self._piece(other, value) for other, value in rivals]}

    def _piece(self, token: int, logprob: float) -> JsonObject:
        text = "" if token in self._ends else self._tokenizer.decode([token], skip_special_tokens=True)
        return {"token": text, "logprob": logprob}

    def finished_text(self) -> str:
        """The complete answer; whatever has not been streamed yet is sent."""
        self.finish = self.finish or "length"
        self._send()
        return self.text

    def _decode(self) -> None:
        """Append the new text. A token may end in the middle of a character; then the text waits for the rest of it."""
        start = max(0, self._settled - 4)
        before = self._tokenizer.decode(self.tokens[start : self._settled], skip_special_tokens=True)
        after = self._tokenizer.decode(self.tokens[start:], skip_special_tokens=True)
        if len(after) > len(before) and not after.endswith("\ufffd"):
            self.text += after[len(before) :]
            self._settled = len(self.tokens)

    def _stopped(self) -> bool:
        found = [place for stop in self.request.stop if (place := self.text.find(stop)) >= 0]
        if found:
            self.text = self.text[: min(found)]
        return bool(found)

    def _send(self) -> None:
        """Send the text that can no longer turn out to be the beginning of a stop text."""
        held = 0 if self.finish else max((len(stop) - 1 for stop in self.request.stop), default=0)
        end = max(self._sent, len(self.text) - held)
        if end > self._sent:
            self.request.pieces.put(self.text[self._sent : end])
            self._sent = end


def row_logits(rows: Sequence[Row]) -> Any:
    """A logits processor that applies each row's grammar as a mask, then its temperature and noise."""
    import numpy as np
    import torch
    from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask
    from transformers import LogitsProcessor

    class RowLogits(LogitsProcessor):  # type: ignore[misc]
        def __init__(self) -> None:
            self.bits: Any = None

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            for place, row in enumerate(rows):
                if row.finish:
                    continue
                row.watch(scores[place])
                if row.matcher is not None:
                    scores[place] = scores[place].masked_fill(~self._allowed(row, scores), float("-inf"))
                if row.request.temperature > 0:
                    scores[place] = scores[place].float() / row.request.temperature + _gumbel(row, scores)
            return scores

        def _allowed(self, row: Row, scores: Any) -> Any:
            size = scores.shape[1]
            if self.bits is None:
                self.bits = allocate_token_bitmask(1, 32 * ((size + 31) // 32))
            fill_next_token_bitmask(row.matcher, self.bits)
            allowed = np.unpackbits(self.bits.view(np.uint8), bitorder="little")[:size].astype(bool)
            return torch.from_numpy(allowed).to(scores.device)

    return RowLogits()


def _gumbel(row: Row, scores: Any) -> Any:
    import torch

    if row.noise is None:
        row.noise = torch.Generator(device=scores.device).manual_seed(row.request.seed)
    draw = torch.rand(scores.shape[1], generator=row.noise, device=scores.device, dtype=torch.float32)
    return -torch.log(-torch.log(draw.clamp(1e-20, 1 - 1e-7)))


def row_stops(rows: Sequence[Row]) -> Any:
    """A stopping criterion that passes each row its new token and reports which rows are finished."""
    import torch
    from transformers import StoppingCriteria

    class RowStops(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            last = input_ids[:, -1].tolist()
            done = [row.add(token) for row, token in zip(rows, last, strict=True)]
            return torch.tensor(done, device=input_ids.device)

    return RowStops()
