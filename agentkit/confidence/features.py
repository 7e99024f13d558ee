"""What is read off a finished run to tell how likely its answer is right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

from agentkit.models.logprobs import Logprobs


@dataclass(frozen=True, kw_only=True)
class Features:
    """Signals of one answer; each is larger where the answer is likelier right, as far as one knows beforehand.

    Attributes:
        total: log-probability of the answer's tokens together, in nats.
        lowest: of its least likely token.
        entropy: minus the mean entropy of its tokens, in nats.
        free: minus the share of its tokens that the grammar forced.
        margin: log-odds of the chosen of several choices against all others; 0 for open answers.
        judge: the evaluator's score less one half; 0 where it was not asked.
        agreement: the share of other samples that gave the same answer, less one half; 0 where there was one sample.
    """

    total: float
    lowest: float
    entropy: float
    free: float
    margin: float = 0.0
    judge: float = 0.0
    agreement: float = 0.0

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(item.name for item in fields(cls))

    def vector(self) -> tuple[float, ...]:
        return astuple(self)


def features_of(
    logprobs: Logprobs | None, *, judge: float | None = None, agreement: float | None = None
) -> Features | None:
    """The features of an answer.

    Args:
        logprobs: of the call that gave the answer.
        judge: the evaluator's score in [0, 1], if it was asked.
        agreement: the share of other samples with the same answer, if there were any.

    Returns:
        None where the model reported no log-probabilities.
    """
    answer = logprobs.answer() if logprobs is not None else None
    if logprobs is None or answer is None:
        return None
    return Features(
        total=answer.total,
        lowest=answer.lowest,
        entropy=-answer.entropy,
        free=-answer.forced / answer.tokens,
        margin=_margin(logprobs.choices),
        judge=0.0 if judge is None else judge - 0.5,
        agreement=0.0 if agreement is None else agreement - 0.5,
    )


def features_of_calls(
    calls: Iterable[Mapping[str, Any]], *, judge: float | None = None, samples: Mapping[str, Any] | None = None
) -> Features | None:
    """The features of a stored run: of the explorer's last call that has log-probabilities.

    Args:
        calls: the run's model calls in order, as `RunLog.steps` gives them.
        samples: how its answers were voted on, as its record holds it: the call is then that of the answer that won.
    """
    won = None if samples is None else samples["scope"]
    told = [
        call["response"].get("logprobs")
        for call in calls
        if call["role"] == "explorer" and (won is None or call["scope"] == won)
    ]
    kept = [item for item in told if item]
    if not kept:
        return None
    return features_of(Logprobs.from_json(kept[-1]), judge=judge, agreement=agreement_of(samples))


def agreement_of(samples: Mapping[str, Any] | None) -> float | None:
    """The share of the other samples that gave the answer that won; None where there was one sample."""
    if samples is None or samples["drawn"] < 2:
        return None
    return float((samples["agree"] - 1) / (samples["drawn"] - 1))


def _margin(choices: Mapping[str, float]) -> float:
    if not choices:
        return 0.0
    share = min(max(next(iter(choices.values())), 1e-4), 1 - 1e-4)
    return math.log(share / (1 - share))
