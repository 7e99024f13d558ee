"""The manifest of claims and the tests stand in agreement, in both directions."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.claims import CLAIMS, PROMISE, SOURCES, claims_of

ROOT = Path(__file__).resolve().parent.parent


@cache
def names_in(path: str) -> set[str]:
    """The names of a file's test functions."""
    file = ROOT / path
    if not file.exists():
        return set()
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("name", CLAIMS)
def test_every_test_a_claim_names_is_there(name: str) -> None:
    assert CLAIMS[name].tests
    missing = [test for test in CLAIMS[name].tests if test.split("::")[1] not in names_in(test.split("::")[0])]
    assert missing == [], "the test was renamed or removed: mend tests/claims.py"


def test_every_claim_has_a_known_source_and_an_id_of_two_words() -> None:
    assert {claim.source for claim in CLAIMS.values()} == set(SOURCES)
    assert [name for name in CLAIMS if not re.fullmatch(r"[a-z]+\.[a-z]+", name)] == []


def test_no_two_claims_say_the_same() -> None:
    assert len({claim.says for claim in CLAIMS.values()}) == len(CLAIMS)


def test_a_test_knows_what_it_stands_for() -> None:
    first = next(iter(CLAIMS))
    assert first in claims_of(CLAIMS[first].tests[0])


def test_promises_about_runs_learning_trust_errors_and_models_are_all_held() -> None:
    areas = {name.split(".")[0] for name, claim in CLAIMS.items() if claim.source == PROMISE}
    assert areas >= {"run", "learn", "trust", "errors", "models"}
