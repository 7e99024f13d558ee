"""Units with their denominators: `mg/kg`, `mg kg−1 day−1`, `mg per kilogram of body weight`, `mmol/L`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMES = {
    "%": "%, percent, per cent",
    "mg": "mg, milligram, milligrams, milligramme, milligrammes",
    "g": "g, gram, grams, gramme, grammes",
    "kg": "kg, kilogram, kilograms, kilogramme, kilogrammes",
    "ug": "ug, μg, mcg, microgram, micrograms",
    "ng": "ng, nanogram, nanograms",
    "pg": "pg, picogram, picograms",
    "ml": "ml, millilitre, millilitres, milliliter, milliliters, cc, cm3",
    "l": "l, litre, litres, liter, liters",
    "dl": "dl, decilitre, deciliter",
    "ul": "ul, μl, microlitre, microlitres, microliter, microliters, mm3",
    "fl": "fl",
    "mol": "mol, moles",
    "mmol": "mmol, millimoles",
    "umol": "umol, μmol, micromoles",
    "nmol": "nmol",
    "pmol": "pmol",
    "iu": "iu",
    "u": "u, unit, units",
    "mmhg": "mmhg, mm hg",
    "kpa": "kpa",
    "cm": "cm, centimetre, centimetres, centimeter, centimeters",
    "mm": "mm, millimetre, millimetres, millimeter, millimeters",
    "m": "m, metre, metres, meter, meters",
    "um": "um, μm",
    "nm": "nm",
    "km": "km",
    "m2": "m2, square metre, square metres, square meter, square meters",
    "cm2": "cm2",
    "mm2": "mm2",
    "h": "h, hour, hours, hr, hrs",
    "min": "min, mins, minute, minutes",
    "d": "d, day, days",
    "wk": "wk, wks, week, weeks",
    "mo": "mo, month, months",
    "y": "y, year, years, yr, yrs",
    "s": "s, sec, second, seconds",
    "ms": "ms, millisecond, milliseconds",
    "kcal": "kcal",
    "kj": "kj",
    "meq": "meq",
    "gy": "gy",
    "mgy": "mgy",
    "cfu": "cfu",
    "copies": "copies, copy",
    "cells": "cells, cell",
    "celsius": "°c",
    "hz": "hz",
    "khz": "khz",
    "bpm": "bpm, beats",
    "kda": "kda",
    "mosm": "mosm, mosmol",
    "fold": "fold",
}
_UNITS = {word: unit for unit, words in _NAMES.items() for word in words.split(", ")}
_CASED = {"mM": "mmol/l", "μM": "umol/l", "uM": "umol/l", "nM": "nmol/l", "pM": "pmol/l", "M": "mol/l"}
"""Molar units, which differ from lengths only in case."""
_TIMES = {"h", "min", "d", "wk", "mo", "y", "s", "ms"}

_OFTEN_TIMES = {"daily": "d", "hourly": "h", "weekly": "wk", "monthly": "mo", "yearly": "y"}
_OFTEN = re.compile(rf"\s(?:once\s)?({'|'.join(_OFTEN_TIMES)})\b", re.IGNORECASE)
"""`5 mg daily` is 5 mg/day; `5 mg twice daily` is not."""

_WORD = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_UNIT = re.compile(rf"(?:(?P<cased>{'|'.join(_CASED)})|(?i:(?P<plain>{_WORD})))(?![^\W\d_])(?!\d)")
_BELOW = re.compile(
    r"\s?/\s?\((?P<several>[^()]{1,24})\)"
    rf"|\s?(?:/\s?|\bper\s+(?:each\s+)?|each\s+)(?P<count>\d+\s?)?(?i:(?P<slash>{_WORD}))(?![^\W\d_])(?!\d)"
    rf"|[\s·.*/]*(?i:(?P<power>{_WORD}))\s?\^?(?P<exponent>-[123])(?!\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit: its name with all denominators except time, and the denominator of time."""

    name: str = ""
    time: str = ""
    powers: int = 0
    """The end of the unit's last `−1`, which is not a number; 0 if there is none."""
    length: int = 0
    """Its length in characters, including white space before it."""


def unit_at(text: str, at: int, *, spaced: bool = False) -> Unit:
    """The unit that starts at a position in a normalised text (`spaced`: after white space or a hyphen).

    A bare denominator counts (`10^9/L`); the name is empty if there is neither.
    """
    begin = at
    while spaced and text[at : at + 1] in (" ", "-"):
        at += 1
    match = _UNIT.match(text, at)
    at = match.end() if match else at - (text[at - 1 : at] == " ")
    name = "" if match is None else _CASED[match["cased"]] if match["cased"] else _UNITS[match["plain"].lower()]
    name, *below = name.split("/")
    time, powers = "", 0
    while (part := _BELOW.match(text, at)) is not None and (match or not part["power"]):
        for denominator in _below(part):
            time = denominator if denominator in _TIMES else time
            below += [denominator] if denominator not in _TIMES else []
        at = part.end()
        powers = at if part["power"] else powers
    often = _OFTEN.match(text, at) if name else None
    if often is not None and not time:
        time, at = _OFTEN_TIMES[often[1].lower()], often.end()
    length = at - begin if name or below or time else 0
    return Unit(name="/".join([name, *sorted(below)]), time=time, powers=powers, length=length)


def _below(match: re.Match[str]) -> list[str]:
    if match["several"]:
        return [_UNITS[part.lower()] for part in re.split(r"[\s·.*×]+", match["several"]) if part.lower() in _UNITS]
    if match["slash"]:
        return [f"{(match['count'] or '').strip()}{_UNITS[match['slash'].lower()]}"]
    unit, exponent = _UNITS[match["power"].lower()], match["exponent"][1:]
    return [unit if exponent == "1" else f"{unit}{exponent}"]
