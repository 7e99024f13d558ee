"""Numbers with sign, power and unit: `28.1` is not `−28.1`, `10^5` not `105`, `5 mg` neither `5 µg` nor `5 mg/kg`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from agentkit.curation.language.spelling import spelled
from agentkit.curation.language.units import Unit, unit_at

_WORDS = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
    "fourteen": 14,
    "fifteen": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
    "twenty": 20,
}
_VALUE = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|0,\d+|\d+(?:[.·]\d+)?|[.·]\d+"
_POWER = r"(?:\^\(?|\*\*)(?P<exponent>[-+]?\d{1,3})\)?"
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w.)\]%])[-+](?=[\d.·]))?(?<![\w.,·^])"
    rf"(?:(?:(?P<mantissa>{_VALUE})\s?[×x·*]\s?)?(?P<ten>10){_POWER}(?![\w^])"
    rf"|(?P<flat>{_VALUE})\s?[×x]\s?10(?P<below>-\d{{1,2}})(?![\d.])"
    rf"|(?P<value>{_VALUE})(?:[eE](?P<e>[-+]?\d{{1,3}})(?!\w))?)(?!\d)"
    rf"|(?<![\w-])(?P<word>{'|'.join(_WORDS)})(?![\w-])",
    re.IGNORECASE,
)
_MARKED = re.compile(r"(?:\^\(?[a-zA-Z*†‡§,\d-]{1,6}\)?|[*†‡§]+)(?=[\s,;.)/%|]|$)")
"""A footnote's mark after a value."""
_AFTER = re.compile(rf"(?:\s*(?:,|-|/|±|to|and|or|\+)+\s*-?(?:{_VALUE})(?:\^-?\d+)?(?![\d^]))*[\s-]?\s*", re.IGNORECASE)
_FRACTION = re.compile(r"(?<![\w/.,·^])(?:(\d{1,3}) )?([1-9])/([2-9]|1[0-6])(?![\d/.,])")
_MARKUP = re.compile(r"</?su[pb]>", re.IGNORECASE)
_THIN = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
"""The narrow and no-break spaces between thousands."""
_VULGAR = re.compile(r"(?<=\d)(?=[¼½¾⅐-⅞])")
_CITED = re.compile(r"(?<=[^\W\d_])\[\d+(?:\s?[,–-]\s?\d+)*\]|(?<=[.,;)])\[\d+(?:\s?[,–-]\s?\d+)*\]")


@dataclass(frozen=True, kw_only=True)
class Number:
    """A value with its sign, and the unit after it (canonical; empty when there is none).

    Attributes:
        unit: with its denominators of mass, area, volume and amount: `mg/kg`.
        time: the denominator of time, `d` in `5 mg/day`; empty when none is said.
    """

    value: Decimal
    unit: str = ""
    time: str = ""

    def holds(self, wanted: Number) -> bool:
        """Whether this states what is wanted: the value, its unit if it has one, and no other time than it names."""
        same_unit = not wanted.unit or wanted.unit == self.unit
        return self.value == wanted.value and same_unit and wanted.time in ("", self.time)


def numbers(text: str) -> Iterator[Number]:
    """The numbers in a text, in order; digits inside words such as `IL6`, exponents and `[12]` are none."""
    text = _VULGAR.sub(" ", _MARKUP.sub(_caret, _CITED.sub("", _THIN.sub("", text))))
    plain = _FRACTION.sub(_fraction, spelled(text).text.replace("⁄", "/"))
    read = 0
    for match in _NUMBER.finditer(plain):
        unit = _unit_after(plain, match.end())
        if match.start() >= read:
            yield Number(value=_decimal(match), unit=unit.name, time=unit.time)
            read = max(read, unit.powers)


def _fraction(match: re.Match[str]) -> str:
    """`2 1/2 mg` as 2.5 mg; without a unit `1/2` may be one of two, and stays."""
    if not match[1] and not unit_at(match.string, match.end(), spaced=True).name:
        return match[0]
    value = Decimal(match[1] or 0) + Decimal(match[2]) / Decimal(match[3])
    return f"{value:.6f}".rstrip("0")


def _caret(match: re.Match[str]) -> str:
    return "^" if match[0].lower() == "<sup>" else ""


def _unit_after(text: str, at: int) -> Unit:
    """The unit after a number, also after a mark, or after the numbers that it shares its unit with (`5 to 10 mg`)."""
    marked = _MARKED.match(text, at)
    at = marked.end() if marked else at
    between = _AFTER.match(text, at)
    return unit_at(text, between.end() if between else at)


def _decimal(match: re.Match[str]) -> Decimal:
    if match["word"]:
        return Decimal(_WORDS[match["word"].lower()])
    if match["flat"]:
        value = _plain(match["flat"]).scaleb(int(match["below"]))
    elif match["ten"]:
        value = _plain(match["mantissa"] or "1").scaleb(int(match["exponent"]))
    else:
        value = _plain(match["value"]).scaleb(int(match["e"] or 0))
    return Decimal(f"{-value if match['sign'] == '-' else value:f}")


def _plain(value: str) -> Decimal:
    decimal_comma = value.startswith("0,")
    return Decimal(value.replace(",", "." if decimal_comma else "").replace("·", "."))


def missing_number(wanted: str, text: str) -> str:
    """The first number of `wanted` that `text` does not hold with the same sign and unit; empty when it holds all.

    A wanted number without a unit is held by the same number with any unit. A unit with a denominator of mass, area or
    volume is another unit than the same without it: `5 mg` is not held by `5 mg/kg`, but it is by `5 mg/day`.
    """
    asked = list(numbers(wanted))
    there = set(numbers(text)) if asked else set()
    for number in asked:
        if not any(stated.holds(number) for stated in there):
            return f"{number.value:f}{' ' + number.unit if number.unit else ''}"
    return ""
