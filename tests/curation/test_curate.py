from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agentkit.curation.curate import Curation, CurationOptions, Report
from agentkit.curation.documents import read_folder
from agentkit.curation.events import CurationEvent, PaperRead, PaperUnread, WorkDone, silent
from agentkit.curation.export import export
from agentkit.curation.extraction.plan import make_plan
from agentkit.curation.grounding.grounders import Grounders
from agentkit.curation.kb.episodes import compared, learn, reviewed
from agentkit.curation.kb.exchange import content_of, import_jsonl
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.review import queue, read_review, write_review
from agentkit.curation.kb.verification import verify_kb
from agentkit.curation.kb.work import WorkLog
from agentkit.curation.ontology.files import load_ontology
from agentkit.errors import DataError, ModelError
from agentkit.ledger import Ledger
from agentkit.models.budget import Budget
from agentkit.models.caller import Retry
from agentkit.protocols import Block, Episode, Learnt
from agentkit.store import Store
from agentkit.testing import ScriptedModel

from .papers import ONTOLOGY, model, reader, write_papers

DOSE = "the dose that was given"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_papers(tmp_path / "papers", 6)


def run(kb: KnowledgeBase, folder: Path, *, text: str = ONTOLOGY, explorer: Any = None, **options: Any) -> Report:
    schema = folder.parent / "ontology.yaml"
    schema.write_text(text)
    explorer = explorer or model()
    recallers, evaluator = options.pop("recallers", ()), options.pop("evaluator", explorer)
    on_event = options.pop("on_event", silent)
    made = Curation(
        kb,
        make_plan(load_ontology(schema)),
        explorer=explorer,
        evaluator=evaluator,
        naming=Grounders(),
        options=CurationOptions(**options),
        recallers=recallers,
        on_event=on_event,
        retry=Retry(attempts=1),
    )
    return asyncio.run(made.run(read_folder(folder)))


def test_events_tell_of_every_paper_and_of_what_was_found_by_then(store: Store, folder: Path) -> None:
    (folder / "cut.pdf").write_bytes(b"%PDF-1.7 cut")
    events: list[CurationEvent] = []
    report = run(KnowledgeBase(store, "kb"), folder, on_event=events.append)
    work = [event for event in events if isinstance(event, WorkDone)]
    assert sum(isinstance(event, PaperRead) for event in events) == report.papers == 6
    assert [event.source for event in events if isinstance(event, PaperUnread)] == [report.unread[0].source]
    assert work[-1].claims == report.supported > work[0].claims and work[-1].tokens == report.tokens


def exported(kb: KnowledgeBase, path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in export(content_of(kb, everything=True), path / "kb.jsonl"))


def test_every_exported_claim_is_verified_against_its_paper_and_the_ledger(store: Store, folder: Path) -> None:
    kb = KnowledgeBase(store, "x")
    report = run(kb, folder)
    found = verify_kb(kb)
    assert report.papers == 6 and report.supported == found.checked == found.supported == 12 and found.ok


def test_a_second_run_asks_nothing(store: Store, folder: Path) -> None:
    kb, asked = KnowledgeBase(store, "x"), model()
    run(kb, folder, explorer=asked)
    calls, version = asked.calls, kb.version
    report = run(kb, folder, explorer=asked)
    assert (asked.calls, kb.version, report.calls) == (calls, version, 0) and report.reused == 18


def test_a_new_paper_is_the_only_one_that_is_read(store: Store, folder: Path) -> None:
    kb = KnowledgeBase(store, "x")
    run(kb, folder)
    write_papers(folder, 7)
    assert run(kb, folder).calls == 6


