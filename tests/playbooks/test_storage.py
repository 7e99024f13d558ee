"""The playbook in the database: every version, several writers, nothing lost, nothing half done."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import update

from agentkit.errors import Conflict, IntegrityError, UserError
from agentkit.ledger import Verdict
from agentkit.playbooks import Add, Bullet, CollapseGuard, Delta, Merge, PlaybookStore, Retire, Split, Update, Vote
from agentkit.playbooks.applying import DeltaOutcome
from agentkit.playbooks.evidence import UsageLog
from agentkit.playbooks.operations import Operation, Restore
from agentkit.protocols import Offer
from agentkit.store import Store
from agentkit.store.playbooks import BulletRow


@pytest.fixture
def book(any_store: Store) -> PlaybookStore:
    return PlaybookStore.open(any_store, "test")


def apply(book: PlaybookStore, *operations: Operation, key: str = "", base: int | None = None, role: str = "x") -> int:
    at = book.version() if base is None else base
    delta = Delta(key=key or f"k{book.version()}", base=at, operations=operations, role=role, run_id=f"run{at}")
    version = book.apply(delta).version
    assert version is not None
    return version


def build(book: PlaybookStore) -> None:
    """A history with every operation in it."""
    apply(book, Add(content="a"), Add(content="b"), Add(content="c and d"))
    a, b, both = book.current().active
    apply(book, Vote(id=a.id, helpful=2), Add(content="e", scope="tool"))
    apply(book, Update(id=a.id, expected=a.hash, content="a, better"))
    apply(book, Split(id=both.id, expected=both.hash, contents=("c", "d")))
    better = book.current().get(a.id)
    apply(book, Merge(expected={better.id: better.hash, b.id: b.hash}, content="a and b"))
    e = next(bullet for bullet in book.current() if bullet.content == "e")
    apply(book, Retire(id=e.id, expected=e.hash))


def test_every_version_can_be_shown_and_compared(book: PlaybookStore) -> None:
    build(book)
    replayed = book.replay()
    for version in range(7):
        assert book.at(version).to_json() == replayed.playbook(version).to_json()
    assert [edit.kind for edit in book.diff(4, 5)] == ["retired", "retired", "added"]
    assert [edit.kind for edit in book.diff(2, 3)] == ["changed"]
    assert book.verify() == 6


def test_a_second_reader_follows_what_another_writes(book: PlaybookStore) -> None:
    other = PlaybookStore.open(book.store, "test")
    build(book)
    assert other.current().to_json() == book.current().to_json()
    apply(book, Add(content="new"))
    assert other.current().to_json() == book.at(7).to_json()
    book.rollback(2)
    assert other.current().bullets == book.at(2).bullets


def test_rollback_goes_to_any_version_and_back_again(book: PlaybookStore) -> None:
    build(book)
    for version in (3, 6, 0, 5, 1):
        book.rollback(version)
        assert book.current().bullets == book.at(version).bullets
    apply(book, Add(content="after"))
    book.verify()
    with pytest.raises(UserError, match="versions 0 to 12"):
        book.rollback(99)


def test_every_version_stays_what_it_was_through_rollbacks_of_rollbacks(book: PlaybookStore) -> None:
    rng, seen = random.Random(7), {0: book.current()}
    for step in range(60):
        bullets = book.current().active
        if bullets and rng.random() < 0.3:
            book.rollback(rng.randrange(book.version()))
        elif bullets and rng.random() < 0.5:
            chosen = rng.choice(bullets)
            changes = (
                Retire(id=chosen.id, expected=chosen.hash),
                Update(id=chosen.id, expected=chosen.hash, content=f"edited in step {step}"),
            )
            apply(book, rng.choice(changes))
        else:
            apply(book, Add(content=f"lesson {rng.randrange(1000)}"))
        seen[book.version()] = book.current()
    fresh = PlaybookStore.open(book.store, "test")
    replayed = fresh.replay()
    for version, then in seen.items():
        assert fresh.at(version).to_json() == then.to_json() == replayed.playbook(version).to_json()
    assert fresh.verify() == len(seen) - 1


def test_nobody_can_roll_back_to_a_version_that_is_still_to_come(book: PlaybookStore) -> None:
    with pytest.raises(Conflict, match="there is no version 1"):
        book.apply(Delta(key="x", base=0, operations=(Restore(version=1),)))
    assert book.version() == 0


def test_votes_survive_merges_and_rollbacks(book: PlaybookStore) -> None:
    build(book)
    merged = next(bullet for bullet in book.current() if bullet.content == "a and b")
    assert book.votes()[merged.id] == (2, 0)
    book.rollback(2)
    assert (2, 0) in book.votes().values()


def test_blame_names_every_change_and_run_of_a_bullet_and_its_parents(book: PlaybookStore) -> None:
    build(book)
    merged = next(bullet for bullet in book.current() if bullet.content == "a and b")
    origins = book.blame(merged.id)
    assert [(origin.version, origin.operation) for origin in origins] == [
        (1, "add"),
        (1, "add"),
        (3, "update"),
        (5, "merge"),
        (5, "merge"),
        (5, "merge"),
    ]
    assert {origin.run_id for origin in origins} == {"run0", "run2", "run4"}


def test_one_change_can_be_withdrawn_and_later_ones_stay(book: PlaybookStore) -> None:
    apply(book, Add(content="a"))
    apply(book, Add(content="harmful"), key="bad")
    apply(book, Add(content="c"))
    bad = book.ledger.find("bad")
    assert bad is not None
    book.withdraw(bad, reason="made it worse")
    assert [bullet.content for bullet in book.current()] == ["a", "c"]
    assert book.ledger.get(bad.id).status == "withdrawn"
    book.verify()


def test_withdrawing_an_edit_keeps_later_edits_of_other_words(book: PlaybookStore) -> None:
    apply(book, Add(content="red things go left"))
    first = book.current().active[0]
    apply(book, Update(id=first.id, expected=first.hash, content="red things go right"), key="edit")
    second = book.current().active[0]
    apply(book, Update(id=first.id, expected=second.hash, content="blue things go right"))
    edit = book.ledger.find("edit")
    assert edit is not None
    book.withdraw(edit, reason="left was right")
    assert book.current().active[0].content == "blue things go left"


def test_the_same_delta_takes_effect_once(book: PlaybookStore) -> None:
    delta = Delta(key="once", base=0, operations=(Add(content="a"),))
    assert book.apply(delta).version == book.apply(delta).version == 1
    assert book.version() == 1


def test_a_conflicting_delta_waits_and_is_not_lost(book: PlaybookStore) -> None:
    apply(book, Add(content="round to two digits"))
    bullet = book.current().active[0]
    for n in ("three", "four"):
        operation = Update(id=bullet.id, expected=bullet.hash, content=f"round to {n} digits")
        change = book.submit(Delta(key=n, base=1, operations=(operation,)))
    assert change.status == "waiting"
    assert book.current().active[0].content == "round to three digits"
    assert "same words" in str(book.ledger.events(change.id)[-1].verdict)
    with pytest.raises(Conflict):
        book.release(change.id, Verdict(decision="accept", reason="x"))
    assert [item.key for item in book.ledger.history(book.target, status="waiting")] == ["four"]


def test_no_delta_takes_much_away_without_the_gate(book: PlaybookStore) -> None:
    apply(book, *(Add(content=f"lesson number {n} about something useful") for n in range(20)))
    doomed = tuple(Retire(id=b.id, expected=b.hash) for b in book.current().active[:8])
    change = book.submit(Delta(key="collapse", base=1, operations=doomed))
    assert change.status == "waiting" and len(book.current()) == 20
    assert "takes away" in str(book.ledger.events(change.id)[-1].verdict)
    small = book.submit(Delta(key="small", base=1, operations=doomed[:2]))
    assert small.status == "applied"
    book.release(change.id, Verdict(decision="accept", reason="the gate saw no loss"))
    assert len(book.current()) == 12


def test_a_rewrite_into_less_counts_as_loss(book: PlaybookStore) -> None:
    apply(book, *(Add(content=f"lesson number {n} about something useful and long") for n in range(10)))
    bullets = book.current().active
    short = tuple(Update(id=b.id, expected=b.hash, content=f"{n}") for n, b in enumerate(bullets))
    assert book.submit(Delta(key="shrink", base=1, operations=short)).status == "waiting"


def test_a_bullet_that_credit_has_found_to_help_does_not_go_without_the_gate(book: PlaybookStore) -> None:
    apply(book, *(Add(content=f"lesson number {n} about something") for n in range(40)))
    good, other, *_ = book.current().active
    evidence = UsageLog(book.store, book.target)
    for n in range(40):
        offers = [Offer(id=bullet.id, shown=n % 2 == 0, probability=0.5, score=0.9) for bullet in (good, other)]
        evidence.expose(f"good{n}", offers[:1], float(n % 2 == 0))
        evidence.expose(f"other{n}", offers[1:], float(n % 4 < 2))

    def retire(bullet: Bullet) -> str:
        return book.submit(
            Delta(key=bullet.id, base=1, operations=(Retire(id=bullet.id, expected=bullet.hash),))
        ).status

    assert retire(good) == "waiting" and retire(other) == "applied"
    waiting = book.ledger.history(book.target, status="waiting")[0]
    assert "of the estimated value" in str(book.ledger.events(waiting.id)[-1].verdict)


def test_merging_bullets_that_help_is_no_loss(book: PlaybookStore) -> None:
    apply(book, *(Add(content=f"lesson {n}") for n in range(20)))
    one, other = book.current().active[:2]
    merge = Merge(expected={one.id: one.hash, other.id: other.hash}, content="lessons 0 and 1")
    seen = book.preview([Delta(key="p", base=1, operations=(merge,)).to_change(book.target)])
    changed = DeltaOutcome(
        bullets={id: new for id, new in seen.bullets.items() if book.current().bullets.get(id) != new}
    )
    assert CollapseGuard().objection(book.current(), changed, {one.id: 0.5}) is None
    retired = DeltaOutcome(bullets={one.id: seen.bullets[one.id]})
    assert CollapseGuard().objection(book.current(), retired, {one.id: 0.5}) is not None


def test_a_preview_writes_nothing(book: PlaybookStore) -> None:
    build(book)
    delta = Delta(key="p", base=6, operations=(Restore(version=1),))
    seen = book.preview([delta.to_change(book.target)])
    assert seen.bullets == book.at(1).bullets and book.version() == 6


def test_a_restore_must_stand_alone(book: PlaybookStore) -> None:
    with pytest.raises(UserError, match="only operation"):
        book.apply(Delta(key="x", base=0, operations=(Restore(version=0), Add(content="a"))))


def test_a_row_changed_behind_the_ledgers_back_is_found_out(book: PlaybookStore) -> None:
    build(book)
    with book.store.write() as connection:
        connection.execute(update(BulletRow).values(content="forged"))
    with pytest.raises(IntegrityError, match="replay"):
        PlaybookStore.open(book.store, "test").verify()


def test_bad_names_and_unknown_playbooks_get_one_line(store: Store) -> None:
    with pytest.raises(UserError, match="can't name"):
        PlaybookStore.open(store, "../x")
    with pytest.raises(UserError, match="known: none yet"):
        PlaybookStore.open(store, "x", must_exist=True)


def test_sixteen_threads_lose_no_update(any_store: Store) -> None:
    seeded = PlaybookStore.open(any_store, "shared")
    apply(seeded, Add(content="the shared bullet"))
    shared = seeded.current().active[0].id
    errors: list[BaseException] = []

    def write(writer: int) -> None:
        book = PlaybookStore.open(any_store, "shared")
        try:
            for n in range(6):
                own = Add(content=f"writer {writer} says {n}")
                book.apply(Delta(key=f"w{writer}-{n}", base=1, operations=(own, Vote(id=shared, helpful=1))))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    book = PlaybookStore.open(any_store, "shared")
    assert len(book.current()) == 1 + 16 * 6
    assert book.votes()[shared] == (96, 0)
    assert book.verify() == 97


WRITER = """
import sys
from agentkit.playbooks import Add, Delta, PlaybookStore, Vote
from agentkit.store import Store
store, writer, shared = Store.open(sys.argv[1]), sys.argv[2], sys.argv[3]
book = PlaybookStore.open(store, "shared")
for n in range(10):
    operations = (Add(content=f"writer {writer} says {n}"), Vote(id=shared, helpful=1))
    book.apply(Delta(key=f"w{writer}-{n}", base=1, operations=operations))
"""


def test_four_processes_lose_no_update(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "shared.db")
    book = PlaybookStore.open(store, "shared")
    apply(book, Add(content="the shared bullet"))
    shared = book.current().active[0].id
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", WRITER, str(tmp_path / "shared.db")]
    started = [subprocess.Popen([*command, str(n), shared], cwd=root) for n in range(4)]
    assert [process.wait(timeout=120) for process in started] == [0] * 4
    assert len(book.current()) == 41 and book.votes()[shared] == (40, 0) and book.verify() == 41
    store.close()
