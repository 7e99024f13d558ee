"""A knowledge base learns from its reviewers: decisions, corrections, and how likely each claim is to be accepted."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pytest

from agentkit import changes
from agentkit.confidence.logistic import chance, ridge_logistic
from agentkit.confidence.risk import auroc
from agentkit.curation.claims import Claim
from agentkit.curation.documents import Document
from agentkit.curation.evidence import evidence_at, find_quote, verify
from agentkit.curation.kb.audit import Coverage, audit
from agentkit.curation.kb.corrections import Correction, add, correct
from agentkit.curation.kb.episodes import reviewed
from agentkit.curation.kb.exchange import content_of
from agentkit.curation.kb.knowledge_base import Author, KnowledgeBase, Write
from agentkit.curation.kb.records import Record
from agentkit.curation.kb.review import queue, read_review, write_review
from agentkit.curation.kb.verification import verify_kb
from agentkit.curation.kb.wording import diff_in_words
from agentkit.curation.learning.decisions import decided, doubts, learn_decisions, probabilities, progress
from agentkit.curation.learning.picture import draw_risk
from agentkit.curation.learning.signals import Decided, Known, PaperSignals, Signals
from agentkit.curation.learning.store import VerifierStore
from agentkit.curation.learning.verifier import best_threshold, cross_fitted, fit, prior
from agentkit.errors import UserError
from agentkit.ledger import Ledger
from agentkit.store import Store

DRUGS = ("lithium", "heparin", "cocaine", "aspirin", "warfarin", "naloxone")
HARM, NONE = "{drug} caused tremor in all patients.", "Whether {drug} causes rash remains unclear."


def document(number: int) -> Document:
    drug = DRUGS[number % len(DRUGS)]
    text = f"{HARM.format(drug=drug)} {NONE.format(drug=drug)} Paper {number}."
    return Document(id=f"{number:064x}", title="", text=text[0].upper() + text[1:])


def records(paper: Document, number: int) -> list[Record]:
    """A claim that the paper states, and one that it leaves open; the machine's statuses as the checks have them."""
    drug = DRUGS[number % len(DRUGS)]
    found = []
    for harm, quote in (("tremor", HARM), ("rash", NONE)):
        at = find_quote(paper, quote.format(drug=drug)[1:])
        assert at is not None
        claim = Claim(subject=drug, predicate="induces", object=harm, document=paper.id, evidence=(at,))
        verdict = verify(claim, paper)
        status = "supported" if verdict.supported else "unsupported"
        found.append(Record(claim=claim.with_status(status, verdict.reason)))
    return found


@pytest.fixture
def kb(store: Store) -> KnowledgeBase:
    made = KnowledgeBase(store, "drugs")
    for number in range(12):
        paper = document(number)
        made.add_document(paper)
        made.write(Write(records=records(paper, number)), key=f"paper{number}", author=Author())
    return made


def decide(kb: KnowledgeBase, harm: str, decision: str, count: int) -> None:
    for claim in [c for c in kb.claims() if c.object == harm and c.status not in ("accepted", "rejected")][:count]:
        kb.review(claim.id, "accepted" if decision == "accepted" else "rejected", reviewer="ada")


def test_without_any_decision_findings_are_likelier_than_open_questions(kb: KnowledgeBase) -> None:
    told = probabilities(kb)
    by_harm = {harm: [told[c.id] for c in kb.claims() if c.object == harm] for harm in ("tremor", "rash")}
    assert min(by_harm["tremor"]) > 0.5 > max(by_harm["rash"])
    assert VerifierStore(kb.store, kb.name).current().verifier == prior()
    assert learn_decisions(kb) == 0, "nothing to learn makes no version"


def test_decisions_move_the_verifier_even_against_the_prior(kb: KnowledgeBase) -> None:
    before = probabilities(kb)
    decide(kb, "tremor", "rejected", 6)
    decide(kb, "rash", "accepted", 6)
    assert learn_decisions(kb) == 1
    after = probabilities(kb)
    waiting = [c for c in kb.claims() if c.status not in ("accepted", "rejected")]
    assert len(waiting) == 12
    for claim in waiting:
        assert (after[claim.id] < before[claim.id]) == (claim.object == "tremor")
    assert {after[c.id] for c in kb.claims(status="accepted")} == {1.0}


def test_the_same_decisions_make_no_new_version_and_a_rollback_stays(kb: KnowledgeBase) -> None:
    decide(kb, "tremor", "accepted", 3)
    store = VerifierStore(kb.store, kb.name)
    assert learn_decisions(kb) == learn_decisions(kb) == 1
    change = changes.rollback(kb.store, "verifier:drugs", 0)
    assert change.kind == "verifier" and store.version == 2 and store.current().verifier == prior()
    decide(kb, "rash", "rejected", 3)
    assert learn_decisions(kb) == 2, "a person went back to it"
    assert learn_decisions(kb, again=True) == 3 and store.current().verifier.decisions == 6
    with pytest.raises(UserError, match="no version 9"):
        store.at(9)
    assert Ledger(kb.store).verify("verifier:drugs") == 3


