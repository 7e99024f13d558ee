"""Signals from a finished run that indicate how likely its answer is right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from typing import Any

from agentkit.confidence.likeness import OptionFit
from agentkit.models.logprobs import Logprobs
from agentkit.statistics.odds import log_odds


@dataclass(frozen=True, kw_only=True)
class Features:
    """The signals of one answer. Each is oriented so that a larger value should mean a more likely right answer.

    Attributes:
        total: the log-probability of all the answer's tokens, in nats.
        lowest: the log-probability of its least likely token.
        entropy: the negative mean entropy of its tokens, in nats.
        free: the negative share of its tokens that the grammar forced.
        margin: for a closed answer, the log-odds of the chosen option against all others; 0 for open answers.
        judge: the evaluator's score minus one half; 0 if it was not asked.
        agreement: the share of other samples that gave the same answer, minus one half; 0 if there was only one sample.
        likeness: for a closed answer, how much the input resembles the option that it resembles most.
        lead: for a closed answer, how much more the input resembles the chosen option than any other.
    """

    total: float
    lowest: float
    entropy: float
    free: float
    margin: float = 0.0
    judge: float = 0.0
    agreement: float = 0.0
    likeness: float | None = None
    lead: float | None = None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(item.name for item in fields(cls))

    def vector(self) -> tuple[float, ...]:
        """The signals in the order of `names`; NaN for those that are not known."""
        return tuple(math.nan if value is None else value for value in astuple(self))


def features_of(
    logprobs: Logprobs | None,
    *,
    judge: float | None = None,
    agreement: float | None = None,
    fit: OptionFit | None = None,
) -> Features | None:
    """The features of an answer.

    Args:
        logprobs: the summary for the call that gave the answer.
        judge: the evaluator's score in [0, 1], if it was asked.
        agreement: the share of other samples with the same answer, if there were any.
        fit: how the input fits the options of a closed answer.

    Returns:
        None if the model returned no log-probabilities.
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
        likeness=None if fit is None else fit.likeness,
        lead=None if fit is None else fit.lead,
    )


def features_of_calls(
    calls: Iterable[Mapping[str, Any]],
    *,
    judge: float | None = None,
    samples: Mapping[str, Any] | None = None,
    weighed: Mapping[str, Any] | None = None,
    fit: OptionFit | None = None,
) -> Features | None:
    """The features of a stored run, from the explorer's last call that has log-probabilities.

    Args:
        calls: the run's model calls in order, as returned by `RunLog.steps`.
        samples: the record of the vote over its answers; the call is then the one that gave the winning answer.
        weighed: the record of how the answer was weighed; its log-probabilities are then those after that.
        fit: how the input fits the options of a closed answer.
    """
    won = None if samples is None else samples["scope"]
    told = [
        call["response"].get("logprobs")
        for call in calls
        if call["role"] == "explorer" and (won is None or call["scope"] == won)
    ]
    kept = [item for item in told if item]
    if weighed is not None:
        kept = [weighed["logprobs"]] if weighed["logprobs"] else []
    if not kept:
        return None
    return features_of(Logprobs.from_json(kept[-1]), judge=judge, agreement=agreement_of(samples), fit=fit)


def agreement_of(samples: Mapping[str, Any] | None) -> float | None:
    """The share of the other samples that agreed with the winning answer; None if there was only one sample."""
    if samples is None or samples["drawn"] < 2:
        return None
    return float((samples["agree"] - 1) / (samples["drawn"] - 1))


def _margin(choices: Mapping[str, float]) -> float:
    return log_odds(next(iter(choices.values())), least=1e-4) if choices else 0.0
