"""The list of behaviours broken on purpose keeps up with the code: `python -m tests.mutation` tries it."""

from __future__ import annotations

import ast

from tests.mutation import MUTANTS, ROOT


def test_every_mutant_changes_one_place_is_still_a_program_and_names_tests() -> None:
    for file, before, after, tests in MUTANTS:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert text.count(before) == 1 and before != after, f"{file}: {before!r} is not there once"
        ast.parse(text.replace(before, after))
        assert (ROOT / "tests" / tests).exists(), tests
