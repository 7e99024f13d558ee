"""A playbook as text: reading and writing Markdown, JSON and ACE's format, and writing SKILL.md."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from agentkit.errors import DataError, UserError
from agentkit.ledger import digest
from agentkit.playbooks.bullets import SECTION, Bullet, bullet_id, clean, label
from agentkit.playbooks.operations import Add, Delta, Operation, Vote
from agentkit.playbooks.playbook import Playbook
from agentkit.playbooks.trust import lint, secret_findings
from agentkit.text import parse_json
from agentkit.text import read_text as file_text

Votes = Mapping[str, tuple[int, int]]
JSON_FORMAT = "agentkit-playbook/1"
_log = logging.getLogger(__name__)


@dataclass
class ImportedPlaybook:
    """Bullets read from a file: `(section, scope, content)` with their votes."""

    bullets: list[tuple[str, str, str]] = field(default_factory=list)
    votes: list[tuple[int, int]] = field(default_factory=list)

    def add(self, section: str, scope: str, content: str, votes: tuple[int, int] = (0, 0)) -> None:
        self.bullets.append((label(section, default=SECTION), label(scope), clean(content)))
        self.votes.append(votes)

    def delta(self, book: Playbook, *, source: str, trust: bool = False) -> Delta | None:
        """A delta that adds the bullets which the playbook has never had, with their votes; None if there are none.

        Retired bullets stay retired, and importing the same file again changes nothing.

        Args:
            trust: include bullets in which the lint finds something.
        """
        new = [(bullet, votes) for bullet, votes in self._new(book) if trust or not _findings(bullet)]
        operations: list[Operation] = []
        for (section, scope, content), (helpful, harmful) in new:
            operations.append(Add(section=section, scope=scope, content=content))
            if helpful or harmful:
                operations.append(Vote(id=bullet_id(section, scope, content), helpful=helpful, harmful=harmful))
        return self._delta(book, operations, source, "trusted" if trust else "import")

    def held(self, book: Playbook, *, source: str) -> tuple[Delta, list[str]] | None:
        """What `delta` leaves out for a person to review, and the lint's findings."""
        bullets = [bullet for bullet, _ in self._new(book) if _findings(bullet)]
        found = [finding for bullet in bullets for finding in _findings(bullet)]
        operations = [Add(section=section, scope=scope, content=content) for section, scope, content in bullets]
        delta = self._delta(book, operations, source, "held")
        return None if delta is None else (delta, found)

    def _new(self, book: Playbook) -> list[tuple[tuple[str, str, str], tuple[int, int]]]:
        pairs = dict(zip(self.bullets, self.votes, strict=True)).items()
        return [(bullet, votes) for bullet, votes in pairs if bullet_id(*bullet) not in book.bullets]

    def _delta(self, book: Playbook, operations: Sequence[Operation], source: str, part: str) -> Delta | None:
        if not operations:
            return None
        key = f"{book.target}:{part}:{book.version}:{digest([self.bullets, self.votes])[:32]}"
        return Delta(key=key, base=book.version, operations=tuple(operations), role="person", source=source[:400])


@lru_cache(maxsize=10_000)
def _findings(bullet: tuple[str, str, str]) -> list[str]:
    return [f"{finding.kind}: {finding.detail}" for finding in lint("\n".join(bullet))]


def to_json(book: Playbook, votes: Votes) -> str:
    """Everything except the history: content, state and votes of every bullet."""
    rows = []
    for bullet in (*book.active, *book.retired):
        helpful, harmful = votes.get(bullet.id, (0, 0))
        names = ("id", "section", "scope", "content", "status")
        counts = {"helpful": helpful, "harmful": harmful}
        rows.append({**{name: getattr(bullet, name) for name in names}, **counts})
    data = {"format": JSON_FORMAT, "name": book.name, "version": book.version, "bullets": rows}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def to_markdown(book: Playbook, votes: Votes) -> str:
    """The active bullets by section. The ids are for people; reading the file back does not depend on them."""
    lines = [f"# Playbook: {book.name}", ""]
    for section, bullets in _sections(book).items():
        lines += [f"## {section}", ""]
        lines += [f"- [{bullet.id}] {_scope(bullet)}{_guarded(bullet.content)}" for bullet in bullets]
        lines.append("")
    return "\n".join(lines)


def to_ace(book: Playbook, votes: Votes) -> str:
    """ACE's text format: `[slug-NNNNN] helpful=H harmful=M :: content` below `##` headings."""
    lines, number = [], 0
    for section, bullets in _sections(book).items():
        lines.append(f"## {section.upper()}")
        slug = (re.sub(r"[^a-z]", "", section) + "xxx")[:3]
        for bullet in bullets:
            number += 1
            helpful, harmful = votes.get(bullet.id, (0, 0))
            lines.append(f"[{slug}-{number:05d}] helpful={helpful} harmful={harmful} :: {bullet.content}")
        lines.append("")
    return "\n".join(lines)


