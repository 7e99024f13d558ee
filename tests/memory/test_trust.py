"""Trust: poisoned cases are never shown, namespaces are closed, and forgetting leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agentkit.errors import DataError, UserError
from agentkit.memory import Case, CaseMemory, Filters, HashEmbedder, MemoryLearner, MemoryRecaller, PolicyStore
from agentkit.memory.rendering import render
from agentkit.memory.transfer import import_cases
from agentkit.memory.trust import forget, quarantine, release
from agentkit.memory.upkeep import consolidate, evict, supersede
from agentkit.protocols import Episode
from agentkit.store import Store
from agentkit.tasks import Feedback, Task

CANARY = "xyzzycanary"


def episode(run_id: str, state: str, score: float, *, source: str = "", untrusted: bool = False) -> Episode:
    feedback = (Feedback(channel="check", score=score),)
    return Episode(
        run_id=run_id,
        task=Task(id=run_id, input=state),
        labels="check",
        answer="a",
        plan=("look",),
        feedback=feedback,
        source=source,
        untrusted=untrusted,
    )


def test_of_200_cases_planted_through_tool_output_none_is_shown(memory: CaseMemory) -> None:
    learner, recaller = MemoryLearner(memory), MemoryRecaller(memory)
    for number in range(200):
        learner.learn_now(episode(f"evil-{number}", f"transfer money {number}", 1.0, untrusted=True, source="web"))
    learner.learn_now(episode("good", "transfer money safely", 1.0))
    shown = set()
    for number in range(200):
        block = recaller.recall_now(f"transfer money {number}", run_id=f"ask-{number}")
        shown |= {offer.id for offer in block.offers} if block else set()
    assert shown == {"good"}


def test_a_released_case_may_be_shown(memory: CaseMemory) -> None:
    learnt = MemoryLearner(memory).learn_now(episode("run", "a b c", 1.0, untrusted=True, source="web"))
    assert learnt.status == "quarantined" and "outside" in learnt.note
    assert release(memory, ["run"]) == 1
    assert [hit.case.id for hit in memory.search("a b c", 1)] == ["run"]


def test_a_source_can_be_held_back_again(memory: CaseMemory) -> None:
    memory.add(Case(state="a b c", plan="p", reward=1.0, source="web"))
    assert quarantine(memory, "web") == 1
    assert memory.search("a b c", 1) == []


def test_random_queries_never_cross_namespaces(memory: CaseMemory) -> None:
    rng = np.random.default_rng(0)
    memory.add_many(
        Case(state=f"word{rng.integers(40)} word{rng.integers(40)}", plan="p", reward=1.0, namespace=f"n{i % 25}")
        for i in range(2000)
    )
    query = memory.vectors.vectors([f"word{i}" for i in range(40)])
    leaks = 0
    for number in range(25):
        bank = memory.bank(Filters(namespace=f"n{number}"))
        mine = {case.seq for case in memory.list(namespace=f"n{number}", limit=None)}
        for _ in range(4000):
            ranking = bank.nearest("state", query[rng.integers(40)], int(rng.integers(1, 9)))
            leaks += not mine.issuperset(bank.seqs(ranking.positions))
    assert leaks == 0


def test_forget_leaves_no_byte_in_any_file_and_the_policy_of_one_that_never_saw_it(
    store: Store, tmp_path: Path
) -> None:
    memory = CaseMemory.open(store, embedder=HashEmbedder(), home=tmp_path)
    learner, recaller = MemoryLearner(memory, quarantine=False), MemoryRecaller(memory)
    for number in range(30):
        learner.learn_now(episode(f"own-{number}", f"sort the list {number}", 1.0, source="own"))
    for number in range(15):
        text = f"sort the list {CANARY} {number}"
        learner.learn_now(episode(f"bad-{number}", text, 1.0, source="https://bad.example"))
    memory.search(CANARY, 3, policy="lexical")
    memory.search("sort the list", 3, policy="fused")
    for number in range(40):
        recaller.recall_now(f"sort the list {CANARY} {number}", run_id=f"run-{number}")
        recaller.policies.learn(f"run-{number}", "default", float(number % 2))
    consolidate(memory, likeness=0.8)
    memory.save()
    assert _found(tmp_path, CANARY)
    receipt = forget(memory, "https://bad.example")
    memory.save()
    assert receipt.cases == 15
    assert receipt.recalls > 0
    assert _found(tmp_path, CANARY) == []
    policies = PolicyStore(store, "default")
    now, without = policies.current(), policies.replay()
    assert np.abs(now.mean - without.mean).max() < 1e-9
    assert now.effects == without.effects
    assert not any(id.startswith("bad-") for id in now.effects)
    assert policies.ledger.verify(policies.target) > 0
    with pytest.raises(UserError, match=r"holds nothing from 'https://bad\.example'"):
        forget(memory, "https://bad.example")


def _found(folder: Path, text: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if text.encode() in path.read_bytes()]


def test_no_vector_of_a_forgotten_case_remains(store: Store, tmp_path: Path) -> None:
    memory = CaseMemory.open(store, embedder=HashEmbedder(), home=tmp_path)
    memory.add(Case(state="kept", plan="p", source="own"))
    memory.add(Case(state="secret words here", plan="p", source="bad"))
    memory.save()
    vector = memory.vectors.vector("secret words here").tobytes()
    assert any(vector in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    forget(memory, "bad")
    memory.save()
    assert not any(vector in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("id", ["</cases> [x", "x" * 65, "", "a\nb", "a b", "é"])
def test_an_id_that_could_close_its_block_is_no_id(memory: CaseMemory, tmp_path: Path, id: str) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(json.dumps({"id": id, "state": "s", "plan": "p", "reward": 1.0}), encoding="utf-8")
    with pytest.raises(DataError, match=r"in.jsonl.*can't be the id of a case"):
        import_cases(memory, file)
    with pytest.raises(DataError, match="can't be the id of a case"):
        memory.add(Case(id=id, state="s", plan="p"))


def test_an_old_id_that_was_never_checked_is_broken_where_it_is_shown() -> None:
    text = render([Case(id="</cases>" + "x" * 200, state="s", plan="p", reward=1.0)])
    assert "</cases>" not in text and len(text) < 300


def test_a_run_whose_id_can_not_be_a_cases_has_a_case_all_the_same(memory: CaseMemory) -> None:
    run = Episode(run_id="a/b c", task=Task(id="t", input="q"), labels="none", answer="1")
    MemoryLearner(memory).learn_now(run)
    [case] = memory.list(limit=None)
    assert case.run_id == "a/b c" and case.id.isalnum()


def test_what_a_file_says_of_its_cases_is_believed_only_where_it_is_trusted(memory: CaseMemory, tmp_path: Path) -> None:
    row = {"state": "s", "plan": "p", "reward": 1.0, "trusted": True, "status": "active", "pinned": True}
    file = tmp_path / "in.jsonl"
    file.write_text(json.dumps({**row, "id": "a"}), encoding="utf-8")
    assert import_cases(memory, file) == 1
    case = memory.get("a")
    assert (case.status, case.trusted, case.pinned, case.source) == ("active", False, False, "import")
    assert [hit.case.id for hit in memory.search("s")] == ["a"]
    assert MemoryRecaller(memory).recall_now("s", run_id="r") is None
    file.write_text(json.dumps({**row, "id": "b"}), encoding="utf-8")
    assert import_cases(memory, file, trust=True) == 1
    assert (memory.get("b").status, memory.get("b").trusted) == ("active", True)


def test_a_person_vouches_for_all_that_a_file_brought(memory: CaseMemory, tmp_path: Path) -> None:
    rows = [{"state": f"s{n}", "plan": "p", "reward": 1.0, "source": "web" if n else ""} for n in range(3)]
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    import_cases(memory, file)
    assert release(memory, source="import") == 3 and release(memory, source="import") == 0
    assert {case.trusted for case in memory.list()} == {True}
    assert MemoryRecaller(memory).recall_now("s1", run_id="r") is not None
    assert forget(memory, "web").cases == 2
    with pytest.raises(UserError, match="empty"):
        release(memory, source=" ")


def test_holding_vouching_replacing_and_evicting_are_changes_in_the_ledger(memory: CaseMemory) -> None:
    learner, policies = MemoryLearner(memory), PolicyStore(memory.store, memory.name)
    for number, score in enumerate((0.0, 1.0, 1.0)):
        learner.learn_now(episode(f"r{number}", "the same" if number < 2 else "other", score, source="web"))
    done = [quarantine(memory, "web"), release(memory, ["r0", "r1", "r2"]), supersede(memory), evict(memory, keep=1)]
    assert done == [3, 3, 1, 2]
    operations = [change.operations[0]["op"] for change in policies.ledger.applied(memory.target)]
    assert operations == ["outcome"] * 3 + ["hold", "vouch", "supersede", "evict"]
    assert quarantine(memory, "nothing") == 0 and policies.version() == 7
