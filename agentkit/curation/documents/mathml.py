"""MathML as one line of text: `<msup>10 5</msup>` is 10^5, `<mfrac>1 2</mfrac>` is 1/2."""

from __future__ import annotations

from typing import Any

from agentkit.curation.documents.xml_names import local

_SPACED = set("=<>≤≥≠≈±∓×→←↔∼≅∝+−-∈∉⇒")
_SIGNS, _BEFORE_SIGN = {"+", "-", "−", "±"}, "=<>≤≥≈×(,;/^"
"""Signs that belong to a number if nothing or one of these precedes them; elsewhere they are operators."""
_INVISIBLE = {"\u2061": "", "\u2062": "", "\u2063": ",", "\u2064": " "}
_ACCENTS = {
    "¯": "\u0304",
    "‾": "\u0304",
    "ˉ": "\u0304",
    "^": "\u0302",
    "ˆ": "\u0302",
    "~": "\u0303",
    "˜": "\u0303",
    "→": "\u20d7",
    "˙": "\u0307",
    "¨": "\u0308",
}
_LEFT_OUT = {"annotation", "annotation-xml", "mphantom", "none", "mprescripts"}


def math_text(element: Any) -> str:
    """The formula of a `<math>` element (or of any part of one) as text."""
    return " ".join(_write(element).split())


def _write(element: Any) -> str:
    name = local(element)
    if not name or name in _LEFT_OUT:
        return ""
    if name in {"mi", "mn", "mtext", "ms"}:
        return " ".join((element.text or "").split())
    if name == "mo":
        return _operator((element.text or "").strip())
    if name == "mspace":
        return " "
    write = _SHAPES.get(name)
    children = [child for child in element if local(child)]
    return write(element, children) if write is not None else _row(children)


def _operator(sign: str) -> str:
    sign = _INVISIBLE.get(sign, sign)
    return f" {sign} " if sign in _SPACED else sign


def _row(children: list[Any]) -> str:
    """Join parts; adjacent numbers stay separate."""
    found = ""
    for child in children:
        part = _write(child)
        if part.strip() in _SIGNS and (not found.strip() or found.rstrip()[-1] in _BEFORE_SIGN):
            part = part.strip()
        found += " " if found[-1:].isdigit() and part[:1].isdigit() else ""
        found += part
    return found


def _grouped(element: Any) -> str:
    """A part, in brackets if it is more than one word, number or sign."""
    text = _write(element).strip()
    signed = text[1:] if text[:1] in "+-−" else text
    return text if signed.replace(".", "").replace(",", "").isalnum() or len(text) == 1 else f"({text})" if text else ""


def _scripts(children: list[Any], *, lower: int | None, upper: int | None) -> str:
    base = _write(children[0]).strip() if children else ""
    found = base if base.isalnum() or len(base) < 2 or upper is None else f"({base})"
    for mark, place in (("_", lower), ("^", upper)):
        part = _grouped(children[place]) if place is not None and place < len(children) else ""
        found += mark + part if part else ""
    return found


def _over(children: list[Any]) -> str:
    over = _write(children[1]).strip() if len(children) > 1 else ""
    if over in _ACCENTS:
        return _write(children[0]).strip() + _ACCENTS[over]
    return _scripts(children, lower=None, upper=1)


def _fraction(children: list[Any]) -> str:
    return "/".join(_grouped(child) for child in children)


def _fenced(element: Any, children: list[Any]) -> str:
    inner = (element.get("separators") or ",")[:1] + " "
    return f"{element.get('open', '(')}{inner.join(_write(c).strip() for c in children)}{element.get('close', ')')}"


def _table(children: list[Any]) -> str:
    rows = [", ".join(_write(cell).strip() for cell in row) for row in children]
    return f"[{'; '.join(rows)}]"


_SHAPES: dict[str, Any] = {
    "msup": lambda e, c: _scripts(c, lower=None, upper=1),
    "msub": lambda e, c: _scripts(c, lower=1, upper=None),
    "msubsup": lambda e, c: _scripts(c, lower=1, upper=2),
    "munder": lambda e, c: _scripts(c, lower=1, upper=None),
    "mover": lambda e, c: _over(c),
    "munderover": lambda e, c: _scripts(c, lower=1, upper=2),
    "mmultiscripts": lambda e, c: _scripts(c, lower=1, upper=2),
    "mfrac": lambda e, c: _fraction(c),
    "msqrt": lambda e, c: f"sqrt({_row(c).strip()})",
    "mroot": lambda e, c: f"root({', '.join(_write(x).strip() for x in c)})",
    "mfenced": _fenced,
    "mtable": lambda e, c: _table(c),
    "semantics": lambda e, c: _row(c[:1]),
}
