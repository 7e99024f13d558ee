from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import PrivateAttr

from agentkit.curation.claims import Entity
from agentkit.curation.documents import Document
from agentkit.curation.evidence import find_quote
from agentkit.curation.extraction.descriptions import is_description, shorter_names
from agentkit.curation.extraction.duo import Duo, curate_item
from agentkit.curation.extraction.passages import naming_any, reading, sentences
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.extraction.prompts import Question
from agentkit.curation.grounding.grounders import Grounders
from agentkit.curation.ontology.files import read_short
from agentkit.models import Caller, load_model
from agentkit.testing import ScriptedModel
from tests.models.conformance import TINY, need

TEXT = """RESULTS

Lithium (LI) caused tremor
in 12 patients. It was mild. No harm came of Aspirin (p < 0.05). LI was stopped.
"""
DOCUMENT = Document(id="d", title="", text=TEXT)
ALL = (
    "Lithium (LI) caused tremor in 12 patients.",
    "It was mild.",
    "No harm came of Aspirin (p < 0.05).",
    "LI was stopped.",
)


def test_what_may_be_quoted_is_each_sentence_once_on_one_line_without_headings() -> None:
    assert sentences(Document(id="d", title="", text=TEXT + TEXT), TEXT + TEXT) == ALL
    assert all(find_quote(DOCUMENT, text) is not None for text in ALL)


def test_only_sentences_that_name_the_subject_are_offered_where_there_are_any() -> None:
    assert naming_any(ALL, ["lithium"], DOCUMENT) == (ALL[0], ALL[3])
    assert naming_any(ALL, ["caffeine"], DOCUMENT) == ALL


def test_only_what_was_read_may_be_quoted() -> None:
    document = Document(id="d", title="", text="\n\n".join(f"Drug {n} was given to {n} patients." for n in range(400)))
    read = reading(document, "drug 399", limit=4_000)
    offered = sentences(document, read)
    assert "Drug 399 was given to 399 patients." in offered and "Drug 200 was given to 200 patients." not in offered


class Held(ScriptedModel):
    """Answers by script, and keeps the sentences that each answer could quote and the names that it could choose."""

    constrained: ClassVar[bool] = True
    _offered: list[list[str]] = PrivateAttr(default_factory=list)
    _chosen: list[list[str] | None] = PrivateAttr(default_factory=list)

    def _answer(self, messages: Any, **kwargs: Any) -> Any:
        fields = kwargs["tools"][0]["function"]["parameters"]["$defs"]["Item"]["properties"]
        self._offered.append(fields["quote"].get("enum") or [fields["quote"]["const"]])
        self._chosen.append(fields.get("value", {}).get("enum"))
        return super()._answer(messages, **kwargs)


async def test_a_claim_whose_quote_does_not_name_its_object_is_asked_for_again_among_those_that_do() -> None:
    document = Document(id="d", title="", text="Asystole after lidocaine\n\nLidocaine was given. It was fatal once.\n")
    ontology = read_short(
        {
            "name": "safety",
            "concepts": {"Chemical": {"relations": {"induces": {"to": "Disease", "many": True}}}, "Disease": {}},
        }
    )
    asked = Question(
        step=make_plan(ontology).by_element["Chemical.induces.Disease"],
        ontology=ontology,
        document=document,
        paper=document.text,
        subjects=("lidocaine",),
    )
    title, given = "Asystole after lidocaine", "Lidocaine was given."
    model = Held([{"items": [{"value": "asystole", "quote": quote}]} for quote in (given, title)])
    subject = Entity.named("lidocaine", "Chemical", groundable=True)
    outcome = await curate_item(asked, [subject], Duo(explorer=Caller(model)), Grounders(), scope="x")
    assert model._offered == [[title, given], [title]]
    assert [item.problem for item in outcome.items] == [""]


@pytest.mark.parametrize(
    ("subject", "offered"),
    [("lidocaine", 2), ("lidocaine 2% gel for dental use", 3)],
)
async def test_a_subject_called_by_a_description_may_be_quoted_from_any_sentence(subject: str, offered: int) -> None:
    text = f"{subject} was tried\n\nLidocaine was given. It was fatal once.\n"
    document = Document(id="d", title="", text=text)
    ontology = read_short({"name": "safety", "concepts": {"Chemical": {"relations": {"induces": {"to": "string"}}}}})
    step = make_plan(ontology).by_element["Chemical.induces.induces"]
    asked = Question(step=step, ontology=ontology, document=document, paper=text, subjects=(subject,))
    model = Held([{"items": []}])
    entity = Entity.named(subject, "Chemical", groundable=True)
    await curate_item(asked, [entity], Duo(explorer=Caller(model), max_rounds=1), Grounders(), scope="x")
    assert len(model._offered[0]) == offered


