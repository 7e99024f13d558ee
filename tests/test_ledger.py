"""The ledger: one version per change, once, in order, and a history that can't be rewritten unnoticed."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, update

from agentkit.errors import Conflict, IntegrityError, UserError
from agentkit.ledger import Change, Ledger, Verdict
from agentkit.store import Store
from agentkit.store.changes import ChangeEventRow, ChangeRow

TARGET = "playbook:test"


def change(key: str, *, base: int = 0, text: str = "x") -> Change:
    operations = ({"op": "add", "text": text},)
    return Change(key=key, kind="playbook", target=TARGET, base=base, operations=operations, role="curator")


def nothing(_connection: Connection, _change: Change) -> None: ...


@pytest.fixture
def ledger(any_store: Store) -> Ledger:
    return Ledger(any_store)


def test_a_committed_change_gets_the_next_version(ledger: Ledger) -> None:
    assert [ledger.commit(change(f"k{n}"), nothing).version for n in range(3)] == [1, 2, 3]
    assert ledger.version(TARGET) == 3
    assert [item.key for item in ledger.applied(TARGET, after=1)] == ["k1", "k2"]
    assert ledger.verify(TARGET) == 3


def test_committing_the_same_key_again_applies_its_effect_once(ledger: Ledger) -> None:
    seen: list[int | None] = []

    def effect(_connection: Connection, done: Change) -> None:
        seen.append(done.version)

    first, second = ledger.commit(change("k"), effect), ledger.commit(change("k"), effect)
    assert seen == [1]
    assert first.id == second.id and second.version == 1


def test_an_effect_that_raises_takes_the_proposal_back_too(ledger: Ledger) -> None:
    def stale(_connection: Connection, _change: Change) -> None:
        raise Conflict("moved on")

    with pytest.raises(Conflict):
        ledger.commit(change("k"), stale)
    assert ledger.find("k") is None
    assert ledger.version(TARGET) == 0


def test_a_quarantined_change_can_be_applied_later(ledger: Ledger) -> None:
    proposed = ledger.propose(change("k"))
    ledger.decide(proposed.id, Verdict(decision="quarantine", reason="untrusted source"))
    assert [item.key for item in ledger.history(TARGET, status="quarantined")] == ["k"]
    done = ledger.apply(proposed.id, nothing, verdict=Verdict(decision="accept", reason="9 of 10", evidence={"n": 10}))
    assert done.version == 1
    assert [event.status for event in ledger.events(proposed.id)] == ["proposed", "quarantined", "applied"]
    assert (ledger.events(proposed.id)[-1].verdict or {})["evidence"] == {"n": 10}


def test_an_applied_change_cannot_be_rejected_afterwards(ledger: Ledger) -> None:
    done = ledger.commit(change("k"), nothing)
    with pytest.raises(Conflict):
        ledger.decide(done.id, Verdict(decision="reject", reason="late"))


def test_a_rewritten_change_is_found_out(ledger: Ledger) -> None:
    for number in range(3):
        ledger.commit(change(f"k{number}"), nothing)
    with ledger.store.write() as connection:
        connection.execute(update(ChangeRow).where(ChangeRow.key == "k1").values(operations=[{"op": "forged"}]))
    with pytest.raises(IntegrityError, match="version 2"):
        ledger.verify(TARGET)


@pytest.mark.parametrize(("gone", "said"), [(3, "ends before its head"), (2, "version 2 does not match")])
def test_a_version_that_is_gone_from_the_log_is_found_out(ledger: Ledger, gone: int, said: str) -> None:
    for number in range(3):
        ledger.commit(change(f"k{number}"), nothing)
    with ledger.store.write() as connection:
        connection.execute(delete(ChangeEventRow).where(ChangeEventRow.version == gone))
    with pytest.raises(IntegrityError, match=said):
        ledger.verify(TARGET)


def test_writers_that_commit_at_once_lose_nothing(ledger: Ledger) -> None:
    def write(number: int) -> None:
        for index in range(10):
            ledger.commit(change(f"{number}-{index}"), nothing)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.verify(TARGET) == 80


def test_an_unknown_change_is_one_clear_line(ledger: Ledger) -> None:
    with pytest.raises(UserError, match="no change 'ffff'"):
        ledger.get("ffff")


@pytest.mark.kill
@pytest.mark.parametrize("fault", ["before:ledger.commit", "after:ledger.commit"])
def test_a_process_killed_around_a_commit_leaves_it_whole_or_absent(
    store: Store, fault: str, kill_at: Callable[..., int]
) -> None:
    code = f"""
from agentkit.store import Store
from agentkit.ledger import Change, Ledger
ledger = Ledger(Store.open({store.engine.url.render_as_string()!r}))
operations = ({{"op": "add"}},)
ledger.commit(Change(key="k", kind="playbook", target={TARGET!r}, base=0, operations=operations, role="curator"),
              lambda connection, change: None)
"""
    assert kill_at(code, fault) == -9
    assert Ledger(store).version(TARGET) == (1 if fault.startswith("after") else 0)
    assert kill_at(code, None) == 0
    assert Ledger(store).verify(TARGET) == 1
