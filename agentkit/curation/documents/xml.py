"""Safe XML parsing: no entity declarations, no DTD, no network access; names without namespaces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any

from agentkit.curation.documents.source import Source
from agentkit.curation.documents.xml_names import local
from agentkit.errors import DataError, MissingExtra

_PROLOG = re.compile(
    r"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE(?:[^\[\]>]|\[.*?\]\s*(?=>))*>)*<([\w.-]+:)?([\w.-]+)", re.DOTALL
)
_DECLARED = re.compile(r"<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']+)")
_ENCODINGS = re.compile(r"utf-?8|utf-?16|us-ascii|ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)


def lxml_etree() -> Any:
    """The module lxml.etree; raises MissingExtra if it is not installed."""
    try:
        from lxml import etree
    except ImportError as error:
        raise MissingExtra("curate", "lxml") from error
    return etree


def root_name(source: Source, head: bytes) -> str:
    """The name of the root element, read from the first bytes.

    Raises DataError if there is none, or if the file declares entities: by expanding them, a small file could fill the
    memory or read other files.
    """
    text = _prolog_text(source, head)
    if "<!ENTITY" in text:
        raise DataError("declares XML entities, which are refused: remove the <!ENTITY …> lines", path=source.name)
    declared = _DECLARED.match(text)
    if declared and not _ENCODINGS.fullmatch(declared[1]):
        raise DataError(f"XML in encoding {declared[1]!r}: convert it to UTF-8", path=source.name)
    match = _PROLOG.match(text)
    if match is None:
        raise DataError("malformed XML: no root element", path=source.name)
    return match[2]


def _prolog_text(source: Source, head: bytes) -> str:
    wide = head[:2] in (b"\xff\xfe", b"\xfe\xff")
    if not wide and b"\0" in head:
        raise DataError("malformed XML: it contains NUL bytes", path=source.name)
    return head.decode("utf-16" if wide else "latin-1", "replace").removeprefix("\xef\xbb\xbf")


def parse(source: Source) -> Any:
    """The root element. Raises DataError for malformed XML."""
    etree = lxml_etree()
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        root = etree.fromstring(source.read(), parser)
    except etree.XMLSyntaxError as error:
        raise DataError(_syntax(error), path=source.name, line=error.lineno) from error
    _refuse_entities(root, source)
    return root


def records(source: Source, *tags: str) -> Iterator[Any]:
    """Each element with one of these names, one at a time, so that a file of a gigabyte needs little memory."""
    etree = lxml_etree()
    with source.open() as stream:
        yield from _stream(etree, stream, source, tags)


def _stream(etree: Any, stream: IO[bytes], source: Source, tags: tuple[str, ...]) -> Iterator[Any]:
    safe = {"resolve_entities": False, "no_network": True, "load_dtd": False, "remove_comments": True}
    walk = etree.iterparse(stream, events=("end",), tag=tags, **safe)
    checked = False
    try:
        for _, element in walk:
            if not checked:
                _refuse_entities(element, source)
                checked = True
            yield element
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        raise DataError(_syntax(error), path=source.name, line=error.lineno) from error


def _refuse_entities(element: Any, source: Source) -> None:
    dtd = element.getroottree().docinfo.internalDTD
    if dtd is not None and next(dtd.iterentities(), None) is not None:
        raise DataError("declares XML entities, which are refused: remove the <!ENTITY …> lines", path=source.name)


def _syntax(error: Any) -> str:
    return f"malformed XML: {str(error.msg or error).splitlines()[0]}"


def find(element: Any, path: str) -> Any | None:
    """The first descendant along a path of local names, such as `front/article-meta`; None if there is none."""
    for name in path.split("/"):
        element = next((child for child in element if local(child) == name), None)
        if element is None:
            return None
    return element


def inside(element: Any, path: str) -> Iterator[Any]:
    """The children of the element that `find` finds; none if it finds nothing."""
    found = find(element, path)
    return iter(()) if found is None else iter(found)


def every(element: Any, *names: str) -> Iterator[Any]:
    """All descendants with one of these local names, in document order."""
    return (found for found in element.iter() if local(found) in names)
