"""One-word verdicts of a model on an effect: with this, did that rise, fall, or not differ?

Asked for a list of effects, a small model calls most of them a decrease. So each effect gets a question of its own,
with the few sentences that say most about it, and the model's probability of each direction is corrected twice. Its
leaning is its mean log-probability over examples of which each direction is right equally often. It is taken off, as
batch calibration does with a batch (Zhou et al., arXiv 2309.17249 §3); with examples, no verdict depends on another
paper. And the words of the sentences count, by the rules that check quotes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from numpy.typing import NDArray

from agentkit.curation.documents import Document
from agentkit.curation.extraction.passages import best_sentences
from agentkit.curation.extraction.verdicts import one_word
from agentkit.curation.language.direction import Direction, direction_named, directions
from agentkit.curation.language.spelling import folded
from agentkit.curation.ontology.schema import Qualifier, Relation
from agentkit.models.caller import Caller, Reply
from agentkit.text import defuse

DIRECTIONS = 1
"""The version of these verdicts, part of work keys."""
SENTENCES = 5
"""How many sentences the model reads."""
WORDS = 0.7
"""What a sentence whose words tell one direction adds to its log-probability, in nats."""
DIRECTION = "direction"
"""The qualifier that a verdict decides."""
_LEAST = 1e-3
_PLACES: Sequence[Direction] = ("increased", "no difference", "decreased")
EXAMPLES: Sequence[tuple[tuple[str, str], str, str, str]] = (
    (("Colds were as frequent with zinc as with placebo (2.1 vs 2.3, p = 0.41).", "Colds were counted by diary."),
     "zinc", "placebo", "colds"),
    (("Pain was similar in both groups at six weeks.", "Pain fell in the massage group and in the control group."),
     "massage", "no massage", "pain"),
    (("There was no significant effect of bright light on fatigue.", "Sleep improved in both groups."),
     "bright light", "dim light", "fatigue"),
    (("Walking distance was longer with training than without (412 m vs 365 m; p = 0.01).", "Two patients withdrew."),
     "training", "usual care", "walking distance"),
    (("Yield increased significantly under mulch compared with bare soil.", "Plots were watered weekly."),
     "mulch", "bare soil", "yield"),
    (("More people with a reminder than without attended (81% vs 64%, p < 0.001).", "Records were searched."),
     "reminder", "no reminder", "attendance"),
    (("Wounds were infected in 4% with the new dressing and in 11% with gauze (p = 0.02).", "Wounds were dressed."),
     "new dressing", "gauze", "wound infections"),
    (("Blood pressure was significantly lower after the diet than before it.", "Weight did not change."),
     "diet", "no diet", "blood pressure"),
    (("The filter halved dust compared with no filter (p < 0.01).", "Dust was weighed."),
     "filter", "no filter", "dust"),
)  # fmt: skip
"""Invented results: (sentences, subject, compared with, object). Three each show no difference, a rise and a fall."""

Odds = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class EffectQuestion:
    """An effect whose direction is asked for.

    Attributes:
        subject, object: the ends, as the paper or the question calls them.
        given: what else is known, such as the comparator.
        quotes: sentences that the answer quotes already; the model reads them too.
    """

    document: Document
    relation: Relation
    subject: str
    object: str
    given: tuple[tuple[str, str], ...] = ()
    quotes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class DirectionVerdict:
    """The likeliest direction of an effect, in the word of the ontology.

    Attributes:
        spans: the sentences it rests on, those that say most about the effect first.
    """

    direction: str
    probability: float
    spans: tuple[tuple[int, int], ...]


def direction_of(relation: Relation | None) -> Qualifier | None:
    """The relation's qualifier `direction`, if its values are names of the three directions."""
    found = next((q for q in (relation.qualifiers if relation is not None else ()) if q.name == DIRECTION), None)
    return found if found is not None and set(_words(found)) == set(_PLACES) else None


