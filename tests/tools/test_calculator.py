"""The calculator computes arithmetic and nothing else."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.errors import ToolError
from agentkit.tools import load_tools, run_tool
from agentkit.tools.calculator import calculate, rounded


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1234*5678", "7006652"),
        ("1,234 * 5,678", "7006652"),
        ("(17.5 - 3) / 2", "7.25"),
        ("7 // 2 + 7 % 4", "6"),
        ("17 % -5", "-3"),
        ("-2**2", "-4"),
        ("2^10 =", "1024"),
        ("0.1 + 0.2", "0.3"),
        ("15% * 200", "30"),
        ("200 / 50%", "400"),
        ("$1,000.50 × 2", "2001"),
        ("max(1,234)", "234"),
        ("round(2.567, 2) + floor(2.9) + ceil(0.1) + abs(-1)", "6.57"),
        ("sqrt(16) + log(e) + exp(0) + sin(0) + cos(0) + min(3, 1)", "8"),
        ("factorial(20)", "2432902008176640000"),
    ],
)
def test_it_computes(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1/0", "division by zero"),
        ("10**10**10", "too large"),
        ("factorial(10**9)", "too large"),
        ("9**9**9 // 1", "too large"),
        ("1e400", "finite"),
        ("round(5, -10**9)", "digits"),
        ("(-8)**(1/3)", "real"),
        ("__import__('os').system('x')", "allowed"),
        ("().__class__", "allowed"),
        ("open('x')", "unknown name 'open'"),
        ("'a' * 3", "allowed"),
        ("True + 1", "allowed"),
        ("1 if 1 else 2", "allowed"),
        ("sqrt(x=4)", "unknown name|allowed"),
        ("min(3)", "can't compute"),
        ("((((", "can't read"),
        ("", "can't read"),
        ("(" * 400 + "1" + ")" * 400, "can't read"),
        ("1" * 1001, "longer"),
    ],
)
def test_what_is_not_arithmetic_or_too_large_is_one_clear_error(expression: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason) as caught:
        calculate(expression)
    assert "\n" not in str(caught.value)


@given(st.integers(-(10**12), 10**12), st.sampled_from("+-*"), st.integers(-(10**12), 10**12))
def test_whole_numbers_are_exact(left: int, operator: str, right: int) -> None:
    expected = {"+": left + right, "-": left - right, "*": left * right}[operator]
    assert calculate(f"{left} {operator} ({right})") == str(expected)


@given(st.text(max_size=60))
def test_any_text_gives_a_number_or_a_tool_error(text: str) -> None:
    with contextlib.suppress(ToolError):
        assert math.isfinite(float(calculate(text)))


async def test_the_tool_tells_the_model_what_was_wrong() -> None:
    (calculator,) = load_tools(["calculator"])
    assert (await run_tool(calculator, {"expression": "1234*5678"})).text == "7006652"
    assert (await run_tool(calculator, {"expression": "1/0"})).text == "error: calculator: division by zero"


@pytest.mark.parametrize(
    ("number", "decimals", "text"),
    [
        ("0.333333333333333", 2, "0.33"),
        ("2.675", 2, "2.68"),
        ("-0.005", 2, "-0.01"),
        ("7", 2, "7.00"),
        ("100000000000000000000", 1, "100000000000000000000.0"),
        ("3e-07", 2, "0.00"),
        ("12.5", 0, "13"),
    ],
)
def test_an_answer_has_the_digits_that_were_asked_for(number: str, decimals: int, text: str) -> None:
    assert rounded(number, decimals) == text


def test_digits_that_cannot_be_are_an_error() -> None:
    with pytest.raises(ToolError, match="decimals"):
        rounded("1", -1)
