"""Arithmetic on text, without eval: a small interpreter for Python's own expression tree."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Annotated, Any

from langchain_core.tools import BaseTool
from pydantic import Field

from agentkit.errors import ToolError
from agentkit.tools.function import arithmetic, tool

MAX_CHARACTERS = 1_000
MAX_BITS = 20_000
"""Limit for any intermediate integer: about 6,000 digits."""

Number = int | float


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        _fits(abs(base).bit_length() * exponent)
    return _real(base**exponent)


def _multiply(left: Number, right: Number) -> Number:
    if isinstance(left, int) and isinstance(right, int):
        _fits(left.bit_length() + right.bit_length())
    return left * right


def _factorial(value: Number) -> int:
    if value != int(value) or value < 0:
        raise ToolError("factorial takes a whole number that is not negative")
    _fits(int(value) * max(1, int(value).bit_length()))
    return math.factorial(int(value))


def _round(value: Number, digits: Number = 0) -> Number:
    if digits != int(digits) or abs(digits) > 400:
        raise ToolError("round takes a whole number of digits, at most 400")
    return round(value, int(digits)) if digits else round(value)


def _fits(bits: int) -> None:
    if bits > MAX_BITS:
        raise ToolError("the result is too large")


def _real(value: Any) -> Number:
    if isinstance(value, complex):
        raise ToolError("the result is not a real number")
    return value  # type: ignore[no-any-return]


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _multiply,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_FUNCTIONS: dict[str, Callable[..., Number]] = {
    "sqrt": math.sqrt,
    "log": math.log,
    "ln": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "exp": math.exp,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "round": _round,
    "min": min,
    "max": max,
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "factorial": _factorial,
}
_CONSTANTS = {"pi": math.pi, "e": math.e}
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])(?!\s*\()")
_IN_CALL = re.compile(r"[A-Za-z_]\w*\s*\(")
_PERCENT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?:%(?=\s*(?:$|[-+*/),]))|\s+%(?=\s*(?:$|[*/),])))")
"""A number with a percent sign that can't be a modulo: `5%`, `5% + 1`, `5 %)`; but not `17 % -5` or `17 % 5`."""


def calculate(expression: str) -> str:
    """Evaluate arithmetic: `+ - * / // % **`, parentheses, `sqrt log exp sin cos round min max …`, `pi`, `e`.

    `1,234.5` is read with thousands separators (outside function calls, where a comma separates arguments), `15%` as
    `15/100`, and `^` as power; a currency sign or a trailing `=` is ignored.

    Raises:
        ToolError: not arithmetic, division by zero, or a result that is too large or not real.
    """
    if len(expression) > MAX_CHARACTERS:
        raise ToolError(f"the expression is longer than {MAX_CHARACTERS} characters")
    try:
        tree = ast.parse(_prepare(expression), mode="eval")
        return _show(_evaluate(tree.body))
    except (SyntaxError, RecursionError, MemoryError):
        raise ToolError(f"can't read {expression!r} as arithmetic") from None
    except ZeroDivisionError:
        raise ToolError("division by zero") from None
    except OverflowError:
        raise ToolError("the result is too large") from None
    except (ValueError, TypeError) as error:
        raise ToolError(f"can't compute {expression!r}: {error}") from None


def _prepare(expression: str) -> str:
    text = expression.strip().rstrip("=").strip()
    for old, new in (("×", "*"), ("·", "*"), ("÷", "/"), ("−", "-"), ("–", "-"), ("^", "**"), ("$", ""), ("€", "")):
        text = text.replace(old, new)
    if not _IN_CALL.search(text):
        text = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    return _PERCENT.sub(r"(\1/100)", text)


def _evaluate(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=bool()) | ast.Constant(value=complex()):
            raise ToolError("only numbers, operators and the functions of the calculator are allowed")
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _evaluate(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_evaluate(left), _evaluate(right))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _real(_FUNCTIONS[name](*[_evaluate(argument) for argument in args]))
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
            raise ToolError(f"unknown name {name!r}: there are {', '.join([*_FUNCTIONS, *_CONSTANTS])}")
    raise ToolError("only numbers, operators and the functions of the calculator are allowed")


def _show(value: Number) -> str:
    """Format whole numbers without a decimal point, and others with 15 digits, which hides the noise of binary
    fractions."""
    if isinstance(value, int):
        return str(value) if abs(value).bit_length() <= 13_000 else _too_long()
    if not math.isfinite(value):
        raise ToolError("the result is not a finite number")
    if value == int(value) and abs(value) < 2**53:
        return str(int(value))
    return f"{value:.15g}"


def _too_long() -> str:
    raise ToolError("the result is too large")


_FORM = r"^([0-9.,+*/()%^ $€×·÷−–=-]|" + "|".join([*_FUNCTIONS, *_CONSTANTS]) + "){1,200}$"
Expression = Annotated[str, Field(pattern=_FORM)]
"""Numbers, operators and the calculator's names. A model under a grammar can't write `Quick Ratio = (Assets -
Inventories) / Liabilities` or endless digits; for other models such a call is rejected."""


def calculator() -> BaseTool:
    """The built-in calculator tool."""

    def calculator(expression: Expression) -> str:
        """Evaluate an arithmetic expression of the task's numbers and return its exact value.

        Args:
            expression: numbers with + - * / ** %, sqrt() log() round() and the like; no words and no units. What is
                divided or multiplied as a whole stands in parentheses: (a - b) / c.
        """
        return calculate(expression)

    return arithmetic(tool(calculator, reads_outside=False))


def calculate_answer() -> BaseTool:
    """The built-in tool that answers a task with the value of an expression, in one turn."""

    def calculate_answer(expression: Expression, decimals: int) -> str:
        """Give the exact value of an arithmetic expression as the final answer.

        Args:
            expression: numbers with + - * / ** %, sqrt() log() round() and the like; no words and no units. What is
                divided or multiplied as a whole stands in parentheses: (a - b) / c.
            decimals: digits after the point, as many as the task asks for.
        """
        return rounded(calculate(expression), decimals)

    made = arithmetic(tool(calculate_answer, reads_outside=False))
    made.return_direct = True
    return made


def rounded(number: str, decimals: int) -> str:
    """Round a decimal number to this many digits after the point; a five is rounded away from zero.

    Raises:
        ToolError: the number of digits is negative or above 15.
    """
    if not 0 <= decimals <= 15:
        raise ToolError("decimals must be between 0 and 15")
    with localcontext(prec=MAX_CHARACTERS * 10):
        return f"{Decimal(number).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):f}"
