"""One-word verdicts of a model on pairs: does the quote say of the two ends what the relation means?

The prompts for one relation begin alike, so a model that keeps a cache of prefixes reads only the sentence. A model
leans towards yes or no whatever it is asked: how much is measured with a sentence that says nothing about the ends, and
taken off its log-odds (contextual calibration, Zhao et al., arXiv 2102.09690 §4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from agentkit.answer_type import AnswerType
from agentkit.curation.extraction.pairs import CandidatePair
from agentkit.curation.kb.records import BY_PAIRS
from agentkit.curation.ontology.schema import Relation
from agentkit.models import Caller, Limits, Reply, Retry
from agentkit.models.budget import Meter
from agentkit.models.caller import model_name
from agentkit.models.journal import Journal
from agentkit.models.logprobs import ANSWER
from agentkit.statistics.odds import log_odds, probability_of
from agentkit.text import defuse

YES, NO = "yes", "no"
_SAID = 0.8
"""Probability of the answer that a model gave without its log-probabilities."""
_LEAST = 1e-4
ROLE = "judge"


class PairJudge:
    """Asks a model about the pairs of papers.

    Args:
        meter: the budget of all its calls.
    """

    def __init__(
        self, model: BaseChatModel, *, meter: Meter, retry: Retry | None = None, limits: Limits | None = None
    ) -> None:
        self.model, self.meter = model, meter
        self._retry, self._limits = retry, limits
        self._leanings: dict[str, float] = {}

    @property
    def name(self) -> str:
        return model_name(self.model)

    async def judge(self, found: Sequence[CandidatePair], relation: Relation, journal: Journal) -> list[CandidatePair]:
        """The pairs of a paper, those whose quote supports them with the model's probability as their confidence.

        Raises:
            BudgetExceeded: before a call.
            ModelError: the model failed; answers so far are in the journal.
        """
        asked = [item for item in found if not item.problem]
        if not asked:
            return list(found)
        caller = Caller(self.model, journal=journal, budget=self.meter, retry=self._retry, limits=self._limits)
        leaning = await self._leaning(relation, caller)
        replies = await asyncio.gather(
            *(one_word(_messages(relation, *_told(item)), (YES, NO), caller) for item in asked)
        )
        odds = iter([_log_odds(reply) - leaning for reply in replies])
        return [item if item.problem else self._judged(item, probability_of(next(odds))) for item in found]

    async def _leaning(self, relation: Relation, caller: Caller) -> float:
        """The model's log-odds of yes for a sentence that only mentions both ends; 0 if it has no log-probabilities."""
        if relation.element not in self._leanings:
            ends = f"the {relation.head}", f"the {relation.tail}"
            reply = await one_word(
                _messages(relation, f"Both {ends[0]} and {ends[1]} were mentioned.", *ends), (YES, NO), caller
            )
            graded = reply.logprobs is not None and bool(reply.logprobs.choices)
            self._leanings[relation.element] = _log_odds(reply) if graded else 0.0
        return self._leanings[relation.element]

    def _judged(self, item: CandidatePair, probability: float) -> CandidatePair:
        claim = replace(item.record.claim, model=f"{BY_PAIRS}/{self.name}", confidence=round(probability, 4))
        return replace(item, record=replace(item.record, claim=claim))


def _told(item: CandidatePair) -> tuple[str, str, str]:
    """The quote of a pair, and the ends as the paper names them."""
    claim, names = item.record.claim, item.record.names
    quote = claim.evidence[0].quote
    subject, object_ = (_named(names[end], quote) for end in (claim.subject, claim.object))
    return quote, subject, object_


def _named(names: Sequence[str], quote: str) -> str:
    return next((name for name in names if name.casefold() in quote.casefold()), names[0])


def _messages(relation: Relation, sentence: str, subject: str, object_: str) -> list[BaseMessage]:
    meaning = f": {defuse(relation.description)}." if relation.description else "."
    system = (
        "You check claims against a sentence from a paper. "
        f"Answer yes if the sentence reports it as a finding{meaning}\n"
        "Answer no if it does not, for example if it reports the opposite, or only mentions both."
    )
    claim = f"{defuse(subject)} {relation.name.replace('_', ' ')} {defuse(object_)}"
    asked = f"Sentence: {defuse(' '.join(sentence.split()))}\nDoes it report that {claim}?"
    return [SystemMessage(system), HumanMessage(asked)]


async def one_word(
    messages: Sequence[BaseMessage], words: tuple[str, ...], caller: Caller, *, scope: str = ROLE
) -> Reply:
    """The model's choice among these words, with its probability of each if it tells log-probabilities."""
    return await caller.call(messages, schema=form_of(words), role=ROLE, scope=scope, temperature=0.0, logprobs=True)


def form_of(words: tuple[str, ...]) -> AnswerType:
    """The form of a verdict: one of these words."""
    word = AnswerType.of_choices(words)
    return AnswerType(
        {"type": "object", "properties": {ANSWER: word.schema}, "required": [ANSWER], "additionalProperties": False},
        answer=word,
    )


def _log_odds(reply: Reply) -> float:
    """The log-odds of yes."""
    told = reply.logprobs.choices if reply.logprobs is not None else {}
    share = told.get(YES, 0.0) if told else (_SAID if reply.parsed[ANSWER] == YES else 1 - _SAID)
    return log_odds(share, least=_LEAST)
