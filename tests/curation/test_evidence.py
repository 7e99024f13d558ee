"""A quote is found exactly or not at all; a claim may say no more than its quote does."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.curation.claims import Claim, Entity, Evidence, Qualifier
from agentkit.curation.documents import Document
from agentkit.curation.documents.document import Section
from agentkit.curation.evidence import evidence_at, find_quote, find_quotes, verified, verify
from agentkit.curation.language.direction import direction_named, directions
from agentkit.curation.language.names import abbreviations
from agentkit.curation.language.numbers import missing_number, numbers
from agentkit.curation.language.sentences import boundaries
from agentkit.curation.language.spelling import folded, spelled
from agentkit.errors import DataError

TEXT = (
    "Famotidine did not cause delirium in elderly subjects. Ranitidine caused headache in 3 of 80 patients. "
    "Blood pressure was significantly lower with clonidine than with placebo (−28.1 mmHg, p = 0.02). "
    "Heart rate did not differ between clonidine and placebo (p = 0.40)."
)


def paper(text: str) -> Document:
    return Document(id="d" * 64, title="", text=text, sections=(Section(label="RESULTS", start=0, end=len(text)),))


def claim(quote: str, subject: str, object_: str, text: str = TEXT, **qualifiers: Qualifier) -> Claim:
    evidence = find_quote(paper(text), quote)
    assert evidence is not None
    return Claim(
        subject=subject,
        predicate="affects",
        object=object_,
        document="d" * 64,
        evidence=(evidence,),
        qualifiers=qualifiers,
    )


def reason(quote: str, subject: str, object_: str, **qualifiers: Qualifier) -> str:
    """Why the claim is refused; empty when it is supported."""
    return verify(claim(quote, subject, object_, **qualifiers), paper(TEXT)).reason


WRITTEN = {
    "fancy quotes": ("He said “yes” — it’s 5 µg", 'He said "yes" - it\'s 5 μg'),
    "white space": ("a  drug\n given\u00a0daily", "a drug given daily"),
    "soft hyphen": ("hypo\u00adtension fell", "hypotension fell"),
    "zero width": ("hypo\u200btension fell", "hypotension fell"),
    "ligature": ("a ﬁnal e\u0301tude", "a final étude"),
    "hyphen kept": ("drug-\ninduced pain", "drug-induced pain"),
    "hyphen joined": ("hypoten-\nsion fell", "hypotension fell"),
    "both hyphens": ("drug-\ninduced hypoten-\nsion fell", "drug-induced hypotension fell"),
    "hyphen in the quote": ("hypotension fell", "hypoten-\nsion fell"),
    "minus": ("a difference of −28.1", "a difference of -28.1"),
    "superscript": ("28.1 cm² more", "28.1 cm2 more"),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_a_quote_is_found_in_another_spelling(case: str) -> None:
    text, quote = WRITTEN[case]
    document = paper(f"Before. {text}. After.")
    found = find_quote(document, quote)
    assert found is not None
    assert found.quote == document.text[found.start : found.end] == text


@pytest.mark.parametrize(
    "quote",
    [
        "Famotidine did cause delirium in elderly subjects",
        "Ranitidine caused headache in 8 of 80 patients",
        "Ranitidine did not cause headache",
        "Aspirin caused headache in 3 of 80 patients",
        "ranitidine caused headache",
        "caused headache in 3 of 8",
        "28.1 mmHg, p = 0.0",
        "-2",
        "8.1 mmHg",
        "",
        "…",
    ],
)
def test_an_altered_or_cut_quote_is_not_found(quote: str) -> None:
    assert find_quote(paper(TEXT), quote) is None


def test_a_real_hyphen_is_not_optional() -> None:
    assert find_quote(paper("a well-\nknown re-sign of it"), "resign") is None
    assert find_quote(paper("co-operate twice, hypo-\ntension"), "cooperate") is None


def test_a_quote_does_not_cut_a_character_that_is_spelled_out() -> None:
    assert find_quote(paper("a dose of 4¼ mg"), "4") is None and find_quote(paper("wait…"), "wait.") is None
    assert all(find_quote(paper("4¼ mg was ﬁne…"), quote) for quote in ("4¼ mg", "41⁄4 mg", "fine", "was fine..."))


def test_every_occurrence_is_known_and_the_nearest_can_be_chosen() -> None:
    document = paper("It fell. It rose. It fell.")
    assert [e.start for e in find_quotes(document, "It fell.")] == [0, 18]
    nearest = find_quote(document, "It fell.", near=20)
    assert nearest is not None and nearest.start == 18


def test_evidence_carries_its_context_and_section() -> None:
    found = find_quote(paper(TEXT), "Ranitidine caused headache")
    assert found is not None
    assert found.section == "RESULTS" and found.prefix.endswith("elderly subjects. ") and len(found.prefix) == 32
    assert found.suffix.startswith(" in 3 of 80")


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=200), st.data())
def test_any_stretch_of_any_text_is_found_where_it_stands(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    quote, document = text[start:end], paper(text)
    for found in find_quotes(document, quote):
        assert document.text[found.start : found.end] == found.quote
        assert spelled(found.quote).text.replace("-", "").strip() == spelled(quote).text.replace("-", "").strip()


def test_what_the_text_says_is_supported() -> None:
    assert reason("Ranitidine caused headache", "Ranitidine", "headache") == ""
    assert reason("Ranitidine caused headache", "ranitidine", "headaches", dose="3 of 80") == ""
    assert reason("Famotidine did not cause delirium", "famotidine", "delirium", negated=True) == ""
    fell = ("Blood pressure was significantly lower with clonidine", "clonidine", "blood pressure")
    assert reason(*fell, direction="decreased", comparator="placebo", difference="-28.1 mmHg") == ""
    assert reason("Heart rate did not differ", "clonidine", "heart rate", direction="no difference") == ""


CAUSED = ("Ranitidine caused headache", "ranitidine", "headache")
FELL = ("Blood pressure was", "clonidine", "blood pressure")

FALSE: dict[str, tuple[tuple[str, str, str], dict[str, Qualifier], str]] = {
    "negation dropped": (("Famotidine did not cause", "famotidine", "delirium"), {}, "the quote denies"),
    "negation added": (CAUSED, {"negated": True}, "the claim denies"),
    "negation as text": (
        ("Ranitidine caused headache", "ranitidine", "headache"),
        {"negated": "yes"},
        "the claim denies",
    ),
    "polarity": (
        ("Ranitidine caused headache", "ranitidine", "headache"),
        {"polarity": "negative"},
        "the claim denies",
    ),
    "number": (CAUSED, {"n": "8 of 80"}, "the number 8"),
    "sign": (FELL, {"change": "28.1"}, "the number 28.1"),
    "unit": (FELL, {"change": "-28.1 kg"}, "the number -28.1 kg"),
    "number as a number": (CAUSED, {"n": 4}, "the number 4"),
    "entity": (("Ranitidine caused headache", "aspirin", "headache"), {}, "'aspirin' is not in the quote"),
    "entity elsewhere": (("Ranitidine caused headache", "famotidine", "headache"), {}, "'famotidine' is not in"),
    "part of a word": (("Ranitidine caused headache", "tidine", "headache"), {}, "'tidine' is not in"),
    "direction": (FELL, {"direction": "increased"}, "the quote says"),
    "difference claimed": (("Heart rate did", "clonidine", "heart rate"), {"direction": "decreased"}, "the quote says"),
    "other way round": (
        ("Blood pressure was", "placebo", "blood pressure"),
        {"direction": "decreased"},
        "other way round",
    ),
    "comparator": (
        FELL,
        {"direction": "decreased", "comparator": "aspirin"},
        "the comparator 'aspirin' is nowhere",
    ),
    "compared with itself": (FELL, {"direction": "decreased", "comparator": "Clonidine"}, "compared with itself"),
}


@pytest.mark.parametrize("case", FALSE)
def test_a_claim_that_says_more_than_its_quote_is_unsupported(case: str) -> None:
    told, qualifiers, why = FALSE[case]
    assert why in reason(*told, **qualifiers)


def test_the_direction_may_be_in_the_relations_name() -> None:
    made = replace(claim("Blood pressure was", "clonidine", "blood pressure"), predicate="increases", id="")
    assert "the quote says" in verify(made, paper(TEXT)).reason
    assert verify(replace(made, predicate="decreases", id=""), paper(TEXT)).supported


def test_names_and_abbreviations_of_the_document_count_as_the_entity() -> None:
    text = "We studied tricyclic antidepressants (TCAs). TCA use caused dry mouth (xerostomia)."
    made = claim("TCA use caused dry mouth", "MESH:1", "MESH:2", text)
    names = {"MESH:1": ["tricyclic antidepressant"], "MESH:2": ["Xerostomia", "dry mouth"]}
    assert verify(made, paper(text), names).supported
    assert not verify(made, paper(text)).supported


def test_a_wider_window_is_a_choice() -> None:
    text = "We gave clonidine. Blood pressure fell."
    made = claim("Blood pressure fell", "clonidine", "blood pressure", text, direction="decreased")
    assert not verify(made, paper(text)).supported
    assert verify(made, paper(text), around=1).supported


def test_stored_offsets_are_checked_again() -> None:
    made = claim("Ranitidine caused headache", "ranitidine", "headache")
    assert "is not the quote" in verify(made, paper("x" + TEXT)).reason
    other = replace(paper(TEXT), id="e" * 64)
    assert "another document" in verify(made, other).reason
    assert verify(replace(made, evidence=()), paper(TEXT)).reason == "no quote"
    moved = replace(made.evidence[0], start=1, end=27)
    assert not verify(replace(made, evidence=(*made.evidence, moved)), paper(TEXT)).supported


def test_one_of_several_quotes_has_to_carry_the_claim_alone() -> None:
    made = claim("Ranitidine caused headache", "ranitidine", "headache")
    other = find_quote(paper(TEXT), "Heart rate did not differ")
    assert other is not None
    assert verify(replace(made, evidence=(other, *made.evidence)), paper(TEXT)).supported
    assert not verify(replace(made, evidence=(other,)), paper(TEXT)).supported


def test_a_persons_decision_is_not_overwritten() -> None:
    made = claim("Ranitidine caused headache", "aspirin", "headache")
    assert verified(made, paper(TEXT)).status == "unsupported"
    assert verified(made, paper(TEXT)).reason != ""
    assert verified(made.with_status("accepted"), paper(TEXT)).status == "accepted"
    assert verified(replace(made, subject="ranitidine"), paper(TEXT)).status == "supported"


def test_claims_have_ids_of_their_statement_alone_and_survive_json() -> None:
    made = claim("Ranitidine caused headache", "ranitidine", "headache", dose="5 mg")
    assert replace(made, confidence=0.4, model="x", id="").id == made.id == made.with_status("rejected", "no").id
    assert replace(made, qualifiers={"dose": "6 mg"}, id="").id != made.id
    assert Claim.from_json(made.to_json()) == made
    entity = Entity.named("TNF-α", "Gene", ("HGNC:2", "HGNC:1"))
    assert entity.ambiguous and Entity.from_json(entity.to_json()) == entity
    assert Entity.named("aspirin", "Drug", ("MESH:D1",)).id == "MESH:D1"
    assert Entity.named("Aspirin", "Drug").id == Entity.named("aspirin ", "Drug").id
    assert not Entity.named("aspirin", "Drug").groundable


@pytest.mark.parametrize(
    "row", [{}, {"subject": "a", "predicate": "b", "object": "c", "document": "d", "status": "maybe"}]
)
def test_a_row_that_is_no_claim_is_refused(row: dict[str, str]) -> None:
    with pytest.raises(DataError):
        Claim.from_json(row)
    with pytest.raises(DataError):
        Evidence.from_json({"document": "d", "quote": "q", "start": 5, "end": 2})


def test_numbers_keep_sign_unit_and_size() -> None:
    text = "1,000 mg, −2·5 to 3%; IL6, twelve weeks, 5, 10 and 20 μg in 2–4 h"
    shown = " ".join(f"{n.value}{n.unit}" for n in numbers(text))
    assert shown == "1000mg -2.5% 3% 12wk 5ug 10ug 20ug 2h 4h"
    assert missing_number("0.50", "p = 0.5") == ""
    assert missing_number("5 mg", "5 mcg") == "5 mg"


def test_sentences_do_not_end_at_abbreviations() -> None:
    text = "We used it (e.g. Smith et al. 2001). It rose vs. Placebo by 3.5 mg. See Fig. 2.\n\nNext part"
    marks = boundaries(text)
    parts = "|".join(text[a:b].strip() for a, b in pairwise(marks))
    assert parts == "We used it (e.g. Smith et al. 2001).|It rose vs. Placebo by 3.5 mg.|See Fig. 2.|Next part"


def test_directions_are_read_with_their_denials() -> None:
    assert directions(folded("Scores were significantly higher.")) == {"increased"}
    assert directions(folded("It did not increase.")) == {"no difference"}
    assert directions(folded("Pain was reduced but mood was similar.")) == {"decreased", "no difference"}
    assert directions(folded("Scores were 3 and 4 (P=0.31).")) == {"no difference"}
    assert directions("nothing of the kind") == set()
    assert direction_named("significantly increased") == "increased" and direction_named("treats") is None


def test_abbreviations_are_those_the_text_defines() -> None:
    text = "growth hormone (GH) and body mass index (BMI), and (n = 3) or a thing (XYZ); heat shock protein 90 (HSP90)"
    assert abbreviations(text) == {"GH": "growth hormone", "BMI": "body mass index", "HSP90": "heat shock protein 90"}


def test_evidence_at_a_span_is_its_text() -> None:
    assert evidence_at(paper(TEXT), 0, 10).quote == "Famotidine"
