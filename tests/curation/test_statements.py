"""The same statement of several papers is one row."""

from __future__ import annotations

from typing import Any

import pytest

from agentkit.curation.kb.records import ClaimHead
from agentkit.curation.kb.statements import believed, statements


def head(id_: str, document: str, status: Any = "supported", **qualifiers: Any) -> ClaimHead:
    return ClaimHead(id_, "drug", "affects", "pain", document, qualifiers, status, 0.0)


def test_the_same_statement_of_several_papers_is_one_row_with_those_for_and_against_it() -> None:
    found = statements(
        [
            head("a", "p1", direction="decreased"),
            head("b", "p2", direction="Decreased", certainty="likely"),
            head("c", "p2", direction="decreased"),
            head("d", "p3", direction="increased"),
            head("e", "p4", "unsupported", direction="increased"),
            head("f", "p5", "rejected", direction="increased"),
        ]
    )
    assert [(item.said, item.papers, item.against) for item in found] == [
        ("direction: decreased", ("p1", "p2"), ("p3",)),
        ("direction: increased", ("p3",), ("p1", "p2")),
    ]
    assert found[0].claims == ("a", "b", "c")


def test_another_comparator_is_another_statement() -> None:
    found = statements([head("a", "p1", comparator="placebo"), head("b", "p2", comparator="Aspirin")])
    assert [item.against for item in found] == [(), ()] and {dict(item.context)["comparator"] for item in found} == {
        "placebo",
        "aspirin",
    }


def test_belief_grows_with_likely_papers_for_it_and_falls_with_those_against() -> None:
    every = statements([head("a", "p1"), head("b", "p2"), head("c", "p3", negated=True)])
    stated, negated = believed(every, every, {"a": 1.0, "b": 0.5, "c": 0.5})
    assert stated.belief == pytest.approx(2.5 / 4) and negated.belief == pytest.approx(1.5 / 4)
    alone = statements([head("a", "p1")])
    assert believed(alone, alone, {"a": 1.0})[0].belief == pytest.approx(2 / 3)
    assert believed(alone, alone, {"a": 0.0})[0].belief == 0.5
