"""Operations: each does what it says or nothing, concurrent edits merge, and what commutes commutes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.errors import Conflict, DataError, UserError
from agentkit.playbooks.bullets import MAX_CONTENT, bullet_id, clean, label
from agentkit.playbooks.history import History
from agentkit.playbooks.merging import merge_text
from agentkit.playbooks.operations import (
    Add,
    Delta,
    Merge,
    Operation,
    Restore,
    Retire,
    Revive,
    Split,
    Update,
    Vote,
    read_operations,
)


def history(*contents: str) -> History:
    made = History("playbook:test")
    made.append(tuple(Add(content=content) for content in contents), base=0)
    return made


def find(made: History, content: str) -> tuple[str, str]:
    bullet = next(item for item in made.playbook() if item.content == content)
    return bullet.id, bullet.hash


def contents(made: History) -> list[str]:
    return [bullet.content for bullet in made.playbook()]


def test_adding_the_same_twice_is_one_bullet() -> None:
    made = history("a rule", "a  rule\n")
    assert contents(made) == ["a rule"]


def test_the_same_text_for_two_scopes_is_two_bullets() -> None:
    made = History("playbook:test")
    made.append((Add(content="page by 50", scope="spotify"), Add(content="page by 50", scope="venmo")), base=0)
    assert len(made.playbook()) == 2


def test_an_update_keeps_the_id_and_moves_to_the_end() -> None:
    made = history("one", "two", "three")
    id, hash = find(made, "one")
    made.append((Update(id=id, expected=hash, content="one, better"),), base=1)
    assert contents(made) == ["two", "three", "one, better"]
    assert find(made, "one, better")[0] == id


def test_votes_of_one_delta_add_up() -> None:
    made = history("a")
    id, _ = find(made, "a")
    made.append((Vote(id=id, helpful=1), Vote(id=id, helpful=2, harmful=1)), base=1)
    made.append((Vote(id=id, helpful=1),), base=1)
    assert made.votes == {id: (4, 1)}


def test_merge_replaces_and_split_divides() -> None:
    made = history("a", "b", "c and d")
    (a, ha), (b, hb), (c, hc) = (find(made, text) for text in ("a", "b", "c and d"))
    made.append(
        (Merge(expected={a: ha, b: hb}, content="a or b"), Split(id=c, expected=hc, contents=("c", "d"))), base=1
    )
    assert contents(made) == ["a or b", "c", "d"]
    book = made.playbook()
    assert book.bullets[find(made, "a or b")[0]].parents == tuple(sorted((a, b)))
    assert {bullet.id for bullet in book.retired} == {a, b, c}


def test_merging_into_the_text_of_one_of_them_keeps_that_one() -> None:
    made = history("a", "b")
    (a, ha), (b, hb) = find(made, "a"), find(made, "b")
    made.append((Merge(expected={a: ha, b: hb}, content="a"),), base=1)
    assert contents(made) == ["a"]


def test_a_retired_bullet_comes_back_only_by_revival() -> None:
    made = history("a")
    id, hash = find(made, "a")
    made.append((Retire(id=id, expected=hash),), base=1)
    with pytest.raises(Conflict, match="retired"):
        made.append((Add(content="a"),), base=2)
    made.append((Revive(id=id, expected=made.playbook().bullets[id].hash),), base=2)
    assert contents(made) == ["a"]


@pytest.mark.parametrize(
    "bad", [Retire(id="nosuch22", expected="x"), Vote(id="nosuch22", helpful=1), Update(id="nosuch22", expected="x")]
)
def test_one_impossible_operation_takes_all_of_its_delta_back(bad: Operation) -> None:
    made = history("a")
    before = made.playbook().to_json()
    with pytest.raises(Conflict):
        made.append((Add(content="b"), bad), base=1)
    assert made.playbook().to_json() == before and made.version == 1


def test_edits_of_different_words_merge_in_either_order() -> None:
    base = "Always convert amounts to dollars before adding them up"
    results = set()
    for order in itertools.permutations((base.replace("dollars", "euros"), base.replace("Always", "Never"))):
        made = history(base)
        id, hash = find(made, base)
        for text in order:
            made.append((Update(id=id, expected=hash, content=text),), base=1)
        results.add(made.playbook().digest)
        assert contents(made) == ["Never convert amounts to euros before adding them up"]
    assert len(results) == 1


def test_edits_of_the_same_words_conflict() -> None:
    made = history("round to two digits")
    id, hash = find(made, "round to two digits")
    made.append((Update(id=id, expected=hash, content="round to three digits"),), base=1)
    with pytest.raises(Conflict, match="same words"):
        made.append((Update(id=id, expected=hash, content="round to four digits"),), base=1)


def test_text_and_scope_edits_merge() -> None:
    made = history("page by 50")
    id, hash = find(made, "page by 50")
    made.append((Update(id=id, expected=hash, scope="spotify"),), base=1)
    made.append((Update(id=id, expected=hash, content="page by 20"),), base=1)
    bullet = made.playbook().bullets[id]
    assert (bullet.scope, bullet.content) == ("spotify", "page by 20")


WORDS = st.lists(st.sampled_from(["red", "green", "blue", "one", "two", "three", "stop", "go"]), min_size=1, max_size=8)


@given(base=WORDS, ours=WORDS, theirs=WORDS)
def test_merging_is_symmetric(base: list[str], ours: list[str], theirs: list[str]) -> None:
    def merged(one: list[str], other: list[str]) -> str | None:
        try:
            return merge_text(" ".join(base), " ".join(one), " ".join(other))
        except Conflict:
            return None

    assert merged(ours, theirs) == merged(theirs, ours)


@st.composite
def commuting_deltas(draw: st.DrawFn) -> list[tuple[Operation, ...]]:
    """Adds, repeats of adds, votes, retirements, and edits of disjoint words, all made against version 1."""
    start = history(*(f"rule number {n} about red things and blue things" for n in range(6)))
    bullets = list(start.playbook())
    pool: list[Operation] = [Add(content=f"new {n}", scope=draw(st.sampled_from(["", "tool"]))) for n in range(4)]
    pool += [Vote(id=bullet.id, helpful=1) for bullet in bullets] + [Vote(id=bullets[0].id, harmful=2)]
    pool += [Update(id=bullets[1].id, expected=bullets[1].hash, content=bullets[1].content.replace("red", "green"))]
    pool += [Update(id=bullets[1].id, expected=bullets[1].hash, content=bullets[1].content.replace("blue", "grey"))]
    pool += [Update(id=bullets[1].id, expected=bullets[1].hash, section="formulas")]
    pool += [Retire(id=bullets[2].id, expected=bullets[2].hash), Retire(id=bullets[3].id, expected=bullets[3].hash)]
    return draw(st.lists(st.lists(st.sampled_from(pool), min_size=1, max_size=3).map(tuple), min_size=2, max_size=6))


@given(deltas=commuting_deltas(), seed=st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_any_permutation_of_commuting_deltas_gives_the_same_state(
    deltas: list[tuple[Operation, ...]], seed: int
) -> None:
    def after(order: Sequence[tuple[Operation, ...]]) -> tuple[str, dict[str, tuple[int, int]]]:
        made = history(*(f"rule number {n} about red things and blue things" for n in range(6)))
        for delta in order:
            made.append(delta, base=1)
        return made.playbook().digest, made.votes

    shuffled = list(deltas)
    random.Random(seed).shuffle(shuffled)
    assert after(deltas) == after(shuffled)


def test_a_restore_brings_back_exactly_what_was() -> None:
    made = history("a", "b")
    id, hash = find(made, "a")
    then = made.playbook()
    made.append((Retire(id=id, expected=hash), Add(content="c"), Vote(id=id, helpful=1)), base=1)
    made.append((Restore(version=1),), base=2)
    assert made.playbook().bullets == then.bullets
    assert made.votes == {id: (1, 0)}


def test_operations_are_read_from_json_and_bad_ones_are_named() -> None:
    delta = Delta(key="k", base=0, operations=(Add(content="a"), Restore(version=0)))
    change = delta.to_change("playbook:x")
    assert Delta.from_change(change) == delta
    with pytest.raises(DataError, match="operation 0"):
        read_operations([{"op": "format", "id": "x"}])
    with pytest.raises(DataError, match="content"):
        read_operations([{"op": "add"}])


@given(st.text(max_size=300))
def test_content_is_always_one_visible_line(text: str) -> None:
    try:
        line = clean(text)
    except UserError:
        return
    assert line == " ".join(line.split()) and line.isprintable() and clean(line) == line


def test_what_is_too_long_is_refused_and_labels_are_tame() -> None:
    with pytest.raises(UserError, match="split it"):
        clean("x" * (MAX_CONTENT + 1))
    assert label("  ## Evil\n[x] ") == "evil x"
    assert len(bullet_id("a", "", "b")) == 8 and bullet_id("a", "", "b") != bullet_id("a", "b", "")
