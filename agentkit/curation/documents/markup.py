"""Superscripts and subscripts as plain text: `10<sup>5</sup>` is 10^5, not 105; a footnote mark never joins a value.

Readers put the four marks below around superscripts and subscripts (XML and clean text contain no such characters), and
`linear` writes them out once the characters on both sides are known.
"""

from __future__ import annotations

import html
import re

UP, UP_END, DOWN, DOWN_END = "\x01", "\x02", "\x03", "\x04"
"""Marks around superscripts (`<sup>`, `^{…}`) and subscripts (`<sub>`, `_{…}`)."""

_PART = re.compile(
    f"(?P<up>{UP}(?P<raised>[^{UP}-{DOWN_END}]*){UP_END})|{DOWN}(?P<lowered>[^{UP}-{DOWN_END}]*){DOWN_END}"
)
_FRACTION = re.compile(rf"{UP}\s*(\d+)\s*{UP_END}\s*[/⁄]\s*{DOWN}\s*(\d+)\s*{DOWN_END}")
_ORDINAL = {"st", "nd", "rd", "th", "o", "er", "e"}
_LENGTH = re.compile(r"(?<![^\W\d_])[cdkmnμµ]?m$")
"""A unit of length before a 2 or 3: areas are often written as `cm2`, which can mean nothing else."""
_CITED = re.compile(r"\d+(?:\s*[,;–-]\s*\d+)*")

_HTML = re.compile(
    r"<(?P<end>/?)(?:jats:)?(?P<name>sup|sub|inf|br|p|div|li|ul|ol|sec|title|i|b|u|em|strong|italic|bold|span|sc|tt|small"
    r"|scp|nlm|font|abstract|list|list-item|h[1-6])\b[^<>]*>|<!--.*?-->",
    re.IGNORECASE | re.DOTALL,
)
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,30}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
_BREAKS = {"br", "p", "div", "li", "ul", "ol", "sec", "title", "abstract", "list", "list-item"} | {
    f"h{n}" for n in range(1, 7)
}


def up(text: str) -> str:
    """Mark text as a superscript."""
    return f"{UP}{text}{UP_END}"


def down(text: str) -> str:
    """Mark text as a subscript."""
    return f"{DOWN}{text}{DOWN_END}"


def cited(text: str) -> str:
    """A superscript citation in brackets, since citation numbers are not numbers in the text."""
    plain = re.sub(f"[{UP}-{DOWN_END}]", "", text).strip()
    return f"[{plain}]" if _CITED.fullmatch(plain) else text


def linear(text: str) -> str:
    """The text with its marks written out.

    >>> linear("10" + up("5") + " CFU, CO" + down("2") + ", the 5" + up("th") + " day")
    '10^5 CFU, CO2, the 5th day'
    """
    if UP not in text and DOWN not in text:
        return text
    text = _FRACTION.sub(lambda m: f"{_gap(m)}{m[1]}/{m[2]}", text)
    while (match := _PART.search(text)) is not None:
        made = _raised(match) if match["up"] else _lowered(match)
        text = text[: match.start()] + made + text[match.end() :]
    return re.sub(f"[{UP}-{DOWN_END}]", "", text)


def _gap(match: re.Match[str]) -> str:
    return " " if match.string[: match.start()][-1:].isdigit() else ""


def _around(match: re.Match[str]) -> tuple[str, str]:
    """The characters before and after a match, ignoring marks."""
    before = match.string[: match.start()].rstrip(UP + UP_END + DOWN + DOWN_END)
    after = match.string[match.end() : match.end() + 3].lstrip(UP + UP_END + DOWN + DOWN_END)
    return before[-1:], after[:1]


def _raised(match: re.Match[str]) -> str:
    before, after = _around(match)
    given = match["raised"]
    body = given.strip()
    if not any(c.isalnum() for c in body) or not (before.isalnum() or before in (")", "]", "}", "%")):
        return given
    if before.isdigit() and body.lower() in _ORDINAL:
        return given
    if body in {"2", "3"} and _LENGTH.search(match.string[: match.start()]):
        return given
    shown = f"^({body})" if re.search(r"\s", body) else f"^{body}"
    apart = given[-1:].isspace() or (after.isalnum() and body[-1].isalnum())
    return shown + (" " if apart else "")


def _lowered(match: re.Match[str]) -> str:
    before, after = _around(match)
    given = match["lowered"]
    body = given.strip()
    if not body:
        return given
    shown = f"_{body}" if before.isdigit() and body[0].isalnum() else body
    apart = given[-1:].isspace() or (after.isdigit() and body[-1].isdigit())
    return shown + (" " if apart else "")


def plain_html(text: str) -> str:
    """The text of a reference manager's export without its HTML or JATS tags and entities; a bare `<` is kept."""
    if "<" not in text and "&" not in text:
        return text
    for _ in range(2):  # some exports escape twice
        text = linear(_HTML.sub(_tag, text))
        text = _ENTITY.sub(lambda m: html.unescape(m[0]), text)
    return linear(_HTML.sub(_tag, text))


def _tag(match: re.Match[str]) -> str:
    name = (match["name"] or "").lower()
    if name == "sup":
        return UP_END if match["end"] else UP
    if name in {"sub", "inf"}:
        return DOWN_END if match["end"] else DOWN
    return " " if name in _BREAKS else ""
