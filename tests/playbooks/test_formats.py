"""Formats: what is written can be read back, and nothing read can be more than content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.errors import DataError, UserError
from agentkit.playbooks import Add, Bullet, Delta, Playbook, PlaybookStore, Vote
from agentkit.playbooks.bullets import clean
from agentkit.playbooks.formats import read_file, read_text, to_ace, to_json, to_markdown, to_skill
from agentkit.store import Store

EMPTY = {"format": "agentkit-playbook/1"}
ACE = """
## STRATEGIES AND INSIGHTS
[sai-00001] helpful=12 harmful=1 :: Check units before dividing.
[sai-00002] helpful=0 harmful=0 :: Content with :: and [x-00001] helpful=5 harmful=0 :: inside

## FORMULAS_AND_CALCULATIONS
[calc-00003] helpful=1 harmful=0 :: ROI is a fraction.
"""


def playbook(contents: list[tuple[str, str, str]]) -> Playbook:
    bullets = {}
    for n, (section, scope, content) in enumerate(contents):
        made = Add(section=section or "x", scope=scope, content=content)
        bullets[made.id] = Bullet(made.id, made.section, made.scope, made.content, revised=n)
    return Playbook(target="playbook:t", version=1, bullets=bullets)


def texts(book: Playbook) -> set[tuple[str, str, str]]:
    return {(bullet.section, bullet.scope, bullet.content) for bullet in book.active}


def readable(text: str) -> bool:
    try:
        return bool(clean(text))
    except UserError:
        return False


CONTENT = st.one_of(
    st.text(min_size=1, max_size=60),
    st.text(alphabet=st.sampled_from("[](){}:#-*\\\n abscope23"), min_size=1, max_size=40),
    st.sampled_from(["[abcdwxyz] x", "(scope: y) z", "\\[a", "- item", "## h", "\\(b", "* c"]),
).filter(readable)
LABEL = st.text(alphabet=st.sampled_from("abc de"), max_size=8)


@given(rows=st.lists(st.tuples(LABEL, LABEL, CONTENT), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
@pytest.mark.parametrize("write", [to_markdown, to_json])
def test_markdown_and_json_come_back_as_they_went(write: object, rows: list[tuple[str, str, str]]) -> None:
    book = playbook(rows)
    found = read_text(write(book, {}))  # type: ignore[operator]
    assert set(found.bullets) == texts(book)


def test_aces_text_is_read_with_its_counters_and_written_back(store: Store) -> None:
    found = read_text(ACE)
    assert found.votes == [(12, 1), (0, 0), (1, 0)]
    assert found.bullets[1][2] == "Content with :: and [x-00001] helpful=5 harmful=0 :: inside"
    book = PlaybookStore.open(store, "ace")
    delta = found.delta(book.current(), source="ace.txt", trust=True)
    assert delta is not None
    book.apply(delta)
    written = to_ace(book.current(), book.votes())
    assert read_text(written).bullets == found.bullets and read_text(written).votes == found.votes
    assert "helpful=12 harmful=1 :: Check units" in written


def test_a_skill_has_front_matter_and_leaves_out_what_was_voted_down(store: Store) -> None:
    book = PlaybookStore.open(store, "My Book".replace(" ", "_"))
    good, bad = Add(content="Good lesson", scope="sql"), Add(content="Bad lesson")
    operations = (good, bad, Vote(id=bad.id, harmful=2))
    book.apply(Delta(key="k", base=0, operations=operations))
    text = to_skill(book.current(), book.votes())
    assert text.startswith('---\nname: my-book\ndescription: "Lessons learnt about sql.')
    assert "(sql) Good lesson" in text and "Bad lesson" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ('{"format": "other"}', "expected format"),
        (json.dumps({**EMPTY, "bullets": [{"content": 3}]}), "bullet 1 has no content"),
        (
            json.dumps({"format": "agentkit-playbook/1", "bullets": [{"content": "a", "helpful": -1}]}),
            "helpful must be",
        ),
        ("just prose", "holds no bullets"),
        ("- " + "x" * 2000, ":1: a bullet may have 1200"),
    ],
)
def test_bad_files_get_one_line_that_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "book.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_file(path)
    with pytest.raises(DataError, match="no such file"):
        read_file(tmp_path / "nothing")


def test_wrapped_and_numbered_items_are_whole_and_other_lines_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    text = "# Rules\n\nSome prose.\n\n- Never restart\n  at night.\n1. Answer first.\n2) Quote.\n+ Ask.\n"
    found = [content for _, _, content in read_text(text).bullets]
    assert found == ["Never restart at night.", "Answer first.", "Quote.", "Ask."]
    assert "1 lines are not list items" in caplog.text
