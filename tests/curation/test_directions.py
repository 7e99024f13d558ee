"""The direction of an effect, as a verdict of one word: corrected for the model's leaning, and with a quote that says
it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from agentkit.curation.claims import Entity
from agentkit.curation.documents import Document
from agentkit.curation.extraction.directions import (
    EXAMPLES,
    DirectionJudge,
    EffectQuestion,
    direction_of,
    sentences_about,
)
from agentkit.curation.extraction.duo import Duo, QuestionOutcome, curate_item, records_of
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.extraction.prompts import Question
from agentkit.curation.grounding.grounders import Grounders
from agentkit.curation.ontology.files import read_short
from agentkit.models.caller import Caller
from agentkit.testing import ScriptedModel

WORDS = ("increased", "decreased", "no difference")
SHORT: dict[str, Any] = {
    "name": "trials",
    "concepts": {
        "Intervention": {
            "relations": {
                "affects": {
                    "to": "Outcome",
                    "many": True,
                    "qualifiers": {
                        "comparator": {},
                        "direction": {"required": True, "values": {word: [] for word in WORDS}},
                    },
                }
            }
        },
        "Outcome": {},
    },
}
ONTOLOGY = read_short(SHORT)
STEP = make_plan(ONTOLOGY).by_element["Intervention.affects.Outcome"]
TEXT = (
    "Zinc and placebo were compared in ninety adults. Colds were shorter with zinc than with placebo (p = 0.01). "
    "Zinc did not affect fatigue compared with placebo (p = 0.6). All adults kept a diary."
)
LEANING = {"decreased": 0.7, "increased": 0.25, "no difference": 0.05}


class Leaning(ScriptedModel):
    """Finds a decrease likeliest whatever it reads; a text that the prompt contains changes its probabilities."""

    tells_logprobs: bool = True
    constrained: ClassVar[bool] = True
    shares: Mapping[str, Mapping[str, float]]

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        if "You read sentences" not in messages[0].text:
            return super()._answer(messages, **kwargs)
        self._given += 1
        asked = messages[-1].text
        shares = next((found for text, found in self.shares.items() if text in asked), LEANING)
        said = max(shares, key=lambda word: shares[word])
        ways = [{"token": word, "logprob": math.log(share)} for word, share in shares.items()]
        before, after = ({"token": text, "logprob": 0.0, "top_logprobs": []} for text in ('{"answer": "', '"}'))
        told = [before, {"token": said, "logprob": math.log(shares[said]), "top_logprobs": ways}, after]
        return AIMessage(f'{{"answer": "{said}"}}', response_metadata={"logprobs": {"content": told}})


def leaning(shares: Mapping[str, Mapping[str, float]] | None = None, *listed: Any) -> Leaning:
    return Leaning(list(listed) or [{"items": []}], shares=shares or {}, name="test/leaning")


def paper(text: str = TEXT) -> Document:
    return Document(id="d", title="", text=text)


def ask(
    model: ScriptedModel, *, outcome: str | None, text: str = TEXT, subject: str = "zinc", duo: Duo | None = None
) -> tuple[QuestionOutcome, Question]:
    document = paper(text)
    given = () if outcome is None else (("comparator", "placebo"),)
    question = Question(
        step=STEP, ontology=ONTOLOGY, document=document, paper=text, subjects=(subject,), value=outcome, given=given
    )
    ends = [Entity.named(subject, "Intervention", groundable=True)]
    duo = duo or Duo(explorer=Caller(model), max_rounds=2)
    return asyncio.run(curate_item(question, ends, duo, Grounders(), scope="q")), question


FLAT = {"Outcome: fatigue": {"decreased": 0.6, "increased": 0.2, "no difference": 0.2}}


def test_a_model_s_leaning_is_taken_off_and_the_words_of_the_sentences_count() -> None:
    model = leaning(FLAT)
    outcome, question = ask(model, outcome="fatigue")
    [item] = outcome.items
    assert item.qualifiers == {"comparator": "placebo", "direction": "no difference"}
    assert item.quote == "Zinc did not affect fatigue compared with placebo (p = 0.6)." and not item.problem
    assert model.calls == len(EXAMPLES) + 1, "and no second round, no evaluator"
    [record] = records_of(outcome, question, Duo(explorer=Caller(model)), run_id="", model="")
    assert record.claim.status == "supported" and 0.5 < (record.claim.confidence or 0) < 1


def test_what_a_model_is_sure_of_stands() -> None:
    model = leaning({"Outcome: fatigue": {"decreased": 0.001, "increased": 0.998, "no difference": 0.001}})
    [item] = ask(model, outcome="fatigue")[0].items
    assert item.qualifiers["direction"] == "increased"
    assert "says" in item.problem, "but no sentence supports it"


def test_the_leaning_is_measured_once() -> None:
    model, judge, relation = leaning(FLAT), DirectionJudge(), STEP.relation
    assert relation is not None
    effect = EffectQuestion(document=paper(), relation=relation, subject="zinc", object="fatigue")

    async def together() -> None:
        await asyncio.gather(*(judge.judge(effect, Caller(model), scope=f"paper {n}") for n in range(2)))

    asyncio.run(together())
    asyncio.run(together())
    assert model.calls == len(EXAMPLES) + 4


def test_each_effect_of_a_list_gets_its_verdict_before_anything_is_written() -> None:
    sentence = "Zinc did not affect fatigue compared with placebo (p = 0.6)."
    said = {"value": "fatigue", "quote": sentence, "comparator": "placebo", "direction": "decreased"}
    outcome, _ = ask(leaning(FLAT, {"items": [said]}), outcome=None)
    [item] = outcome.items
    assert (item.qualifiers["direction"], item.quote, item.problem) == ("no difference", sentence, "")
    assert outcome.rounds == 1


def test_the_evaluator_s_word_stands_when_the_explorer_defends_its_answer() -> None:
    sentence = "Zinc did not affect fatigue compared with placebo (p = 0.6)."
    said = {"value": "fatigue", "quote": sentence, "comparator": "placebo", "direction": "decreased"}
    judged = {"item": 1, "reason": "it was not measured", "holds": False, "sure": 90}
    evaluator = ScriptedModel([{"judgements": [judged], "missing": []}], name="test/evaluator")
    model = leaning(FLAT, {"items": [said]})
    duo = Duo(explorer=Caller(model), evaluator=Caller(evaluator), max_rounds=3)
    outcome, question = ask(model, outcome=None, duo=duo)
    [item] = outcome.items
    assert (item.qualifiers["direction"], item.holds, outcome.rounds) == ("no difference", False, 2)
    [record] = records_of(outcome, question, duo, run_id="", model="")
    assert record.claim.reason == "the evaluator objects: it was not measured"
    assert model.calls == 2 + len(EXAMPLES) + 1, "one verdict for both rounds"


def test_a_quote_that_does_not_say_it_gives_way_to_one_that_does() -> None:
    other = "Colds were shorter with zinc than with placebo (p = 0.01)."
    said = {"value": "fatigue", "quote": other, "comparator": "placebo", "direction": "decreased"}
    [item] = ask(leaning(FLAT, {"items": [said]}), outcome=None)[0].items
    assert item.quote.startswith("Zinc did not affect fatigue") and not item.problem


def test_a_model_without_probabilities_keeps_its_own_word() -> None:
    class Constrained(ScriptedModel):
        constrained: ClassVar[bool] = True

    sentence = "Colds were shorter with zinc than with placebo (p = 0.01)."
    said = {"quote": sentence, "comparator": "placebo", "direction": "decreased"}
    model = Constrained([{"items": [said]}], name="test/silent")
    [item] = ask(model, outcome="colds")[0].items
    assert item.qualifiers["direction"] == "decreased" and model.calls == 1


def test_what_a_question_calls_by_a_description_may_be_named_shorter_in_the_quote() -> None:
    text = " ".join(f"Zinc gluconate was given on day {n}." for n in range(3)) + (
        " Zinc gluconate did not affect fatigue compared with placebo (p = 0.6)."
    )
    called = "zinc gluconate lozenges of 13 mg every two hours while awake"
    [item] = ask(leaning(FLAT), outcome="fatigue", text=text, subject=called)[0].items
    assert item.qualifiers["direction"] == "no difference" and not item.problem


def test_a_paper_without_a_sentence_has_no_effect() -> None:
    assert ask(leaning(), outcome="fatigue", text="Zinc.")[0].items == ()


def test_the_sentences_that_report_come_before_those_that_mention() -> None:
    relation = STEP.relation
    assert relation is not None
    effect = EffectQuestion(document=paper(), relation=relation, subject="zinc", object="fatigue")
    start, end = sentences_about(effect)[0]
    assert paper().text[start:end].startswith("Zinc did not affect fatigue")


@pytest.mark.parametrize("values", [{}, {"up": [], "down": []}, {"good": [], "bad": []}])
def test_only_three_named_directions_can_be_judged(values: dict[str, list[str]]) -> None:
    told = {"required": True, "values": values} if values else {}
    relation = {"to": "Outcome", "qualifiers": {"direction": told}}
    short = {"name": "t", "concepts": {"Intervention": {"relations": {"affects": relation}}, "Outcome": {}}}
    [found] = read_short(short).relations
    assert direction_of(found) is None
