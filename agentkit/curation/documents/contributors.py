"""The authors of a JATS article: names in parts or in one string, in several scripts, and groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from agentkit.curation.documents.xml import every, find
from agentkit.curation.documents.xml_names import local
from agentkit.text import clean

_HONORIFIC = re.compile(r"(?:dr|prof|professor|mr|mrs|ms|sir|dame|rev|phd|md)\.?", re.IGNORECASE)
_NOT_NAMES = {"xref", "sup", "fn", "contrib-group", "aff", "contrib", "role", "email", "address", "contrib-id"}


def authors(meta: Any) -> tuple[str, ...]:
    """The authors in `<article-meta>` in order, given name first; a group counts as one author, not as its members."""
    found: list[str] = []
    for contrib in every(meta, "contrib"):
        group = contrib.getparent()
        if _inside(contrib, "collab") or _kind(contrib) or _kind(group, "content-type"):
            continue
        found.extend(_names(contrib))
    return tuple(dict.fromkeys(filter(None, found)))


def _inside(element: Any, name: str) -> bool:
    return any(local(above) == name for above in element.iterancestors())


def _kind(element: Any, attribute: str = "contrib-type") -> bool:
    """Whether an element is marked as being about people other than authors, such as editors."""
    kind = (element.get(attribute) or "author").lower()
    return not kind.startswith(("author", "collab", "group", "contributor", "member"))


def _names(contrib: Any) -> Iterator[str]:
    """The name of a contributor (the western one if there are several forms), else that of the group, else nothing."""
    forms = [e for part in contrib for e in (part if local(part) in _SEVERAL else (part,)) if local(e) in _FORMS]
    western = [e for e in forms if e.get("name-style") == "western" or _english(e)]
    for form in (western or forms)[:1]:
        yield _FORMS[local(form)](form)
    if not forms and find(contrib, "anonymous") is not None:
        yield "Anonymous"


def _english(element: Any) -> bool:
    return (element.get("{http://www.w3.org/XML/1998/namespace}lang") or "").startswith("en")


def _plain(element: Any | None) -> str:
    """The text of a name without footnote marks and the like, with single spaces."""
    if element is None:
        return ""

    def pieces(part: Any) -> Iterator[str]:
        yield part.text or ""
        for child in part:
            if local(child) and local(child) not in _NOT_NAMES:
                yield from pieces(child)
            yield child.tail or ""

    return clean(" ".join("".join(pieces(element)).split()))


def _parted(name: Any) -> str:
    """Given names, surname and suffix; an eastern name keeps its order, and a prefix is kept unless it is a title."""
    given, surname, suffix, prefix = (
        _plain(find(name, part)) for part in ("given-names", "surname", "suffix", "prefix")
    )
    order = [surname, given] if name.get("name-style") == "eastern" else [given, surname]
    front = "" if _HONORIFIC.fullmatch(prefix) else prefix
    return " ".join(filter(None, (*order[:1], front, *order[1:], suffix) if given else (front, *order, suffix)))


def _string(name: Any) -> str:
    """A name in one string; marked parts are put in order, unmarked text is taken as it is."""
    if find(name, "surname") is not None:
        return _parted(name)
    last, comma, first = _plain(name).strip(" ,;").partition(",")
    return f"{first.strip()} {last.strip()}".strip() if comma else last.strip()


_FORMS = {"name": _parted, "string-name": _string, "collab": _plain, "on-behalf-of": _plain}
_SEVERAL = {"name-alternatives", "collab-alternatives", "collab-wrap"}