def to_skill(book: Playbook, votes: Votes) -> str:
    """A SKILL.md: its purpose in the front matter, then lessons by section; those voted harmful are left out."""
    scopes = sorted({bullet.scope for bullet in book.active if bullet.scope})
    about = f"Lessons learnt about {', '.join(scopes[:8])}." if scopes else f"Lessons learnt for {book.name}."
    use = f"Use when working on {', '.join(scopes[:8]) if scopes else book.name} tasks."
    name = re.sub(r"[^a-z0-9]+", "-", book.name.lower()).strip("-") or "playbook"
    lines = ["---", f"name: {name}", f"description: {json.dumps(f'{about} {use}', ensure_ascii=False)}", "---", ""]
    lines += [f"# {book.name}", ""]
    for section, bullets in _sections(book).items():
        good = [bullet for bullet in bullets if not _voted_down(votes.get(bullet.id, (0, 0)))]
        if good:
            lines += [f"## {section.capitalize()}", ""]
            lines += [f"- {f'({b.scope}) ' if b.scope else ''}{_guarded(b.content)}" for b in good]
            lines.append("")
    return "\n".join(lines)


WRITERS: Mapping[str, Callable[[Playbook, Votes], str]] = {
    "markdown": to_markdown,
    "json": to_json,
    "ace": to_ace,
    "skill": to_skill,
}


def read_file(path: str | Path) -> ImportedPlaybook:
    """Read bullets from a file in any supported format: JSON, ACE's text, Markdown.

    Raises:
        DataError: the file can't be read; gives the line.
    """
    found = read_text(file_text(path), path=path)
    if not found.bullets:
        raise DataError("holds no bullets (Markdown list items, ACE lines or JSON)", path=path)
    return found


def read_text(text: str, *, path: object = None) -> ImportedPlaybook:
    """Like `read_file`, for a text."""
    if text.lstrip().startswith("{"):
        return _from_json(text, path)
    if any(_ACE.match(line.strip()) for line in text.splitlines()):
        return _from_ace(text, path)
    return _from_markdown(text, path)


def _from_json(text: str, path: object) -> ImportedPlaybook:
    found = ImportedPlaybook()
    data = parse_json(text, path=path)
    if data.get("format") != JSON_FORMAT or not isinstance(data.get("bullets"), list):
        raise DataError(f"is not a playbook: expected format {JSON_FORMAT!r}", path=path)
    for number, row in enumerate(data["bullets"], 1):
        if not isinstance(row, dict) or not isinstance(row.get("content"), str):
            raise DataError(f"bullet {number} has no content", path=path)
        if row.get("status", "active") == "active":
            votes = (_count(row, "helpful", path), _count(row, "harmful", path))
            _add(found, str(row.get("section", "")), str(row.get("scope", "")), row["content"], votes, path, None)
    return found


def _count(row: Mapping[str, Any], name: str, path: object) -> int:
    value = row.get(name, 0)
    if not isinstance(value, int) or not 0 <= value <= 1000:
        raise DataError(f"{name} must be a number from 0 to 1000, not {value!r}", path=path)
    return value


_ACE = re.compile(r"\[[a-z]{1,12}-\d{1,7}\]\s*(?:helpful=(\d+)\s+harmful=(\d+)\s*::\s*)?(?P<content>.*)$")


def _from_ace(text: str, path: object) -> ImportedPlaybook:
    """Lines before the first heading, and those that are neither headings nor bullets, are ignored, as in ACE's own
    files."""
    found, section = ImportedPlaybook(), "others"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("##"):
            section = line.lstrip("# ").replace("_", " ")
        elif match := _ACE.match(line):
            votes = (min(1000, int(match[1] or 0)), min(1000, int(match[2] or 0)))
            _add(found, section, "", match["content"], votes, path, number)
    return found


_ITEM = re.compile(
    r"(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?"
    r"(?:\[[a-z2-7w-z]{8}\]\s+)?(?:\(scope: (?P<scope>[^)]*)\)\s+)?(?P<content>.+)$"
)


def _from_markdown(text: str, path: object) -> ImportedPlaybook:
    """Reads list items with their indented continuation lines; other text is counted and reported in the log."""
    found, section = ImportedPlaybook(), SECTION
    items: list[tuple[int, str, str, list[str]]] = []
    left_out: list[int] = []
    open_ = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            section, open_ = line.lstrip("# ") if line.startswith("## ") else section, False
        elif match := _ITEM.match(line):
            items.append((number, section, match["scope"] or "", [match["content"]]))
            open_ = True
        elif not line:
            open_ = False
        elif open_:
            items[-1][3].append(line)
        else:
            left_out.append(number)
    for number, under, scope, lines in items:
        _add(found, under, scope, re.sub(r"^\\(?=[\[(\\])", "", " ".join(lines)), (0, 0), path, number)
    if left_out:
        _log.warning("%s:%d: %d lines are not list items and were left out", path, left_out[0], len(left_out))
    return found


def _add(
    found: ImportedPlaybook,
    section: str,
    scope: str,
    content: str,
    votes: tuple[int, int],
    path: object,
    line: int | None,
) -> None:
    if secrets := secret_findings(content, scope, section):
        raise DataError(f"seems to hold {', '.join(secrets)}: secrets are not stored", path=path, line=line)
    try:
        found.add(section, scope, content, votes)
    except UserError as error:
        raise DataError(str(error), path=path, line=line) from None


def _sections(book: Playbook) -> dict[str, list[Bullet]]:
    found: dict[str, list[Bullet]] = {}
    for bullet in book.active:
        found.setdefault(bullet.section, []).append(bullet)
    return found


def _scope(bullet: Bullet) -> str:
    return f"(scope: {bullet.scope}) " if bullet.scope else ""


def _guarded(content: str) -> str:
    """Escape content that begins like an id or a scope, so that it is not read back as one."""
    return f"\\{content}" if content[:1] in "[(\\" else content


def _voted_down(votes: tuple[int, int]) -> bool:
    return votes[1] > votes[0]
