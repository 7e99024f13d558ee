"""Curation without a model: names spotted by machine, pairs judged by the verifier, which learns from reviews."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentkit.cli.curate import app
from agentkit.curation.documents import Document
from agentkit.curation.extraction.pairs import MOST, candidates, pairable
from agentkit.curation.grounding.grounders import Grounders, Lexicon
from agentkit.curation.grounding.mentions import Spotter
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.learning.decisions import learn_decisions, probabilities
from agentkit.curation.learning.wording import Worded, WordOdds
from agentkit.curation.ontology.files import read_short
from agentkit.curation.ontology.schema import Ontology
from agentkit.curation.pairing import PairCuration, accepted_names
from agentkit.errors import UserError
from agentkit.store import Store

NAMES = [
    ("lithium", "MESH:D008094", "Drug", ""),
    ("nitric oxide", "MESH:D009569", "Drug", ""),
    ("NO", "MESH:D009569", "Drug", ""),
    ("calcium", "MESH:D002118", "Drug", ""),
    ("calcium channel blockers", "MESH:D002121", "Drug", ""),
    ("tremor", "MESH:D014202", "Disease", ""),
    ("hemorrhage", "MESH:D006470", "Disease", ""),
    ("rash", "MESH:D005076", "Disease", ""),
]
SHORT = {
    "name": "drugs",
    "concepts": {"Drug": {"relations": {"induces": {"to": "Disease", "many": True}}}, "Disease": {}},
}


def names(*more: tuple[str, str, str, str]) -> Grounders:
    return Grounders(grounders=(Lexicon([*NAMES, *more]),))


def paper(text: str, title: str = "", number: int = 1) -> Document:
    return Document(id=f"{number:064x}", title=title, text=f"{title}\n\n{text}" if title else text)


def spotted(text: str, cls: str = "Drug") -> dict[str, tuple[str, ...]]:
    return {thing.entity.id: thing.names for thing in Spotter(names()).spot(paper(text), cls)}


@pytest.fixture
def ontology() -> Ontology:
    return read_short(SHORT)


@pytest.mark.parametrize(
    ("text", "cls", "found"),
    [
        ("Lithium carbonate was given.", "Drug", {"MESH:D008094": ("Lithium",)}),
        ("Calcium channel blockers were given.", "Drug", {"MESH:D002121": ("Calcium channel blockers",)}),
        ("There was no effect. NO rose.", "Drug", {"MESH:D009569": ("NO",)}),
        ("Tremors and haemorrhages.", "Disease", {"MESH:D014202": ("Tremors",), "MESH:D006470": ("haemorrhages",)}),
        ("Nitric oxide (NOX) rose; NOX fell.", "Drug", {"MESH:D009569": ("Nitric oxide", "NOX")}),
        ("It was oxide (nitric).", "Drug", {}),
    ],
)
def test_names_are_spotted_by_whole_words_longest_first(text: str, cls: str, found: dict[str, tuple[str, ...]]) -> None:
    assert spotted(text, cls) == found


def test_offsets_are_those_of_the_document(ontology: Ontology) -> None:
    text = "TNF‐α aside, lithium caused tremor."
    things = Spotter(names()).spot(paper(text), "Drug")
    assert [text[start:end] for thing in things for start, end in thing.spans] == ["lithium"]


def test_only_relations_between_named_things_make_pairs() -> None:
    relations = {
        "induces": {"to": "Disease"},
        "dose": {"to": "string"},
        "raises": {"to": "Disease", "qualifiers": {"direction": {}}},
    }
    made = read_short({"name": "x", "concepts": {"Drug": {"relations": relations}, "Disease": {}}})
    assert [relation.name for relation in pairable(made)] == ["induces"]


def test_each_pair_has_its_best_sentence(ontology: Ontology) -> None:
    text = "Whether lithium causes tremor is unclear. Lithium caused tremor in all patients. A rash was seen."
    found = {item.record.claim.object: item for item in candidates(paper(text), pairable(ontology)[0], _spotter())}
    assert found["MESH:D014202"].record.claim.evidence[0].quote == "Lithium caused tremor in all patients."
    assert found["MESH:D014202"].problem == ""
    assert found["MESH:D005076"].problem == "no sentence names both"


def test_a_relation_within_one_class_is_tried_in_both_orders() -> None:
    made = read_short({"name": "x", "concepts": {"Drug": {"relations": {"blocks": {"to": "Drug"}}}}, "roots": ["Drug"]})
    found = candidates(paper("Lithium blocks calcium."), pairable(made)[0], _spotter())
    assert {(i.record.claim.subject, i.record.claim.object) for i in found} == {
        ("MESH:D008094", "MESH:D002118"),
        ("MESH:D002118", "MESH:D008094"),
    }


def test_a_paper_that_names_hundreds_of_things_makes_no_more_pairs_than_there_may_be(ontology: Ontology) -> None:
    drugs = [(f"drugname{chr(97 + n)}{chr(97 + k)}", f"X:{n}{k}", "Drug", "") for n in range(9) for k in range(9)]
    harms = [(f"harmname{chr(97 + n)}{chr(97 + k)}", f"Y:{n}{k}", "Disease", "") for n in range(9) for k in range(9)]
    text = " and ".join(name for name, *_ in [*drugs, *harms])
    found = candidates(paper(text), pairable(ontology)[0], Spotter(names(*drugs, *harms)))
    assert 100 < len(found) <= MOST


def _spotter() -> Spotter:
    return Spotter(names())


STATED = "Lithium caused tremor in all patients."
LEFT_OPEN = "Whether lithium causes rash remains unclear."


def curate(kb: KnowledgeBase, ontology: Ontology, *papers: Document) -> PairCuration:
    run = PairCuration(kb, ontology, grounders=names())
    run.run(papers)
    return run


def test_what_is_stated_is_supported_and_the_rest_says_why_not(store: Store, ontology: Ontology) -> None:
    kb = KnowledgeBase(store, "drugs")
    report = curate(kb, ontology, paper(f"{STATED} {LEFT_OPEN}")).report
    assert (report.papers, report.supported, report.unsupported, report.calls) == (1, 1, 1, 0)
    claims = {claim.object: claim for claim in kb.claims()}
    assert claims["MESH:D014202"].status == "supported" and claims["MESH:D014202"].confidence is not None
    assert claims["MESH:D005076"].reason.startswith("the quote leaves it open")


def test_the_same_papers_again_are_found_done_until_a_review_taught_something(store: Store, ontology: Ontology) -> None:
    kb = KnowledgeBase(store, "drugs")
    papers = [paper(f"{STATED} {LEFT_OPEN} Paper {n}.", number=n) for n in range(1, 4)]
    curate(kb, ontology, *papers)
    version = kb.version
    assert curate(kb, ontology, *papers).report.reused == 3 and kb.version == version
    claim = next(claim for claim in kb.claims() if claim.status == "supported")
    kb.review(claim.id, "rejected", reviewer="ada")
    learn_decisions(kb)
    assert curate(kb, ontology, *papers).report.reused == 0
    assert next(c for c in kb.claims() if c.id == claim.id).status == "rejected", "a person's decision stands"
    assert sum(1 for _ in kb.claims()) == 6


def test_reviews_teach_how_claims_are_worded(store: Store, ontology: Ontology) -> None:
    """Papers say `followed`, which no rule knows; reviewers accept it, and reject `alongside`."""
    kb = KnowledgeBase(store, "drugs")
    texts = ["Tremor followed lithium in some.", "Rash alongside lithium in some."]
    curate(kb, ontology, *(paper(f"{text} Paper {n}.", number=n) for n in range(20) for text in [texts[n % 2]]))
    for claim in list(kb.claims()):
        kb.review(claim.id, "accepted" if claim.object == "MESH:D014202" else "rejected", reviewer="ada")
    new = [
        paper("Hemorrhage followed calcium in some.", number=101),
        paper("Hemorrhage alongside calcium in some.", number=102),
    ]
    curate(kb, ontology, *new)
    before = probabilities(kb, documents=[d.id for d in new])
    learn_decisions(kb)
    after = probabilities(kb, documents=[d.id for d in new])
    told = {c.document: after[c.id] - before[c.id] for c in kb.claims() if c.document in {d.id for d in new}}
    assert told[new[0].id] > told[new[1].id]


def test_names_of_accepted_claims_are_looked_for_in_papers_to_come(store: Store, ontology: Ontology) -> None:
    kb = KnowledgeBase(store, "drugs")
    curate(kb, ontology, paper(STATED))
    claim = next(iter(kb.claims()))
    assert accepted_names(kb) == []
    kb.review(claim.id, "accepted", reviewer="ada")
    assert ("Lithium", "MESH:D008094", "Drug", "Lithium") in accepted_names(kb)
    run = PairCuration(kb, ontology, grounders=Grounders())
    assert run.run([paper("Lithium again caused tremor.", number=2)]).supported == 1


def test_a_claim_is_judged_by_decisions_about_other_papers() -> None:
    told = [Worded(paper=p, words=frozenset({"between:so caused"}), accepted=True) for p in "abc"]
    told += [Worded(paper=p, words=frozenset({"between:so and"}), accepted=False) for p in "abc"]
    wording = WordOdds(told)
    assert (
        wording.of({"between:so caused"}, "elsewhere")["between"] > 0 > wording.of({"between:so and"}, "x")["between"]
    )
    assert wording.of({"between:so caused"}, "a")["between"] < wording.of({"between:so caused"}, "x")["between"]
    stored = WordOdds.stored(wording.weights)
    assert stored.of({"between:so caused"}, "x") == wording.of({"between:so caused"}, "x")


def test_without_names_or_pairs_one_line_says_what_is_missing(store: Store, ontology: Ontology) -> None:
    kb = KnowledgeBase(store, "drugs")
    with pytest.raises(UserError, match="pairs need names"):
        PairCuration(kb, ontology, grounders=Grounders())
    made = read_short({"name": "x", "concepts": {"Drug": {"relations": {"dose": {"to": "string"}}}}})
    with pytest.raises(UserError, match="no relation joins"):
        PairCuration(kb, made, grounders=names())


ONTOLOGY = """\
name: drugs
concepts:
  Drug:
    relations:
      induces: {to: Disease, many: true}
  Disease: {}