@pytest.mark.model
async def test_a_local_model_cannot_misquote_whatever_it_is_worth() -> None:
    need(TINY)
    model: Any = load_model(f"local/{TINY}", n_ctx=4096, n_threads=1, max_tokens=300)
    ontology = read_short({"name": "safety", "concepts": {"Chemical": {"relations": {"induces": {"to": "string"}}}}})
    step = make_plan(ontology).by_element["Chemical.induces.induces"]
    asked = Question(step=step, ontology=ontology, document=DOCUMENT, paper=TEXT, subjects=("lithium",))
    subject = Entity.named("lithium", "Chemical", groundable=True)
    outcome = await curate_item(asked, [subject], Duo(explorer=Caller(model), max_rounds=1), Grounders(), scope="x")
    assert outcome.items and all(item.evidence and item.quote in (ALL[0], ALL[3]) for item in outcome.items)


TRIAL = """Butoconazole nitrate 2% vaginal cream was compared with fluconazole tablets.

Butoconazole relieved itching. Butoconazole was safe. Butoconazole cream was used once. Women used the cream at night.
"""


def test_a_description_is_what_a_paper_hardly_says_and_its_parts_that_it_says_often_are_names() -> None:
    document = Document(id="t", title="", text=TRIAL)
    long = "butoconazole nitrate 2% vaginal cream"
    assert is_description(long, document) and shorter_names(long, document) == ("butoconazole", "cream")
    assert not is_description("fluconazole tablets", document)
    said_often = Document(id="o", title="", text=f"{long} helped.\n\nUse {long}.\n\nTo {long} we owe it.\n")
    assert not is_description(long, said_often)
    defined = Document(id="a", title="", text=f"We tried {long} (BNC). It helped.\n")
    assert not is_description(long, defined)


@pytest.mark.parametrize(
    ("second", "found"),
    [(["butoconazole"], ["butoconazole"]), ([], ["butoconazole nitrate 2% vaginal cream"])],
)
async def test_a_root_called_by_a_description_is_asked_for_by_the_names_the_paper_uses(
    second: list[str], found: list[str]
) -> None:
    document = Document(id="t", title="", text=TRIAL)
    ontology = read_short({"name": "safety", "concepts": {"Drug": {"relations": {"causes": {"to": "string"}}}}})
    step = make_plan(ontology).by_element["Drug"]
    asked = Question(step=step, ontology=ontology, document=document, paper=TRIAL)
    quote = "Butoconazole nitrate 2% vaginal cream was compared with fluconazole tablets."
    answers = [["butoconazole nitrate 2% vaginal cream"], second]
    model = Held([{"items": [{"value": name, "quote": quote} for name in names]} for names in answers])
    outcome = await curate_item(asked, [], Duo(explorer=Caller(model)), Grounders(), scope="x")
    assert [item.value.label for item in outcome.items] == found
    assert model._chosen == [None, ["butoconazole", "cream"]]
    assert len(model._offered[0]) == 5 and len(model._offered[1]) == 5


@pytest.mark.parametrize(
    ("relation", "offered"),
    [
        ({"name": "affects", "to": "string"}, 3),
        ({"name": "affects", "to": "string", "qualifiers": {"direction": {"values": ["increased", "decreased"]}}}, 2),
        ({"name": "reduces", "to": "string"}, 2),
    ],
)
async def test_what_rises_or_falls_is_quoted_from_sentences_that_say_so(relation: dict[str, Any], offered: int) -> None:
    text = "Lithium in mania: a trial\n\nLithium reduced tremor. Lithium made no difference to sleep.\n"
    document = Document(id="d", title="", text=text)
    name = relation.pop("name")
    ontology = read_short({"name": "safety", "concepts": {"Drug": {"relations": {name: relation}}}})
    step = make_plan(ontology).by_element[f"Drug.{name}.{name}"]
    asked = Question(step=step, ontology=ontology, document=document, paper=text, subjects=("lithium",))
    model = Held([{"items": []}])
    entity = Entity.named("lithium", "Drug", groundable=True)
    await curate_item(asked, [entity], Duo(explorer=Caller(model), max_rounds=1), Grounders(), scope="x")
    assert len(model._offered[0]) == offered
