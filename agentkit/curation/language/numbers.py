"""Numbers with their sign and unit, so that `28.1` is not `−28.1`, `5 mg` not `5 µg`, and `1,000` is `1000`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from agentkit.curation.language.spelling import spelled

_WORDS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
}  # fmt: skip
_VALUE = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.·]\d+)?|[.·]\d+"
_UNITS = {
    "%": "%", "percent": "%", "per cent": "%", "mg": "mg", "milligram": "mg", "milligrams": "mg", "g": "g", "gram": "g",
    "grams": "g", "kg": "kg", "mcg": "ug", "ug": "ug", "μg": "ug", "microgram": "ug", "micrograms": "ug", "ng": "ng",
    "ml": "ml", "l": "l", "dl": "dl", "mmol": "mmol", "mol": "mol", "mmhg": "mmhg", "iu": "iu", "cm": "cm", "mm": "mm",
    "h": "h", "hour": "h", "hours": "h", "hr": "h", "hrs": "h", "min": "min", "minutes": "min", "minute": "min",
    "day": "d", "days": "d", "d": "d", "week": "wk", "weeks": "wk", "wk": "wk", "month": "mo", "months": "mo",
    "year": "y", "years": "y", "yr": "y", "s": "s", "seconds": "s",
}  # fmt: skip
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w.)\]%])[-+](?=[\d.·]))?(?<![\w.,·])(?P<value>{_VALUE})(?![\d])"
    rf"|(?<![\w-])(?P<word>{'|'.join(_WORDS)})(?![\w-])",
    re.IGNORECASE,
)
_AFTER = re.compile(
    rf"(?:\s*(?:,|-|/|±|to|and|or|\+)+\s*-?(?:{_VALUE}))*\s*(?P<unit>{_UNIT})(?![a-zA-Z])", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Number:
    """A value with its sign, and the unit after it (canonical; empty when there is none)."""

    value: Decimal
    unit: str = ""


def numbers(text: str) -> Iterator[Number]:
    """The numbers in a text, in order; digits inside words such as `IL6` are none."""
    plain = spelled(text).text
    for match in _NUMBER.finditer(plain):
        unit = _AFTER.match(plain, match.end())
        yield Number(value=_decimal(match), unit=_UNITS[unit["unit"].lower()] if unit else "")


def _decimal(match: re.Match[str]) -> Decimal:
    if match["word"]:
        return Decimal(_WORDS[match["word"].lower()])
    value = Decimal(match["value"].replace(",", "").replace("·", "."))
    return -value if match["sign"] == "-" else value


def missing_number(wanted: str, text: str) -> str:
    """The first number of `wanted` that `text` does not hold with the same sign and unit; empty when it holds all.

    A wanted number without a unit is held by the same number with any unit.
    """
    asked = list(numbers(wanted))
    there = set(numbers(text)) if asked else set()
    values = {n.value for n in there}
    for number in asked:
        held = number in there if number.unit else number.value in values
        if not held:
            return f"{number.value}{' ' + number.unit if number.unit else ''}"
    return ""
