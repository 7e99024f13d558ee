"""The text of an XML element in one line, with its markup: superscripts, subscripts, citations, formulas."""

from __future__ import annotations

import re
from typing import Any

from agentkit.curation.documents.latex import latex_text
from agentkit.curation.documents.markup import DOWN, DOWN_END, UP, UP_END, cited, linear
from agentkit.curation.documents.mathml import math_text
from agentkit.curation.documents.xml_names import entity_text, local


def flat_text(element: Any | None) -> str:
    """All text inside an element, with single spaces, and scripts and formulas written out; empty for None."""
    if element is None:
        return ""
    pieces: list[str] = []
    _collect(element, pieces)
    return " ".join(linear("".join(pieces)).split())


def _collect(element: Any, pieces: list[str]) -> None:
    name = local(element)
    special = inline_text(element, name)
    if special is not None:
        pieces.append(special)
        return
    pieces.append(element.text or "")
    for child in element:
        _collect(child, pieces)
        pieces.append(child.tail or "")


def inline_text(element: Any, name: str) -> str | None:
    """The marked text of a superscript, subscript, citation or formula; None for any other element."""
    if not name:
        return entity_text(element)
    if name == "math":
        return math_text(element)
    if name in _FORMULAS:
        return _formula(element, name)
    if name in _SCRIPTS:
        pieces: list[str] = [element.text or ""]
        for child in element:
            _collect(child, pieces)
            pieces.append(child.tail or "")
        opened, closed = _SCRIPTS[name]
        inside = "".join(pieces)
        return cited(inside) if _cites(element) else f"{opened}{inside}{closed}"
    return None


_SCRIPTS = {"sup": (UP, UP_END), "sub": (DOWN, DOWN_END), "inf": (DOWN, DOWN_END)}
_FORMULAS = {"inline-formula", "disp-formula", "alternatives", "tex-math"}
"""Elements that may contain one formula in several forms; JATS also puts tables and figures in `<alternatives>`."""


def _cites(element: Any) -> bool:
    """Whether a superscript is a citation: it contains one, or is inside one."""
    parent = element.getparent()
    near = [parent] if parent is not None else []
    return any(local(e) == "xref" and e.get("ref-type") == "bibr" for e in [*near, *element])


def _formula(element: Any, name: str) -> str | None:
    """One form of a formula that is given in several: MathML, else TeX; `[formula]` if there is only a picture."""
    if name == "tex-math":
        return latex_text(_tex_body(element))
    maths = next((e for e in element.iter() if local(e) == "math"), None)
    if maths is not None:
        return f" {math_text(maths)} " if name == "disp-formula" else math_text(maths)
    tex = next((e for e in element.iter() if local(e) == "tex-math"), None)
    if tex is not None:
        return latex_text(_tex_body(tex))
    pictures = name != "alternatives" and any(local(e) in {"graphic", "inline-graphic"} for e in element.iter())
    return "[formula]" if pictures and not "".join(element.itertext()).strip() else None


def _tex_body(element: Any) -> str:
    text = "".join(element.itertext())
    match = re.search(r"\\begin\{document\}(.*?)\\end\{document\}", text, re.DOTALL)
    return match[1] if match else text