def test_a_changed_slot_redoes_its_own_work_alone_and_equals_a_full_run(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    changed = ONTOLOGY.replace(DOSE, "the daily dose")
    kb, fresh = KnowledgeBase(store, "x"), KnowledgeBase(Store.open(tmp_path / "fresh.db"), "x")
    run(kb, folder)
    report = run(kb, folder, text=changed)
    run(fresh, folder, text=changed)
    assert report.calls == 12 and report.reused == 12
    assert exported(kb, tmp_path) == exported(fresh, tmp_path)
    fresh.store.close()


def test_a_removed_slot_retires_its_claims_but_not_those_a_person_decided_on(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    kb = KnowledgeBase(store, "x")
    run(kb, folder)
    doses = [claim.id for claim in kb.claims(predicate="dose")]
    kb.review(doses[0], "accepted", reviewer="ada")
    without = "\n".join(line for line in ONTOLOGY.split("\n") if "dose:" not in line)
    report = run(kb, folder, text=without)
    assert report.calls == 0 and report.retired == 6
    assert [claim.id for claim in kb.claims(predicate="dose")] == [doses[0]]
    again = run(kb, folder)
    assert again.calls == 0 and len(list(kb.claims(predicate="dose"))) == 6 and verify_kb(kb).ok


def test_a_quota_error_fails_its_paper_alone_and_is_asked_again_next_time(store: Store, folder: Path) -> None:
    kb, answer = KnowledgeBase(store, "x"), reader()

    def limited(messages: Any, tools: Any) -> Any:
        if "Report 3" in messages[1].text:
            return ModelError("429: quota exceeded", status=429, retryable=True)
        return answer(messages, tools)

    report = run(kb, folder, explorer=ScriptedModel(limited, name="test/reader"))
    assert report.failed == [("paper0003.txt", "429: quota exceeded")] and report.papers == 6
    assert WorkLog(store, "x").counts() == {"done": 15, "failed_retryable": 1}
    assert run(kb, folder).calls == 6 and WorkLog(store, "x").counts() == {"done": 18}


def test_an_error_for_good_is_not_asked_again_unless_wanted(store: Store, folder: Path) -> None:
    kb = KnowledgeBase(store, "x")
    broken = ScriptedModel([ModelError("400: no such thing")], name="test/reader")
    assert run(kb, folder, explorer=broken).states == {"failed_final": 6}
    report = run(kb, folder)
    assert report.calls == 0 and len(report.failed) == 6
    assert run(kb, folder, retry_failed=True).states == {"done": 18}


def test_nothing_found_is_not_a_failure(store: Store, folder: Path) -> None:
    kb = KnowledgeBase(store, "x")
    report = run(kb, folder, explorer=ScriptedModel([{"items": []}], name="test/reader"))
    assert report.states == {"done_empty": 6} and not report.failed


def test_a_run_budget_stops_the_run_and_a_larger_one_goes_on(store: Store, folder: Path) -> None:
    kb = KnowledgeBase(store, "x")
    report = run(kb, folder, run_budget=Budget(calls=9), papers=1)
    assert "budget of 9 calls" in report.stopped and report.calls == 9
    assert run(kb, folder).calls == 36 - 9 and WorkLog(store, "x").counts() == {"done": 18}


def test_what_a_run_budget_cut_off_is_written_as_if_it_had_not(tmp_path: Path, folder: Path) -> None:
    def changes(*budgets: int | None) -> tuple[list[Any], bytes, dict[str, float]]:
        store = Store.open(tmp_path / f"{len(budgets)}.db")
        kb = KnowledgeBase(store, "x")
        for calls in budgets:
            report = run(kb, folder, run_budget=Budget(calls=calls), papers=3)
            assert report.papers == len({claim.document for claim in kb.claims()})
        found = [{**vars(change), "created_at": None, "id": change.id} for change in Ledger(store).applied(kb.target)]
        used = WorkLog(store, "x").usage()
        store.close()
        return found, exported(kb, tmp_path), used

    assert changes(8, 9, 7, None) == changes(None)


def test_a_paper_budget_leaves_the_other_papers_alone(store: Store, folder: Path) -> None:
    report = run(KnowledgeBase(store, "x"), folder, paper_budget=Budget(calls=3))
    assert not report.stopped and report.states == {"done": 6, "over_budget": 6}


def test_a_paper_that_gives_nothing_is_left_early(store: Store, folder: Path) -> None:
    report = run(KnowledgeBase(store, "x"), folder, floor=1000.0, patience=1)
    assert report.states == {"done": 6}


def test_a_quote_that_is_not_in_the_paper_makes_the_claim_unsupported(store: Store, folder: Path) -> None:
    kb, answer = KnowledgeBase(store, "x"), reader()

    def invents(messages: Any, tools: Any) -> Any:
        reply = answer(messages, tools)
        for item in reply.get("items", []):
            if item["value"].endswith("mg"):
                item["quote"] = "The dose was enormous."
        return reply

    report = run(kb, folder, explorer=ScriptedModel(invents, name="test/reader"), evaluator=None)
    assert (report.supported, report.unsupported) == (6, 6)
    assert all("not in the paper" in claim.reason for claim in kb.claims(predicate="dose"))
    assert len(content_of(kb).claims) == 6


def test_the_evaluator_sees_the_quote_in_its_text_and_can_veto(store: Store, folder: Path) -> None:
    kb, seen = KnowledgeBase(store, "x"), []

    def strict(messages: Any, tools: Any) -> Any:
        seen.append(messages[-1].text)
        missing = {} if "dose" in messages[-1].text.split("Judge")[0][-400:] else {"missing": []}
        judged = [{"item": 1, "reason": "not stated", "holds": False, "sure": 80}]
        return {"judgements": judged, **missing}

    report = run(kb, folder, evaluator=ScriptedModel(strict, name="test/strict"))
    assert report.supported == 0 and ">>Famotidine caused delirium in elderly subjects.<<" in "".join(seen)
    assert all(r.claim.reason.startswith("the evaluator objects") for r in kb.records())


def test_a_person_is_never_overruled(store: Store, folder: Path) -> None:
    kb = KnowledgeBase(store, "x")
    run(kb, folder)
    first = next(kb.claims(predicate="dose"))
    kb.review(first.id, "rejected", reviewer="ada", note="wrong drug")
    run(kb, folder, text=ONTOLOGY.replace(DOSE, "the daily dose"))
    assert kb.find(first.id).claim.status == "rejected" and kb.find(first.id).claim.reason == "wrong drug"


def test_versions_can_be_compared_and_restored(store: Store, folder: Path, tmp_path: Path) -> None:
    kb = KnowledgeBase(store, "x")
    run(kb, folder)
    before, version = exported(kb, tmp_path), kb.version
    claim = next(kb.claims())
    kb.review(claim.id, "rejected", reviewer="ada")
    assert kb.diff(version).claims.changed == [claim.id]
    assert len(kb.diff(0, version).claims.added) == 12 and len(kb.diff(version, 0).claims.removed) == 12
    kb.rollback(version)
    assert exported(kb, tmp_path) == before and not kb.diff(version).claims and verify_kb(kb).ok


def test_an_altered_row_is_found(store: Store, folder: Path) -> None:
    kb = KnowledgeBase(store, "x")
    run(kb, folder)
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE kb_claims SET confidence = 0.123 WHERE predicate = 'dose'")
    assert len(verify_kb(kb).altered) == 6


def test_a_review_file_makes_the_round_trip(store: Store, folder: Path, tmp_path: Path) -> None:
    kb, path = KnowledgeBase(store, "x"), tmp_path / "review.csv"
    run(kb, folder)
    assert write_review(kb, path) == 12
    lines = path.read_text().split("\n")
    lines[1] = lines[1].removesuffix(",,") + ",accept,fine"
    lines[2] = lines[2].removesuffix(",,") + ",reject,no"
    path.write_text("\n".join(lines))
    done = read_review(kb, path, reviewer="ada")
    assert (done.decided, done.empty) == (2, 10) and len(queue(kb)) == 10
    assert read_review(kb, path, reviewer="ada").unchanged == 2
    path.write_text("claim,decision\nnope,accept\n")
    with pytest.raises(DataError, match=r"review.csv:2: no claim 'nope'"):
        read_review(kb, path, reviewer="ada")


def test_an_export_can_be_imported_again(store: Store, folder: Path, tmp_path: Path) -> None:
    kb, copy = KnowledgeBase(store, "x"), KnowledgeBase(store, "copy")
    run(kb, folder)
    exported(kb, tmp_path)
    assert import_jsonl(copy, tmp_path / "kb.jsonl") == 12
    assert [c.id for c in copy.claims()] == [c.id for c in kb.claims()]


class Book:
    """A playbook that says one thing about one relation, and remembers its lessons."""

    name = "book"

    def __init__(self, text: str = "") -> None:
        self.text, self.episodes = text, list[Episode]()

    async def recall(self, task: Any, *, run_id: str) -> Block | None:
        if task.metadata["category"] != "dose" or not self.text:
            return None
        return Block(kind="playbook", target="playbook:book", version=1, text=self.text)

    async def learn(self, episode: Episode, *, call: Any) -> Learnt:
        self.episodes.append(episode)
        return Learnt(status="applied")


def test_a_lesson_about_one_relation_redoes_the_questions_about_it_alone(store: Store, folder: Path) -> None:
    kb = KnowledgeBase(store, "x")
    run(kb, folder)
    report = run(kb, folder, recallers=[Book("Give the dose with its unit.")])
    assert report.reused == 12 and report.states == {"done": 6}


async def test_what_reviewers_decide_reaches_learners_by_relation(store: Store, folder: Path) -> None:
    kb, book = KnowledgeBase(store, "x"), Book()
    await asyncio.to_thread(run, kb, folder)
    kb.review(next(kb.claims(predicate="dose")).id, "rejected", reviewer="ada", note="not the dose")
    await learn(reviewed(kb), [book], call=None)  # type: ignore[arg-type]
    (episode,) = book.episodes
    assert episode.feedback[0].channel == "user" and episode.score == 0.0 and "not the dose" in episode.feedback[0].text
    assert episode.task.metadata["category"] == "dose" and episode.untrusted


def test_gold_labels_teach_what_was_missed_too(store: Store, folder: Path) -> None:
    kb = KnowledgeBase(store, "x")
    run(kb, folder)
    claim = next(kb.claims(predicate="induces"))
    missed = ("a", "induces", "b")
    gold = {
        claim.document: {(claim.subject, "induces", claim.object): "it — induces → that", missed: "a — induces → b"}
    }
    (right,) = compared(kb, gold)
    assert right.task.metadata["category"] == "induces"
    assert right.feedback[0].score == pytest.approx(2 / 3) and "a — induces → b" in (right.task.target or "")


async def test_each_relation_has_a_playbook_of_its_own(store: Store, folder: Path) -> None:
    from agentkit.playbooks.by_category import LearnByRelation, RecallByRelation

    books: dict[str, Book] = {}

    def make(relation: str) -> Book:
        return books.setdefault(relation, Book(f"about {relation}"))

    kb = KnowledgeBase(store, "x")
    await asyncio.to_thread(run, kb, folder, recallers=[RecallByRelation("books", make)])
    kb.review(next(kb.claims(predicate="dose")).id, "rejected", reviewer="ada")
    await learn(reviewed(kb), [LearnByRelation("books", make)], call=None)  # type: ignore[arg-type]
    assert set(books) == {"Chemical", "induces", "dose"}
    assert len(books["dose"].episodes) == 1 and not books["induces"].episodes
