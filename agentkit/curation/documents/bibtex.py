"""BibTeX, parsed by its braces: entries anywhere, strings, joined values, cross-references; comments are skipped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_ENTRY = re.compile(r"@\s*(\w+)\s*([{(])")
_AT_LINE = re.compile(r"^[ \t]*@\s*\w+\s*[{(]", re.MULTILINE)
_NAME = re.compile(r"[\s,]*([^\s,={}\"#%]+)\s*=\s*")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


@dataclass(frozen=True, kw_only=True)
class BibtexEntry:
    """One entry as written: fields in lower case, values without their braces.

    Attributes:
        line: the line on which it starts, from 1.
        data: its characters in the file.
        broken: why it can't be read; empty if it can.
    """

    kind: str
    key: str
    fields: Mapping[str, str]
    line: int
    data: str
    broken: str = ""


def entries(text: str) -> list[BibtexEntry]:
    """The entries of a file in order, with what they inherit through `crossref` and `xdata`."""
    found = list(_entries(text))
    known = {entry.key.lower(): entry for entry in found if entry.key}
    return [_inherited(entry, known) for entry in found if entry.kind != "xdata"]


def _entries(text: str) -> Iterator[BibtexEntry]:
    strings = {name[:3].lower(): name for name in _MONTHS}
    at = 0
    while (match := _ENTRY.search(text, at)) is not None:
        kind, line = match[1].lower(), text.count("\n", 0, match.start()) + 1
        end = _closing(text, match.end() - 1)
        if end < 0:
            follower = _AT_LINE.search(text, match.end())
            at = follower.start() if follower else len(text)
            if kind not in {"comment", "preamble"}:
                data = text[match.start() : at].strip()
                why = f"the BibTeX entry @{kind} is never closed"
                yield BibtexEntry(kind=kind, key="", fields={}, line=line, data=data, broken=why)
            continue
        at = end + 1
        commented = text[text.rfind("\n", 0, match.start()) + 1 : match.start()].lstrip().startswith("%")
        if kind in {"comment", "preamble"} or commented:
            continue
        body = text[match.end() : end]
        if kind == "string":
            strings |= _fields(body, strings)
            continue
        key, _, rest = body.partition(",")
        key, rest = ("", body) if "=" in key else (key.strip(), rest)
        yield BibtexEntry(
            kind=kind, key=key, fields=_fields(rest, strings), line=line, data=text[match.start() : at].strip()
        )


def _closing(text: str, start: int) -> int:
    """The position at which the brace or bracket opened at `start` closes; -1 if it never does.

    Escaped braces are counted only if the entry does not close otherwise.
    """
    for pattern in (r"\\.|[{}()]", r"[{}()]"):
        depth = 0
        for match in re.compile(pattern, re.DOTALL).finditer(text, start + 1):
            if depth == 0 and match[0] == ("}" if text[start] == "{" else ")"):
                return match.start()
            depth += {"{": 1, "}": -1}.get(match[0], 0)
            if depth < 0:
                break
    return -1


def _fields(body: str, strings: Mapping[str, str]) -> dict[str, str]:
    """The fields of an entry; anything else is skipped up to the next comma."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(body):
        match = _NAME.match(body, at)
        if match is None:
            comma = body.find(",", at)
            at = len(body) if comma < 0 else comma + 1
            continue
        value, at = _value(body, match.end(), strings)
        fields.setdefault(match[1].lower(), value)
    return fields


def _value(body: str, at: int, strings: Mapping[str, str]) -> tuple[str, int]:
    """One value: braced, quoted, a number or a name, joined by `#`."""
    parts = []
    while at < len(body):
        if body[at] == "{":
            end = _closing(body, at)
            end = len(body) if end < 0 else end
            part, at = body[at + 1 : end], end + 1
        elif body[at] == '"':
            end = _quote_end(body, at + 1)
            part, at = body[at + 1 : end], end + 1
        else:
            word = re.compile(r"[^\s,#]*").match(body, at)
            bare = word[0] if word else ""
            part, at = strings.get(bare.lower(), bare), at + len(bare)
        parts.append(part)
        joined = re.compile(r"\s*#\s*").match(body, at)
        if joined is None:
            break
        at = joined.end()
    return "".join(parts), at


def _quote_end(body: str, at: int) -> int:
    depth = 0
    for index in range(at, len(body)):
        depth += {"{": 1, "}": -1}.get(body[index], 0)
        if body[index] == '"' and depth == 0 and body[index - 1] != "\\":
            return index
    return len(body)


def _inherited(entry: BibtexEntry, known: Mapping[str, BibtexEntry]) -> BibtexEntry:
    """The entry with missing fields taken from its parents; a parent's title becomes the book title."""
    fields, seen = dict(entry.fields), {entry.key.lower()}
    names = [*fields.get("xdata", "").split(","), fields.get("crossref", "")]
    for name in (n.strip().lower() for n in names):
        parent = known.get(name)
        if parent is None or name in seen:
            continue
        seen.add(name)
        given = dict(parent.fields)
        if parent.kind != "xdata":
            given["booktitle"] = given.pop("title", given.get("booktitle", ""))
            for own in ("doi", "pmid", "abstract", "file", "crossref"):
                given.pop(own, None)
        fields = {**given, **fields}
    return BibtexEntry(
        kind=entry.kind, key=entry.key, fields=fields, line=entry.line, data=entry.data, broken=entry.broken
    )
