r"""LaTeX as plain text: accents, symbols, inline formulas, braces; unknown commands are logged."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable

from agentkit.curation.documents.latex_names import (
    ACCENTS,
    BARE,
    CONTENT,
    LETTERS,
    SIUNITX,
    SWITCHES,
    SYMBOLS,
    UNITS,
)
from agentkit.curation.documents.markup import linear

_log = logging.getLogger(__name__)

_GROUP = r"\{((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)\}"
"""Text in braces, nested up to four deep."""
_ACCENT = re.compile(
    r"\\(?:(?P<sign>[`'^\"~=.])\s*|(?P<letter>[uvHcdbkrt])(?=\s|\{|\\[ij])\s*)"
    r"(?:\{\\?(?P<braced>[^\W\d_]{1,2})\}|\\(?P<dotless>[ij])(?![A-Za-z])\s?|(?P<bare>[^\W\d_]))"
)
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?[ \t]*")
_MATH = re.compile(r"(?<!\\)\$\$?((?:[^$\\]|\\.)+?)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_SCRIPT = re.compile(rf"([\^_])\s*(?:{_GROUP}|(\\[A-Za-z]+|[^\s{{}}\\^_]))")
_FRACTION = re.compile(rf"\\(?:[dtc]?frac|sfrac|nicefrac|xfrac)\s*(?:{_GROUP}|(\d))\s*(?:{_GROUP}|(\d))")
_RAISED = re.compile(rf"\\text(super|sub)script\s*{_GROUP}")
_LINK = re.compile(rf"\\href\s*{_GROUP}\s*(?={{)")
_UNIT = re.compile(rf"\\(SI|qty|si|unit|num|ang)\s*(?:\[[^\]]*\])?\s*{_GROUP}(?:\s*{_GROUP})?")
_ESCAPED = re.compile(r"\\([&%$#_{} ,;:!/\\@-])|[{}]")
_PLAIN = {" ": " ", ",": " ", ";": " ", ":": " ", "!": "", "/": "", "-": "", "\\": " ", "@": ""}
_GUARDED = {"{": "\x05", "}": "\x06", "$": "\x07"}


def latex_text(value: str) -> str:
    r"""LaTeX as one line of plain text.

    >>> latex_text(r'G{\"o}del and {\O}rsted: {$\geq$}5 {\textmu}g, $10^{5}$, 5\%')
    'Gödel and Ørsted: ≥5 μg, 10^5, 5%'
    """
    if not re.search(r"[\\{}$~^_`]|--|''", value):
        return " ".join(value.split())
    for sign, guard in _GUARDED.items():
        value = value.replace(f"\\{sign}", guard)
    text = _ACCENT.sub(_accented, _UNIT.sub(_quantity, value))
    text = _MATH.sub(lambda m: _formula(m), text)
    text = re.sub(r"\{\s*(\x01[^\x01-\x04]*\x02)\s*\}", r"\1", text)
    text = _commands(_fractions(_RAISED.sub(_script_of_text, _LINK.sub("", text))))
    text = re.sub(r"(?<!\\)~", " ", text).replace("---", "—").replace("--", "–")
    text = text.replace("``", "“").replace("''", "”")
    text = _ESCAPED.sub(lambda m: "" if m[1] is None else _PLAIN.get(m[1], m[1]), text)
    for sign, guard in _GUARDED.items():
        text = text.replace(guard, sign)
    return " ".join(linear(text).split())


def _accented(match: re.Match[str]) -> str:
    letters = match["braced"] or match["dotless"] or match["bare"]
    mark = ACCENTS[match["sign"] or match["letter"]]
    return unicodedata.normalize("NFC", letters[0] + mark + letters[1:])


def _formula(match: re.Match[str]) -> str:
    body = next(part for part in match.groups() if part is not None)
    if match[0][0] == "$" and re.match(r"[\d.,]+\s+\w", body) and not re.search(r"[\\^_]", body):
        return match[0]  # two amounts in dollars, not a formula
    body = _fractions(body)
    while (found := _SCRIPT.search(body)) is not None:
        inner = found[2] if found[2] is not None else found[3]
        marks = ("\x01", "\x02") if found[1] == "^" else ("\x03", "\x04")
        shown = "°" if found[1] == "^" and inner.strip() in {r"\circ", "∘"} else f"{marks[0]}{inner}{marks[1]}"
        body = body[: found.start()] + shown + body[found.end() :]
    return body


def _fractions(text: str) -> str:
    while (match := _FRACTION.search(text)) is not None:
        over, under = (next(p for p in pair if p is not None) for pair in (match.groups()[:2], match.groups()[2:]))
        gap = " " if text[: match.start()].rstrip()[-1:].isdigit() else ""
        parts = (part if re.fullmatch(r"\\?\w+", part.strip()) else f"({part})" for part in (over, under))
        text = f"{text[: match.start()]}{gap}{'/'.join(parts)}{text[match.end() :]}"
    return text


def _script_of_text(match: re.Match[str]) -> str:
    return f"\x01{match[2]}\x02" if match[1] == "super" else f"\x03{match[2]}\x04"


def _quantity(match: re.Match[str]) -> str:
    """siunitx: `\\SI{5}{\\milli\\gram\\per\\kilogram}`."""
    parts = [part for part in match.groups()[1:] if part]
    unit = "".join(_unit_parts(parts[-1])) if match[1] in {"SI", "qty", "si", "unit"} else parts[-1]
    shown = [*parts[:-1], unit]
    return (" ".join(shown) + ("°" if match[1] == "ang" else "")).strip()


def _unit_parts(unit: str) -> Iterable[str]:
    for piece in re.findall(r"\\[A-Za-z]+|[^\\]+", unit):
        yield UNITS.get(piece[1:], SIUNITX.get(piece[1:], piece[1:])) if piece[0] == "\\" else piece


def _commands(text: str) -> str:
    """Replace symbols, letters and commands by name; for an unknown command, keep its content or its name."""
    unknown: list[str] = []

    def written(match: re.Match[str]) -> str:
        name, rest = match[1], match.string[match.end() : match.end() + 1]
        found = LETTERS.get(name) or SYMBOLS.get(name)
        if found is not None:
            spaced = match[0][-1].isspace() and name not in LETTERS and rest != "{"
            gap = " " if spaced and (found.isalnum() or match.string[: match.start()][-1:].isspace()) else ""
            return found + gap
        if name in SWITCHES or name in CONTENT or name in BARE:
            return BARE.get(name, "")
        unknown.append(name)
        return "" if rest == "{" else name + " "

    text = _COMMAND.sub(written, text)
    if unknown:
        named = ", ".join(f"\\{name}" for name in sorted(set(unknown)))
        _log.warning("LaTeX commands that are not known, of which the content is kept: %s", named)
    return text
