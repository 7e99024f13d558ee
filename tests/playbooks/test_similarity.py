"""Near-duplicates: repeats are found, rules for different things stay apart, contradictions are flagged."""

from __future__ import annotations

import pytest

from agentkit.playbooks import Add, Bullet, Duplicates, HashEmbedder, Index
from agentkit.playbooks.similarity import contradiction, named
from agentkit.store import Store


def bullet(content: str, scope: str = "") -> Bullet:
    made = Add(content=content, scope=scope)
    return Bullet(made.id, made.section, made.scope, made.content)


@pytest.fixture
def duplicates() -> Duplicates:
    return Duplicates(index=Index())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Always convert amounts to dollars before adding them.",
            "always convert the amounts to dollars before adding them",
        ),
        ("Check the sign of the result.", "Check the sign of the results!"),
        ("Round the final result only.", "Round the final result only"),
    ],
)
def test_repeats_are_duplicates(duplicates: Duplicates, one: str, other: str) -> None:
    assert duplicates.duplicate(one, "", [bullet(other)]) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Page through lists of Spotify with page_index.", "Page through lists of Venmo with page_index."),
        ("Give the ratio with 2 decimals in the answer.", "Give the ratio with 4 decimals in the answer."),
        ("Call `get_user` before each request of it.", "Call `get_team` before each request of it."),
        ("Check the sign of the result.", "Use the register of orders to look up codes."),
    ],
)
def test_rules_for_different_things_are_not(duplicates: Duplicates, one: str, other: str) -> None:
    assert duplicates.duplicate(one, "", [bullet(other)]) is None


def test_a_rule_for_one_tool_does_not_swallow_the_same_rule_for_another(duplicates: Duplicates) -> None:
    text = "Follow the next page until it is empty."
    assert duplicates.duplicate(text, "venmo", [bullet(text, "spotify")]) is None
    assert duplicates.duplicate(text, "venmo", [bullet(text, "venmo")]) is not None
    assert duplicates.duplicate(text, "venmo", [bullet(text)]) is not None
    assert duplicates.duplicate(text, "", [bullet(text, "venmo")]) is None


def test_contradictions_are_flagged() -> None:
    assert contradiction("Always round the result to two decimals", "Never round the result to two decimals")
    assert contradiction("Give 2 decimals.", "Give 4 decimals.") == "the same rule with different numbers"
    assert not contradiction("Never divide by zero", "Never divide by zero in ratios")
    assert not contradiction("Check the sign", "Avoid long answers")


def test_names_are_numbers_code_and_capitals_inside_a_sentence() -> None:
    assert named("Use the API of Venmo with page_index 50 and `limit`") == {"api", "venmo", "page_index", "50", "limit"}
    assert named("Check the sign") == frozenset()


def test_each_text_is_embedded_once_and_kept_in_the_store(store: Store) -> None:
    class Counting(HashEmbedder):
        texts = 0

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            Counting.texts += len(texts)
            return super().embed_documents(texts)

    bullets = [bullet(f"lesson {n} about things") for n in range(100)]
    index = Index(Counting(), store)
    for n in (50, 100, 100):
        index.similarities("things", bullets[:n])
    assert Counting.texts == 100 == len(index)
    again = Index(Counting(), store)
    scores = again.similarities("lesson 7 about things", bullets)
    assert Counting.texts == 100 and scores.argmax() == 7


def test_similarities_follow_the_bullets_asked_about_whatever_the_index_holds() -> None:
    index = Index()
    a, b = bullet("red apples"), bullet("green pears")
    index.ensure([a, b])
    assert index.similarities("green pears", [b, a]).tolist() == pytest.approx([1.0, 0.0], abs=0.3)
    assert index.similarities("x", []).tolist() == []
