"""Feedback on finished runs: settled by rules, taught once, whoever gives it, whenever and however often."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from agentkit.agent import Agent
from agentkit.errors import DataError, UserError
from agentkit.feedback import FeedbackDesk, read_feedback
from agentkit.ledger import Ledger
from agentkit.memory import Case, CaseMemory, HashEmbedder, RecallSettings
from agentkit.memory.policy_store import PolicyStore
from agentkit.memory.recaller import MemoryRecaller
from agentkit.memory.rendering import render
from agentkit.opinions import Opinion, settle
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.store.cases import CaseRow
from agentkit.store.run_log import RunLog
from agentkit.store.runs import OpinionRow
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel

ANSWER = {"reasoning": "a guess", "answer": "munich"}


def finished(store: Store, run_id: str = "run1", *, answer: str = "munich", memory: str | None = "main") -> None:
    """A finished run, as the log keeps it."""
    log = RunLog(store)
    log.start(run_id, Task(id="t", input="the largest city?"), model="m", options={"agent": {"memory": memory}})
    log.finish(run_id, "done", answer=answer)


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> FeedbackDesk:
    CaseMemory.open(store, "main", embedder=HashEmbedder())
    finished(store)
    return FeedbackDesk(store, Settings(home=tmp_path))


def case_of(store: Store, run_id: str = "run1") -> Case:
    memory = CaseMemory.open(store, "main", embedder=HashEmbedder())
    return memory.rows.where(CaseRow.run_id == run_id)[0]


def opinion(score: float | None = None, answer: str | None = None, by: str = "user", text: str = "") -> Opinion:
    return Opinion(run_id="run1", score=score, answer=answer, by=by, text=text)


def test_a_corrected_failure_is_a_success_by_the_correctors_authority_and_the_wrong_answer_stays_on_record(
    desk: FeedbackDesk, store: Store
) -> None:
    taught = desk.take(opinion(answer="berlin", by="ann"))
    case = case_of(store)
    assert (case.answer, case.correction, case.corrected_by) == ("munich", "berlin", "ann")
    assert (case.outcome, case.earned, case.right_answer, case.channel) == ("success", 0.0, "berlin", "user")
    assert "berlin" in render([case]) and "munich" not in render([case])
    assert taught.settled is not None and taught.settled.score == 0
    assert Ledger(store).verify("policy:main") == 1


def test_the_same_word_again_changes_nothing_and_a_changed_mind_counts(desk: FeedbackDesk, store: Store) -> None:
    first, again = desk.take(opinion(1.0)), desk.take(opinion(1.0))
    assert first.changes == again.changes and Ledger(store).version("policy:main") == 1
    desk.take(opinion(0.0))
    assert case_of(store).reward == 0
    desk.take(opinion(1.0))
    assert case_of(store).reward == 1
    assert [said.score for said in desk.opinions("run1")] == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("said", "score", "correction"),
    [
        ([("ann", None, "berlin"), ("bob", None, "bonn"), ("cid", None, "berlin")], 0.0, "berlin"),
        ([("ann", None, "berlin"), ("bob", None, "bonn")], 0.0, "bonn"),
        ([("ann", 1.0, None), ("bob", None, "berlin"), ("cid", 1.0, None)], 1.0, None),
        ([("ann", 1.0, None), ("bob", None, "berlin")], 0.0, "berlin"),
        ([("bob", None, "berlin"), ("ann", 1.0, None)], 1.0, None),
        ([("ann", 1.0, None), ("bob", 1.0, None), ("label", None, "berlin")], 0.0, "berlin"),
        ([("ann", None, " munich ")], 1.0, None),
        ([("ann", 0.2, "berlin"), ("bob", 0.4, None)], 0.3, "berlin"),
    ],
)
def test_several_people_are_settled_by_rules(
    said: list[tuple[str, float | None, str | None]], score: float, correction: str | None
) -> None:
    opinions = [opinion(value, answer, by) for by, value, answer in said]
    settled = settle(opinions, "munich")
    assert settled is not None
    assert (settled.score, settled.correction) == (pytest.approx(score), correction)


def test_a_text_alone_is_kept_and_judges_nothing(desk: FeedbackDesk, store: Store) -> None:
    assert desk.take(opinion(text="too short")).settled is None
    assert case_of(store).outcome == "unknown" and desk.opinions("run1")[0].text == "too short"


def test_the_policy_becomes_what_it_would_be_had_it_known_at_once(store: Store, tmp_path: Path) -> None:
    memory = CaseMemory.open(store, "main", embedder=HashEmbedder())
    memory.add(Case(id="old", state="the largest river?", plan="look", reward=1.0))
    recaller = MemoryRecaller(memory, settings=RecallSettings(policy="dense"))
    policies = PolicyStore(store, "main")
    for run in ("run1", "run2"):
        finished(store, run)
        recaller.recall_now("the largest city?", run_id=run)
        policies.learn(run, "default", 1.0)
    desk = FeedbackDesk(store, Settings(home=tmp_path))
    desk.take(opinion(answer="berlin"))
    assert policies.current().count == 2
    assert policies.current().head() == policies.replay().head()
    with store.read() as connection:
        assert [recall.outcome for recall in policies.log.learnt(connection)] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (Opinion(run_id="none", score=1.0), "is not a run"),
        (opinion(), "needs a score, a right answer or a text"),
        (opinion(2.0), "between 0"),
        (opinion(1.0, "berlin"), "takes no correction"),
        (opinion(answer=" "), "is empty"),
        (opinion(1.0, by=" "), "name of its author"),
    ],
)
def test_bad_feedback_is_one_line_and_writes_nothing(
    desk: FeedbackDesk, store: Store, given: Opinion, says: str
) -> None:
    with pytest.raises((UserError, DataError), match=says) as error:
        desk.take(given)
    assert "\n" not in str(error.value)
    assert desk.opinions("run1") == [] and Ledger(store).targets() == []


@pytest.mark.parametrize(
    ("form", "answer", "says"),
    [
        ({"choices": ("berlin", "munich")}, "paris", "'paris' is not one of"),
        ({"answer_schema": {"type": "integer"}}, "many", "not JSON"),
        ({"answer_schema": {"type": "integer"}}, "4.5", "not of type 'integer'"),
    ],
)
def test_a_right_answer_has_the_type_that_the_task_asked_for(
    store: Store, tmp_path: Path, form: dict[str, Any], answer: str, says: str
) -> None:
    log = RunLog(store)
    log.start("typed", Task(id="t", input="?", **form), model="m", options={})
    log.finish("typed", "done", answer="1")
    with pytest.raises(DataError, match=says) as error:
        FeedbackDesk(store, Settings(home=tmp_path)).take(Opinion(run_id="typed", answer=answer))
    assert "\n" not in str(error.value)


def test_a_run_that_has_not_finished_can_not_be_judged(store: Store, tmp_path: Path) -> None:
    RunLog(store).start("open", Task(id="t", input="?"), model="m", options={})
    with pytest.raises(UserError, match="has not finished"):
        FeedbackDesk(store, Settings(home=tmp_path)).take(Opinion(run_id="open", score=1.0))


def test_an_agent_takes_feedback_on_its_own_runs(store: Store, tmp_path: Path) -> None:
    CaseMemory.open(store, "main", embedder=HashEmbedder())
    settings = Settings(home=tmp_path)
    with Agent(ScriptedModel([ANSWER]), store=store, settings=settings, memory="main", evaluate=False) as agent:
        result = agent.run("the largest city?", labels="gold")
        agent.feedback(result.run_id, answer="berlin", by="ann")
    case = case_of(store, result.run_id)
    assert (case.answer, case.correction, case.state) == ("munich", "berlin", "the largest city?")


LESSON = {"error": "the wrong city", "cause": "area was taken for size", "approach": "count people",
          "lessons": [{"content": "Large means many inhabitants, not much area."}], "judgements": []}  # fmt: skip


def test_a_correction_is_a_lesson_once_and_the_wrong_answer_stands_beside_the_right_one(
    store: Store, tmp_path: Path
) -> None:
    read: list[str] = []

    def reply(messages: Sequence[Any], tools: Sequence[str]) -> dict[str, Any]:
        read.append("\n".join(message.text for message in messages))
        return LESSON if "You study how" in read[-1] else ANSWER

    with Agent(
        ScriptedModel(reply), store=store, settings=Settings(home=tmp_path), playbook="main", evaluate=False
    ) as agent:
        result = agent.run("the largest city?")
        assert len(read) == 1
        agent.feedback(result.run_id, score=0.0)
        assert len(read) == 1
        for _ in range(2):
            agent.feedback(result.run_id, answer="berlin", text="by inhabitants")
        assert len(read) == 2
        agent.feedback(result.run_id, answer="hamburg", by="ann")
        agent.feedback(result.run_id, answer="hamburg", by="bob")
    assert "<answer>\nmunich\n</answer>" in read[1] and "The right answer is berlin" in read[1]
    assert "by inhabitants" in read[1] and "The right answer is hamburg" in read[2] and len(read) == 3
    (change,) = Ledger(store).history("playbook:main")
    assert (change.run_id, change.status) == (result.run_id, "quarantined")
    assert "inhabitants" in str(change.operations)
    assert Ledger(store).verify("playbook:main") == 0 or change.key.endswith(":trial")


def test_the_credit_of_bullets_follows(store: Store, tmp_path: Path) -> None:
    from agentkit.playbooks.evidence import UsageLog
    from agentkit.protocols import Offer

    finished(store, memory=None)
    evidence = UsageLog(store, "playbook:main")
    evidence.expose("run1", [Offer(id="b1", shown=True, probability=0.5)], 1.0)
    FeedbackDesk(store, Settings(home=tmp_path), playbook="main").take(opinion(0.0))
    assert [cell.total for cell in evidence.cells()] == [0.0]
    assert Ledger(store).verify("credit:main") == 1


def test_a_file_with_a_bad_line_is_refused_whole(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_text('{"run": "run1", "score": 1}\n{"run": "run1", "stars": 5}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"f\.jsonl.*2.*stars"):
        read_feedback(file)


WORKER = """
import sys
from pathlib import Path
from agentkit.feedback import FeedbackDesk
from agentkit.opinions import Opinion
from agentkit.settings import Settings
from agentkit.store import Store
database, home, who = sys.argv[1:]
desk = FeedbackDesk(Store.open(database), Settings(home=Path(home)))
for run in range(6):
    desk.take(Opinion(run_id=f"run{run}", answer="berlin", by=who))
    print(run, flush=True)
"""


def start(store: Path, home: Path, who: str, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(store), str(home), who]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **env})


@pytest.mark.kill
def test_eight_processes_and_a_kill_in_the_middle_have_one_effect_each(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = Store.open(path)
    CaseMemory.open(store, "main", embedder=HashEmbedder())
    for run in range(6):
        finished(store, f"run{run}")
    people = ["ann", "ann", "ann", "bob", "bob", "cid", "dee", "eve"]
    workers = [start(path, tmp_path, who) for who in people]
    assert workers[0].stdout is not None
    workers[0].stdout.readline()
    workers[0].send_signal(signal.SIGKILL)
    for worker in workers:
        worker.communicate(timeout=200)
    assert [worker.returncode for worker in workers[1:]] == [0] * 7
    assert Ledger(store).verify("policy:main") == 6 * len(set(people))
    with store.read() as connection:
        assert connection.execute(select(func.count()).select_from(OpinionRow)).scalar() == 6 * len(set(people))
    memory = CaseMemory.open(store, "main", embedder=HashEmbedder())
    assert [case.correction for case in memory.rows.where()] == ["berlin"] * 6
