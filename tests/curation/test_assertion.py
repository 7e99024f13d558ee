"""A quote carries a claim only where it asserts it: no guess, no aim, no opposite effect, no finding of others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.curation.claims import Claim, Qualifier
from agentkit.curation.documents import Document
from agentkit.curation.evidence import WHATEVER, evidence_at, verify
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.curation.kb.records import Record
from agentkit.curation.kb.verification import verify_kb
from agentkit.curation.language.assertion import Asserting, polarity_named
from agentkit.curation.ontology.files import load_ontology, read_short
from agentkit.curation.ontology.schema import Ontology
from agentkit.errors import DataError
from agentkit.store import Store


def made(text: str, predicate: str = "induces", **qualifiers: Qualifier) -> tuple[Claim, Document]:
    document = Document(id="d" * 64, title="", text=text)
    quote = evidence_at(document, 0, len(text))
    claim = Claim(
        subject="lithium",
        predicate=predicate,
        object="tremor",
        document=document.id,
        evidence=(quote,),
        qualifiers=qualifiers,
    )
    return claim, document


def reason(text: str, predicate: str = "induces", **qualifiers: Qualifier) -> str:
    """Why the text carries no claim of lithium and tremor; empty where it does."""
    return verify(*made(text, predicate, **qualifiers)).reason


NO_FINDINGS = {
    "We hypothesised that lithium causes tremor.": "supposes",
    "Whether lithium causes tremor remains unclear.": "open",
    "Lithium protects against tremor.": "opposite",
    "The aim was to find out how often lithium causes tremor.": "found out",
    "Patients on lithium were examined for tremor.": "what was done",
    "Lithium did not cause tremor.": "denies",
    "Smith et al. reported that lithium causes tremor.": "others",
    "Lithium may cause tremor.": "not sure",
    "If lithium causes tremor, the dose is halved.": "may come",
    "The dose is halved if lithium causes tremor.": "may come",
    "Patients on lithium should be watched for tremor.": "advice",
    "A man with a history of tremor took an overdose of lithium.": "before",
}


@pytest.mark.parametrize("text", NO_FINDINGS)
def test_what_is_no_finding_is_refused_with_what_it_is(text: str) -> None:
    assert NO_FINDINGS[text] in reason(text)


@pytest.mark.parametrize(
    "text",
    [
        "Lithium caused tremor.",
        "Contrary to what had been expected, lithium caused tremor.",
        "Although it was thought to be harmless, lithium caused tremor.",
        "Lithium caused tremor; whether valproate does is unclear.",
        "It was unclear whether valproate does; lithium caused tremor.",
        "We examined whether it is safe and found that lithium caused tremor.",
        "The aim was to compare two drugs, and the results show that lithium caused tremor.",
        "We hypothesised a benefit and found that lithium caused tremor.",
        "To find a cure, patients took lithium and developed tremor.",
        "If the dose was raised, lithium caused tremor.",
        "Lithium caused tremor if the dose was raised.",
        "We hypothesised a benefit, but lithium caused tremor.",
        "Propranolol reduced lithium-induced tremor.",
        "Tremor stopped when lithium was withdrawn.",
        "Lithium reduced appetite and increased tremor.",
        "Lithium caused tremor, which may be mediated by dopamine.",
    ],
)
def test_a_cue_reaches_no_further_than_its_clause(text: str) -> None:
    assert reason(text) == ""


def test_the_same_words_mean_another_thing_to_another_relation() -> None:
    relieved, caused = "Lithium suppressed tremor in all rats.", "Lithium provoked tremor in all rats."
    assert "opposite" in reason(relieved, "induces") and reason(relieved, "treats") == ""
    assert "opposite" in reason(caused, "treats") and reason(caused, "induces") == ""
    assert "opposite" in reason("Lithium prevented the development of tremor.", "induces")
    method = "Tremor was scored after lithium was given."
    assert reason(method, "studied_with") == "" and "what was done" in reason(method, "induces")
    told = [polarity_named(name) for name in ("causes", "curedBy", "increases_risk_of", "treated_with", "age")]
    assert told == ["causes", "relieves", "affects", "neutral", "neutral"]


def test_relief_under_a_drug_is_its_own_unless_another_brought_it() -> None:
    text = "With lithium, tremor was reduced."
    assert "opposite" in reason(text, "induces") and reason(text, "treats") == ""
    assert "opposite" in reason("With lithium, tremor was markedly reduced.", "induces")
    assert "opposite" not in reason("With lithium, tremor was markedly reduced by propranolol.", "induces")
    assert "opposite" in reason("Less tremor was seen with lithium.", "induces")


def test_a_relation_may_be_named_from_the_other_end() -> None:
    for text, held in (("Lithium-induced tremor was seen.", True), ("Lithium prevented tremor in all.", False)):
        document = Document(id="d" * 64, title="", text=text)
        quote = evidence_at(document, 0, len(text))
        claim = Claim(
            subject="tremor", predicate="caused_by", object="lithium", document=document.id, evidence=(quote,)
        )
        assert verify(claim, document).supported is held


def test_a_direction_must_be_a_finding_too_and_a_denial_may_deny() -> None:
    up = {"direction": "increased"}
    assert reason("Lithium increased tremor.", "affects", **up) == ""
    assert "supposes" in reason("We hypothesised that lithium increased tremor.", "affects", **up)
    assert reason("Lithium did not cause tremor.", negated=True) == ""
    assert "open" in reason("Whether lithium did not cause tremor remains unclear.", negated=True)


def test_an_ontology_says_what_its_relations_mean_and_accept(tmp_path: Path) -> None:
    relation: dict[str, Any] = {"to": "Disease", "polarity": "causes", "accepts": ["hedge"]}
    data = {"concepts": {"Chemical": {"relations": {"linked": relation}}, "Disease": {}}}
    (linked,) = read_short(data).relations
    assert linked.asserting == Asserting(polarity="causes", accepts=frozenset({"hedge"}))
    hedged = made("Lithium may cause tremor.", "linked")
    assert verify(*hedged, asserting=linked.asserting).supported
    assert not verify(*made("Lithium prevents tremor.", "linked"), asserting=linked.asserting).supported
    for key, wrong in (("polarity", "causal"), ("accepts", ["hedges"])):
        relation[key], old = wrong, relation[key]
        with pytest.raises(DataError, match=f"{key} (is one of|takes)"):
            read_short(data)
        relation[key] = old
    path = tmp_path / "schema.yaml"
    path.write_text(LINKML, encoding="utf-8")
    assert load_ontology(path).relations[0].asserting == linked.asserting


LINKML = """\
id: https://example.org/x
name: x
prefixes: {linkml: https://w3id.org/linkml/}
imports: [linkml:types]
classes:
  Chemical:
    attributes:
      linked:
        range: Disease
        annotations: {polarity: causes, accepts: hedge}
  Disease: {}
"""


def test_kb_verify_finds_what_was_let_in_without_being_asserted(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "kb.db")
    kb = KnowledgeBase(store, "x")
    claim, document = made("We hypothesised that lithium causes tremor.")
    hedged, other = made("Lithium may cause tremor.")
    other = replace(other, id="e" * 64)
    hedged = replace(
        hedged, document=other.id, evidence=(evidence_at(other, 0, len(other.text)),), id="", status="supported"
    )
    for paper in (document, other):
        kb.add_document(paper)
    records = [Record(claim=claim.with_status("supported")), Record(claim=hedged)]
    kb.write(Write(records=records), key="a", author=Author())
    assert [id_ for id_, _ in verify_kb(kb).broken] == [claim.id]
    assert {id_ for id_, _ in verify_kb(kb, ontology=_strict()).broken} == {claim.id, hedged.id}
    store.close()


def _strict() -> Ontology:
    return read_short({"concepts": {"Chemical": {"relations": {"induces": "Disease"}}, "Disease": {}}})


def test_quotes_can_be_checked_without_asking_what_they_assert() -> None:
    assert verify(*made("We hypothesised that lithium causes tremor."), asserting=WHATEVER).supported
