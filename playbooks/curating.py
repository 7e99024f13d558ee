"""From lessons to operations: duplicates are dropped, ids resolved, texts linted, and doubtful ones set apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from agentkit.errors import UserError
from agentkit.json_types import JsonObject
from agentkit.playbooks.bullets import Bullet, clean, label
from agentkit.playbooks.leakage import leaks
from agentkit.playbooks.operations import Add, Merge, Operation, Retire, Split, Update
from agentkit.playbooks.playbook import Playbook
from agentkit.playbooks.similarity import Duplicates, Near
from agentkit.playbooks.trust import LintFinding, lint, secret_findings
from agentkit.roles.curator import CuratorOperation, Incoming
from agentkit.roles.reflector import RunLesson
from agentkit.tasks import Task


@dataclass
class Draft:
    """Operations being drafted.

    Attributes:
        operations: may be applied.
        doubtful: must wait for the gate or a person; with reasons.
        held: must wait for a person no matter what the gate says, because the lint found something; with findings.
        dropped: what was left out, and why; never contains the text of a secret.
    """

    operations: list[Operation] = field(default_factory=list)
    doubtful: list[Operation] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    held: list[Operation] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def add(self, operation: Operation, findings: Sequence[LintFinding], conflict: str = "") -> None:
        """Add an operation to the list that its text calls for."""
        if any(finding.kind == "secret" for finding in findings):
            self.dropped.append("a lesson that holds " + ", ".join(f.detail for f in findings if f.kind == "secret"))
        elif findings:
            self.held.append(operation)
            self.findings += [f"{finding.kind}: {finding.detail}" for finding in findings]
        elif conflict:
            self.doubtful.append(operation)
            self.reasons.append(f"contradicts {conflict}")
        elif operation not in self.operations:
            self.operations.append(operation)


def keepable(lessons: Iterable[RunLesson], task: Task) -> tuple[list[RunLesson], list[str]]:
    """Lessons of a task that may be stored, and the reasons for dropping the others: secrets are never stored, and a
    lesson that merely repeats its task is not a lesson."""
    kept, dropped = [], []
    for lesson in lessons:
        if secrets := secret_findings(lesson.content, lesson.scope):
            dropped.append("a lesson that holds " + ", ".join(secrets))
        elif leaks(lesson.content, [task]):
            dropped.append("a lesson that leaks its task")
        elif lesson.content.strip():
            kept.append(lesson)
    return kept, dropped


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """A pending lesson with its relation to the playbook; `raw` is the text as the model wrote it, for the lint."""

    incoming: Incoming
    raw: str
    near: tuple[Near, ...]
    duplicate: Bullet | None


def sort_lessons(waiting: Sequence[JsonObject], book: Playbook, duplicates: Duplicates) -> list[Sorted]:
    """Compare lessons with the playbook and with each other; repetitions within the batch are dropped."""
    found: list[Sorted] = []
    seen: set[str] = set()
    for item in waiting:
        content = _cleaned(item["content"])
        if content is None or content.lower() in seen:
            continue
        seen.add(content.lower())
        near = tuple(duplicates.near(content, label(item["scope"]), book.active))
        incoming = Incoming(
            lesson=content,
            section=item["section"],
            scope=label(item["scope"]),
            question=item.get("question", ""),
            near=tuple(close.bullet.id for close in near),
        )
        same = next((close.bullet for close in near if close.duplicate), None)
        raw = f"{item['content']}\n{item['scope']}\n{item['section']}"
        found.append(Sorted(incoming=incoming, raw=raw, near=near, duplicate=same))
    return found


def add_directly(items: Sequence[Sorted], draft: Draft) -> None:
    """Curate without a model: add what is new, drop what exists."""
    for item in items:
        given = item.incoming
        if item.duplicate is not None:
            draft.dropped.append(f"said already by {item.duplicate.id}")
            continue
        conflict = next((near.bullet.id for near in item.near if near.contradiction), "")
        operation = Add(content=given.lesson, section=given.section, scope=given.scope)
        draft.add(operation, lint(item.raw), conflict)


def translate(
    wanted: Sequence[CuratorOperation], items: Sequence[Sorted], book: Playbook, duplicates: Duplicates, draft: Draft
) -> None:
    """Convert a curator's answer to operations; one that names unknown bullets or has no text is dropped, without
    affecting the others."""
    for item in wanted:
        try:
            operation = _operation(item, items, book)
        except (ValidationError, UserError) as error:
            draft.dropped.append(f"{item.op}: {str(error).splitlines()[0]}")
            continue
        if operation is None:
            continue
        findings = lint("\n".join([*item.texts, item.scope, item.section]))
        if isinstance(operation, Add):
            near = duplicates.near(operation.content, operation.scope, book.active)
            if any(found.duplicate for found in near):
                draft.dropped.append("said already")
                continue
            conflict = next((found.bullet.id for found in near if found.contradiction), "")
            draft.add(operation, findings, conflict)
        else:
            draft.add(operation, findings)


def _operation(item: CuratorOperation, items: Sequence[Sorted], book: Playbook) -> Operation | None:
    if item.op == "skip":
        return None
    bullets = [_active(book, id) for id in dict.fromkeys(item.ids)]
    text = item.texts[0] if item.texts else ""
    section = item.section or (bullets[0].section if bullets else items[0].incoming.section)
    scope = item.scope or (bullets[0].scope if bullets else items[0].incoming.scope)
    if item.op == "add":
        return Add(content=text, section=section, scope=scope)
    if not bullets:
        raise UserError("names no bullet")
    first = bullets[0]
    if item.op == "retire":
        return Retire(id=first.id, expected=first.hash, reason="refuted by a later lesson")
    if item.op == "split":
        return Split(id=first.id, expected=first.hash, contents=tuple(item.texts))
    if len({bullet.scope for bullet in bullets}) > 1:
        raise UserError("mixes scopes")
    if item.op == "update" or len(bullets) == 1:
        return Update(id=first.id, expected=first.hash, content=clean(text))
    return Merge(expected={bullet.id: bullet.hash for bullet in bullets}, content=text, section=section, scope=scope)


def _active(book: Playbook, id: str) -> Bullet:
    bullet = book.get(id.strip("[] ,."))
    if not bullet.active:
        raise UserError(f"bullet {bullet.id} is retired")
    return bullet


def _cleaned(text: str) -> str | None:
    try:
        return clean(text)
    except UserError:
        return None
