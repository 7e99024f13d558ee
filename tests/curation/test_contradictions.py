from __future__ import annotations

from agentkit.curation.claims import Claim, Qualifier, Status
from agentkit.curation.kb.contradictions import contradictions


def claim(document: str, direction: str, status: Status = "supported", **more: Qualifier) -> Claim:
    qualifiers = {"direction": direction, "comparator": "placebo", **more}
    return Claim(subject="a", predicate="affects", object="b", document=document, qualifiers=qualifiers, status=status)


def test_papers_that_tell_the_same_comparison_differently_contradict_each_other() -> None:
    up, down, same = claim("1", "increased"), claim("2", "decreased"), claim("3", "increased")
    (found,) = contradictions([up, down, same])
    assert found.sides == {
        "direction: decreased": (down.id,),
        "direction: increased": tuple(sorted([up.id, same.id])),
    }


def test_another_comparator_or_dose_is_no_contradiction() -> None:
    assert not contradictions([claim("1", "increased"), claim("2", "decreased", dose="5 mg")])


def test_what_is_not_exported_contradicts_nobody() -> None:
    assert not contradictions([claim("1", "increased"), claim("2", "decreased", "rejected")])