class DirectionJudge:
    """Asks a model about effects.

    It measures the model's leaning once, with nine short calls. A model without log-probabilities is not asked.
    """

    def __init__(self) -> None:
        self._leanings: dict[tuple[str, str], Odds | None] = {}
        self._measuring: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    def judges(self, caller: Caller, relation: Relation | None) -> bool:
        """Whether the direction of a relation's claims is left to a verdict of this model."""
        return caller.constrained and caller.tells_logprobs and direction_of(relation) is not None

    async def judge(self, effect: EffectQuestion, caller: Caller, *, scope: str) -> DirectionVerdict | None:
        """The verdict on an effect; None if the paper has no sentence to read, or the model told no probabilities.

        Raises:
            BudgetExceeded: before a call.
            ModelError: the model failed; answers so far are in the journal.
        """
        spans, relation = sentences_about(effect), effect.relation
        leaning = await self.leaning(relation, caller, scope=scope) if spans else None
        if leaning is None:
            return None
        reply = await one_word(messages_about(effect, spans), words_of(relation), caller, scope=scope)
        return verdict(effect, spans, reply, leaning)

    async def leaning(self, relation: Relation, caller: Caller, *, scope: str) -> Odds | None:
        """The model's mean log-probability of each direction over `EXAMPLES`; None if it tells none."""
        key = (caller.name, relation.element)
        async with self._measuring.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if key not in self._leanings:
                words = words_of(relation)
                replies = [await one_word(_messages(relation, *it), words, caller, scope=scope) for it in EXAMPLES]
                told = [shares for reply in replies if (shares := _log_shares(reply, relation)) is not None]
                self._leanings[key] = np.mean(told, axis=0) if len(told) == len(EXAMPLES) else None
        return self._leanings[key]


def sentences_about(effect: EffectQuestion) -> tuple[tuple[int, int], ...]:
    """The spans of the sentences that say most about an effect, first those that are quoted already."""
    names = [effect.subject, *(text for _, text in effect.given)]
    best = best_sentences(effect.document, effect.object, names, most=SENTENCES)
    return tuple(dict.fromkeys((*effect.quotes, *best)))[:SENTENCES]


def messages_about(effect: EffectQuestion, spans: Sequence[tuple[int, int]]) -> list[BaseMessage]:
    """The prompt: the sentences in the order of the paper, and the question."""
    sentences = [effect.document.text[start:end] for start, end in sorted(spans)]
    compared = next((text for name, text in effect.given if name == "comparator"), "")
    return _messages(effect.relation, sentences, effect.subject, compared, effect.object)


def words_of(relation: Relation) -> tuple[str, ...]:
    """The relation's own words for the directions, which a verdict is one of."""
    qualifier = direction_of(relation)
    return () if qualifier is None else tuple(value.name for value in qualifier.values)


def verdict(
    effect: EffectQuestion, spans: Sequence[tuple[int, int]], reply: Reply, leaning: Odds
) -> DirectionVerdict | None:
    """The verdict that a model's reply, its leaning and the words of the sentences make together; None if the reply
    tells no probabilities."""
    shares = _log_shares(reply, effect.relation)
    qualifier = direction_of(effect.relation)
    if shares is None or qualifier is None:
        return None
    odds = shares - leaning
    for start, end in spans:
        told = directions(folded(effect.document.text[start:end]))
        odds = odds + WORDS * np.array([(place in told) / max(1, len(told)) for place in _PLACES])
    weights = np.exp(odds - odds.max())
    best = int(odds.argmax())
    probability = round(float(weights[best] / weights.sum()), 4)
    return DirectionVerdict(direction=_words(qualifier)[_PLACES[best]], probability=probability, spans=tuple(spans))


def _words(qualifier: Qualifier) -> Mapping[Direction, str]:
    """The ontology's word for each direction."""
    named = ((direction_named(value.name), value.name) for value in qualifier.values)
    return {place: word for place, word in named if place is not None}


def _log_shares(reply: Reply, relation: Relation) -> Odds | None:
    qualifier = direction_of(relation)
    if reply.logprobs is None or not reply.logprobs.choices or qualifier is None:
        return None
    words, told = _words(qualifier), reply.logprobs.choices
    return np.log([max(_LEAST, told.get(words[place], 0.0)) for place in _PLACES])


def _messages(
    relation: Relation, sentences: Sequence[str], subject: str, compared: str, object_: str
) -> list[BaseMessage]:
    qualifier = direction_of(relation)
    assert qualifier is not None
    words, head, tail = _words(qualifier), relation.head, relation.tail
    system = (
        f"You read sentences of a paper. The {head} is compared with the comparator. Say how the {tail} is with the "
        f"{head}, against the comparator: {words['increased']}, {words['decreased']}, or {words['no difference']} (not "
        "statistically significant). Use only the sentences given."
    )
    lines = "\n".join(f"{n}. {defuse(' '.join(text.split()))}" for n, text in enumerate(sentences, 1))
    asked = [f"{head}: {defuse(subject)}", *([f"Comparator: {defuse(compared)}"] if compared else [])]
    asked += [f"{tail}: {defuse(object_)}", f"With the {head}, against the comparator, the {tail} is:"]
    return [SystemMessage(system), HumanMessage(f"Sentences:\n{lines}\n\n" + "\n".join(asked))]
