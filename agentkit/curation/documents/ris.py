"""RIS, and PubMed's own list of tags (.nbib): a line without a tag continues the one before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_TAG = re.compile(r"\s{0,3}([A-Z][A-Z0-9])\s{1,2}-(?:\s+(.*)|)$")
_NBIB = re.compile(r"([A-Z]{2,4}) *- (.*)$")


@dataclass(kw_only=True)
class RisRecord:
    """One record: its tags with their values in order.

    Attributes:
        line: the line on which it starts, from 1.
        closed: whether it has an `ER` line.
    """

    line: int
    tags: dict[str, list[str]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    closed: bool = False
    last: str = ""

    def add(self, tag: str, value: str) -> None:
        self.tags.setdefault(tag, []).append(value.strip())
        self.last = tag

    def go_on(self, line: str) -> None:
        """Append a line without a tag to the last value."""
        if self.last and line.strip():
            values = self.tags[self.last]
            values[-1] = f"{values[-1]} {line.strip()}".strip()

    def first(self, *names: str) -> str:
        """The first non-empty value under any of these tags."""
        return next((value for name in names for value in self.tags.get(name, ()) if value), "")

    def all(self, *names: str) -> list[str]:
        return [value for name in names for value in self.tags.get(name, ()) if value]


@dataclass(frozen=True, kw_only=True)
class Records:
    """The content of a file: its records, and the numbers of lines that belong to none."""

    records: list[RisRecord]
    stray: list[int]


def read_ris(lines: Iterable[str]) -> Records:
    """Records from `TY` to `ER`; a `TY` inside a record starts the next one."""
    found: list[RisRecord] = []
    stray: list[int] = []
    current: RisRecord | None = None
    for number, line in enumerate(lines, 1):
        match = _TAG.match(line)
        if match and match[1] == "TY":
            current = RisRecord(line=number)
            found.append(current)
        if current is None:
            stray += [number] if line.strip() else []
            continue
        current.lines.append(line)
        if match is None:
            current.go_on(line)
        elif match[1] == "ER":
            current.closed, current = True, None
        else:
            current.add(match[1], match[2] or "")
    return Records(records=found, stray=stray)


def read_nbib(lines: Iterable[str]) -> Records:
    """Records that start with `PMID- `, as PubMed saves them."""
    found: list[RisRecord] = []
    stray: list[int] = []
    for number, line in enumerate(lines, 1):
        match = _NBIB.match(line)
        if match and (match[1] == "PMID" or not found):
            found.append(RisRecord(line=number, closed=True))
        if not found:
            stray += [number] if line.strip() else []
            continue
        found[-1].lines.append(line)
        if match:
            found[-1].add(match[1], match[2])
        else:
            found[-1].go_on(line)
    return Records(records=[_as_ris(record) for record in found], stray=stray)


_FROM_NBIB: Mapping[str, str] = {
    "PMID": "PMID",
    "TI": "TI",
    "AB": "AB",
    "FAU": "AU",
    "CN": "AU",
    "JT": "JO",
    "DP": "PY",
    "PMC": "C2",
}


def _as_ris(record: RisRecord) -> RisRecord:
    tags: dict[str, list[str]] = {}
    for name, values in record.tags.items():
        if name in {"LID", "AID"}:
            tags.setdefault("DO", []).extend(value for value in values if value.endswith("[doi]"))
        elif name in _FROM_NBIB:
            tags.setdefault(_FROM_NBIB[name], []).extend(values)
    return RisRecord(line=record.line, tags=tags, lines=record.lines, closed=True)
