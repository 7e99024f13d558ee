"""The page of figures is what the results files hold, and says of each whether it is what was wanted."""

from __future__ import annotations

import pytest

from benchmarks._results import FOLDER
from benchmarks.figures import PAGE, page, verdict


@pytest.mark.parametrize(
    ("target", "value", "said"),
    [
        ("≥ 0.9", 0.9, "yes"),
        ("≥ 0.9", 0.4, "**no**"),
        ("≤ 5 %", 0.05, "yes"),
        ("≤ 1 %", 0.011, "**no**"),
        ("< 50 ms", 58.9, "**no**"),
        ("> 0.508", 0.585, "yes"),
        ("≥ −0.01", 0.0, "yes"),
        ("≥ +0.15", 0.1, "**no**"),
        ("0", 0, "yes"),
        ("1.000", 1.0, "yes"),
        ("100 %", 1.0, "yes"),
        ("minutes", 110.0, ""),
        ("≥ 0.9", None, ""),
    ],
)
def test_a_figure_is_compared_with_what_was_wanted(target: str, value: float | None, said: str) -> None:
    assert verdict({"target": target, "value": value}) == said


def test_the_page_is_made_from_the_files() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(FOLDER), "run  python -m benchmarks.figures"