def test_the_likeliest_wrong_come_first_in_the_review(kb: KnowledgeBase) -> None:
    wrong = Claim(
        subject="lithium",
        predicate="induces",
        object="rash",
        document=document(0).id,
        qualifiers={"negated": "no"},
        evidence=(evidence_at(document(0), 0, 5),),
    )
    kb.write(Write(records=[Record(claim=wrong.with_status("supported"))]), key="wrong", author=Author())
    first = queue(kb, doubts=doubts)[0]
    assert first.record.claim.id == wrong.id and first.likely is not None and first.likely < 0.4
    assert first.to_json()["likely"] == round(first.likely, 4)
    assert queue(kb)[0].likely is None


def test_an_export_can_be_held_to_likely_claims(kb: KnowledgeBase) -> None:
    decide(kb, "tremor", "accepted", 2)
    told = probabilities(kb)
    some = sorted(told[c.id] for c in kb.claims(status="supported"))[3]
    likely = frozenset(id_ for id_, probability in told.items() if probability > some)
    whole, held = content_of(kb), content_of(kb, only=likely)
    assert 2 <= len(held.claims) < len(whole.claims) and {c.id for c in held.claims} <= likely


def test_progress_is_told_with_an_interval_once_there_is_enough(kb: KnowledgeBase, tmp_path: Path) -> None:
    decide(kb, "tremor", "accepted", 4)
    assert progress(kb).gain is None and progress(kb).decisions == 4
    decide(kb, "tremor", "accepted", 3)
    decide(kb, "rash", "rejected", 7)
    told = progress(kb)
    assert told.auroc == told.before == 1.0 and told.gain == (0.0, 0.0, 0.0)
    assert told.picture is not None and told.picture.half == 1.0
    draw_risk(told.to_json()["picture"], tmp_path / "risk.png")
    assert (tmp_path / "risk.png").read_bytes().startswith(b"\x89PNG")


def test_a_correction_rejects_the_old_claim_and_accepts_the_new_one(kb: KnowledgeBase) -> None:
    old = next(c for c in kb.claims() if c.object == "rash" and c.document == document(0).id)
    version = kb.version
    made = correct(kb, old.id, Correction(object="tremor", quote="caused tremor"), reviewer="ada", note="wrong end")
    assert kb.version == version + 1 and made.objection == ""
    now = {c.id: c for c in kb.claims()}
    assert now[old.id].status == "rejected" and "lithium — induces → tremor" in now[old.id].reason
    assert now[made.claim.id].status == "accepted" and now[made.claim.id].evidence[0].quote == "caused tremor"
    assert [(row["decision"], row["reviewer"]) for row in kb.reviews()] == [("corrected", "ada"), ("added", "ada")]
    assert verify_kb(kb).ok
    assert len(decided(kb)) == 1, "what a person wrote says nothing about what machines get right"
    wrong = next(e for e in reviewed(kb) if e.score == 0.0)
    assert "wrong end" in wrong.feedback[0].text and "lithium — induces → tremor" in wrong.feedback[0].text
    kb.rollback(version)
    assert {c.id: c.status for c in kb.claims()}[old.id] == "unsupported"


def test_a_claim_that_was_missed_is_added(kb: KnowledgeBase) -> None:
    paper = document(1)
    given = Correction(subject="heparin", predicate="induces", object="seizures", quote="Heparin caused tremor")
    made = add(kb, paper.id[:64], given, reviewer="ada")
    assert made.claim.status == "accepted" and "seizures" in made.objection
    assert {e.label for e in kb.entities()} == {"heparin", "seizures"}
    with pytest.raises(UserError, match="needs its object"):
        add(kb, paper.id, Correction(subject="a", predicate="b", quote="c"), reviewer="ada")
    with pytest.raises(UserError, match="no paper"):
        add(kb, "nowhere", given, reviewer="ada")


def test_a_correction_must_change_something_and_quote_the_paper(kb: KnowledgeBase) -> None:
    claim = next(iter(kb.claims()))
    for change, said in (
        (Correction(), "changes nothing"),
        (Correction(object=claim.object), "changes nothing"),
        (Correction(quote="Lithium cures all."), "not in the paper"),
    ):
        with pytest.raises(UserError, match=said):
            correct(kb, claim.id, change, reviewer="ada")
    assert kb.reviews() == []


def test_a_review_file_may_correct(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    write_review(kb, path)
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    row = next(r for r in rows if r["object"] == "rash")
    row |= {"decision": "correct", "object": "tremor", "quote": "caused tremor", "note": "see there"}
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, rows[0])
        table.writeheader()
        table.writerows(rows)
    assert read_review(kb, path, reviewer="ada").decided == 1
    (made,) = kb.claims(status="accepted")
    assert [entity.label for entity in kb.entities(ids=[made.object])] == ["tremor"]
    again = read_review(kb, path, reviewer="ada")
    assert (again.decided, again.unchanged) == (0, 1)


