"""The list of behaviours broken on purpose keeps up with the code: `python -m tests.mutation` tries it."""

from __future__ import annotations

import ast

import pytest

from tests.mutation import MUTANTS, ROOT


@pytest.mark.parametrize(("file", "before", "after", "tests"), MUTANTS, ids=[f"{m[0]}-{m[1][:24]}" for m in MUTANTS])
def test_a_mutant_changes_one_place_is_still_a_program_and_names_tests(
    file: str, before: str, after: str, tests: str
) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert text.count(before) == 1 and before != after
    ast.parse(text.replace(before, after))
    assert (ROOT / "tests" / tests).exists()