"""


def test_the_command_makes_a_knowledge_base_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_HOME", str(tmp_path / "home"))
    papers = tmp_path / "papers"
    papers.mkdir()
    (papers / "one.txt").write_text(f"{STATED} {LEFT_OPEN}")
    (tmp_path / "o.yaml").write_text(ONTOLOGY)
    (tmp_path / "names.tsv").write_text("\n".join("\t".join(row) for row in NAMES) + "\n")
    command = [str(papers), "--ontology", str(tmp_path / "o.yaml"), "--kb", "drugs", "--pairs"]
    done = CliRunner().invoke(app, [*command, "--lexicon", str(tmp_path / "names.tsv")])
    assert done.exit_code == 0, done.output
    assert "1 claims supported, 1 unsupported" in done.output and "0 calls" in done.output


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--rounds", "3"], "leave out --rounds"),
        (["--evaluator-model", "none"], "leave out --evaluator-model"),
        (["--tokens", "100"], "unless --model names one: leave out --tokens"),
        (["--model", "local/x"], "no model 'x' in the catalog"),
    ],
)
def test_options_that_would_do_nothing_with_pairs_are_refused(
    more: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTKIT_HOME", str(tmp_path / "home"))
    (tmp_path / "o.yaml").write_text(ONTOLOGY)
    command = [str(tmp_path), "--ontology", str(tmp_path / "o.yaml"), "--kb", "drugs", "--pairs"]
    refused = CliRunner().invoke(app, [*command, *more])
    assert isinstance(refused.exception, UserError) and problem in str(refused.exception)
