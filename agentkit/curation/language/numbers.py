"""Numbers with sign, power and unit: `28.1` is not `−28.1`, `10^5` not `105`, `5 mg` neither `5 µg` nor `5 mg/kg`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

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
"""A footnote mark after a value."""
_AFTER = re.compile(rf"(?:\s*(?:,|-|/|±|to|and|or|\+)+\s*-?(?:{_VALUE})(?:\^-?\d+)?(?![\d^]))*[\s-]?\s*", re.IGNORECASE)
_RANGE = re.compile(r"\s?(?:-|to|through)\s?", re.IGNORECASE)
"""What may be between the ends of an interval; `and` only after `between`."""
_BOUNDS = {
    "<": "<, less than, fewer than, below, under",
    ">": ">, more than, greater than, above, over, exceeding",
    "<=": "≤, <=, =<, at most, up to, no more than, not more than",
    ">=": "≥, >=, =>, at least, no less than, not less than",
}
_BOUND_OF = {word: sign for sign, words in _BOUNDS.items() for word in words.split(", ")}
_BOUND = re.compile(
    rf"(?:^|(?<=\W)|(?<![<>=])(?=[<>=≤≥]))({'|'.join(sorted(map(re.escape, _BOUND_OF), key=len, reverse=True))})\s?$",
    re.IGNORECASE,
)
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
        unit: the unit with denominators of mass, area, volume and amount: `mg/kg`.
        time: the denominator of time, `d` in `5 mg/day`; empty if there is none.
        bound: `<`, `>`, `<=` or `>=` if the number is a bound.
        interval: both ends, if the number is one end of an interval.
    """

    value: Decimal
    unit: str = ""
    time: str = ""
    bound: str = ""
    interval: tuple[Decimal, Decimal] | None = None

    def holds(self, wanted: Number) -> bool:
        """Whether this states the wanted number: its value, unit, bound and interval if it has them, and no other time
        unit."""
        same_unit = not wanted.unit or wanted.unit == self.unit
        same_bound = not wanted.bound or wanted.bound == self.bound
        same_interval = wanted.interval is None or wanted.interval == self.interval
        timely = wanted.time in ("", self.time)
        return self.value == wanted.value and same_unit and same_bound and same_interval and timely


def numbers(text: str) -> Iterator[Number]:
    """The numbers in a text, in order; digits inside words such as `IL6`, exponents and `[12]` don't count."""
    text = _VULGAR.sub(" ", _MARKUP.sub(_caret, _CITED.sub("", _THIN.sub("", text))))
    plain = _FRACTION.sub(_fraction, spelled(text).text.replace("⁄", "/"))
    read = 0
    found: list[tuple[re.Match[str], Number]] = []
    for match in _NUMBER.finditer(plain):
        unit = _unit_after(plain, match.end())
        if match.start() >= read:
            bound = _BOUND.search(plain[max(0, match.start() - 16) : match.start()])
            sign = _BOUND_OF[bound[1].lower()] if bound else ""
            found.append((match, Number(value=_decimal(match), unit=unit.name, time=unit.time, bound=sign)))
            read = max(read, unit.powers)
    yield from _with_intervals(plain, found)


def _with_intervals(text: str, found: list[tuple[re.Match[str], Number]]) -> Iterator[Number]:
    """The numbers, with `interval` set for the ends of intervals."""
    ends: dict[int, tuple[Decimal, Decimal]] = {}
    for at, ((first, low), (second, high)) in enumerate(pairwise(found)):
        if low.value < high.value and at not in ends and _between(text, first, second):
            ends[at] = ends[at + 1] = (low.value, high.value)
    for at, (_, number) in enumerate(found):
        yield replace(number, interval=ends.get(at))


def _between(text: str, first: re.Match[str], second: re.Match[str]) -> bool:
    gap = text[first.end() : second.start()]
    unit = unit_at(text, first.end(), spaced=True)
    bare = gap[unit.length :] if unit.length and unit.length <= len(gap) else gap
    if _RANGE.fullmatch(gap) or _RANGE.fullmatch(bare):
        return True
    return (
        re.search(r"\bbetween\s?$", text[: first.start()], re.IGNORECASE) is not None and bare.strip().lower() == "and"
    )


def _fraction(match: re.Match[str]) -> str:
    """`2 1/2 mg` as 2.5 mg; without a unit, `1/2` may mean one of two and is kept."""
    if not match[1] and not unit_at(match.string, match.end(), spaced=True).name:
        return match[0]
    value = Decimal(match[1] or 0) + Decimal(match[2]) / Decimal(match[3])
    return f"{value:.6f}".rstrip("0")


def _caret(match: re.Match[str]) -> str:
    return "^" if match[0].lower() == "<sup>" else ""


def _unit_after(text: str, at: int) -> Unit:
    """The unit after a number, possibly after a mark or further numbers with the same unit (`5 to 10 mg`)."""
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
    """The first number in `wanted` that `text` does not contain with the same sign and unit; empty if it contains all.

    An interval matches only the same interval, but a wanted number also matches the end of an interval; `< 0.05`
    matches only with the same comparison sign. A wanted number without a unit matches the same number with any unit. A
    unit with a denominator of mass, area or volume differs from the unit without it: `5 mg` does not match `5 mg/kg`,
    but it does match `5 mg/day`.
    """
    asked = list(numbers(wanted))
    there = set(numbers(text)) if asked else set()
    for number in asked:
        if not any(stated.holds(number) for stated in there):
            return f"{number.value:f}{' ' + number.unit if number.unit else ''}"
    return ""