def test_decisions_about_a_paper_tell_nothing_about_its_own_claims() -> None:
    one, other = records(document(0), 0)[0].claim, records(document(6), 6)[0].claim
    assert one.subject == other.subject
    known = Known([Decided(claim=one, accepted=True)])
    assert known.of(one) == (0.0, 0.0, 0.0) and all(share > 0 for share in known.of(other))


def test_signals_say_what_the_paper_makes_of_a_claim() -> None:
    paper = document(0)
    stated, left_open = (PaperSignals(paper, records(paper, 0)).of(record) for record in records(paper, 0))
    assert (stated.found, stated.open, stated.checks) == (1.0, 0.0, 1.0)
    assert (left_open.found, left_open.open, left_open.checks) == (0.0, 1.0, 1.0)
    assert stated.asserted > left_open.asserted == 0.0 and stated.apart == pytest.approx(np.log(2))
    assert len(stated.vector()) == len(Signals.names())


def test_chance_teaches_nothing() -> None:
    rng = random.Random(0)
    made = [Signals(found=rng.random(), together=rng.random(), late=rng.random()) for _ in range(400)]
    labels = [rng.random() < 0.4 for _ in made]
    told = cross_fitted(made, labels, [str(number // 4) for number in range(400)])
    area = auroc(told, [float(label) for label in labels])
    assert area is not None and abs(area - 0.5) < 0.08
    real = [signals.found > 0.5 for signals in made]
    learnt = auroc(cross_fitted(made, real, [str(n) for n in range(400)]), [float(label) for label in real])
    assert learnt is not None and learnt > 0.95
    assert fit([], []) == prior()


def test_right_claims_that_no_quote_supports_count_as_missed_when_the_threshold_is_chosen() -> None:
    rng = random.Random(0)
    carried = [Signals(checks=1.0, found=1.0, together=3 * rng.random()) for _ in range(200)]
    labels = [rng.random() < signals.together / 3 for signals in carried]
    never = [Signals(checks=1.0, unsaid=1.0, together=rng.random()) for _ in range(200)]
    assert all(signals.carried for signals in carried) and not any(signals.carried for signals in never)
    papers = [str(number // 4) for number in range(400)]
    made, accepted = [*carried, *never], [*labels, *[True] * 200]
    verifier = fit(made, accepted, papers=papers)
    blind = best_threshold(cross_fitted(made, accepted, papers), accepted)
    assert verifier.threshold < blind == 0.5  # with so many missed, more of the others is worth a few errors


def test_a_regression_from_far_away_arrives() -> None:
    data = np.random.default_rng(0).normal(size=(500, 3))
    target = (np.random.default_rng(1).random(500) < chance(data @ [1.0, -1.0, 0.0])).astype(float)
    near = ridge_logistic(data, target, np.zeros(4), ridge=1e-6)
    far = ridge_logistic(data, target, np.array([25.0, -9.0, 9.0, 9.0]), ridge=1e-6)
    assert np.allclose(near, far, atol=1e-2) and abs(near[1] - 1) < 0.4


def test_the_area_under_the_curve_counts_ties_half() -> None:
    assert auroc([0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1]) == 0.875
    assert auroc([0.5, 0.5], [0, 1]) == 0.5 and auroc([0.5], [1]) is None


def test_an_audit_tells_what_does_not_hold_and_what_is_covered(kb: KnowledgeBase) -> None:
    paper = document(0)
    first = next(c for c in kb.claims() if c.document == paper.id and c.object == "tremor")
    again = Claim(
        subject="lithium",
        predicate="induces",
        object="tremor",
        document=paper.id,
        evidence=(evidence_at(paper, 0, 14), *first.evidence),
    )
    false = Claim(subject="lithium", predicate="induces", object="rash", document=paper.id, evidence=again.evidence)
    made = [Record(claim=claim.with_status("supported")) for claim in (again, false)]
    kb.write(Write(records=made), key="audit", author=Author())
    found = audit(kb)
    assert found.repeated == (tuple(sorted((first.id, again.id))),)
    assert [id_ for id_, _ in found.broken] == [false.id] and "rash" in found.broken[0][1]
    assert found.coverage == (Coverage(relation="induces", claimed=12, unsupported=0, nothing=0),)
    assert found.stale == found.unread == found.doubles == ()


def test_a_difference_is_told_in_words(kb: KnowledgeBase) -> None:
    version = kb.version
    claim = next(c for c in kb.claims() if c.object == "tremor" and c.document == document(0).id)
    kb.review(claim.id, "rejected", reviewer="ada", note="no")
    assert diff_in_words(kb, kb.diff(version)) == ["~ lithium — induces → tremor: supported → rejected (no)"]
    add(
        kb,
        document(2).id,
        Correction(subject="cocaine", predicate="induces", object="fits", quote="Cocaine"),
        reviewer="a",
    )
    lines = diff_in_words(kb, kb.diff(version + 1))
    assert lines[0].startswith("+ cocaine — induces → fits [accepted]") and len(lines) == 3
    assert diff_in_words(kb, kb.diff(version + 2, version + 1))[0].startswith("- cocaine — induces → fits")
