"""What a knowledge base has learnt from its reviewers, as a playbook and a case memory for each relation.

Both follow the current decisions: each decision becomes a case, and a note written with a decision becomes a lesson,
word for word. If a rollback undoes a decision, its case and its lesson are taken back too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from agentkit.curation.claims import digest
from agentkit.curation.kb.episodes import decided_since, reviewed
from agentkit.curation.kb.knowledge_base import KnowledgeBase
from agentkit.curation.kb.records import Record
from agentkit.errors import ModelFileError, UserError
from agentkit.ledger import Change
from agentkit.ledger import digest as json_digest
from agentkit.memory import CaseMemory, MemoryLearner, MemoryRecaller, RecallSettings, open_cases
from agentkit.memory.case import Case, case_id
from agentkit.memory.opening import stored_cases
from agentkit.memory.policy_store import PolicyStore
from agentkit.playbooks import Add, PlaybookRecaller, PlaybookStore, Retire, Revive
from agentkit.playbooks.bullets import Bullet, bullet_id, clean
from agentkit.playbooks.by_category import RecallByRelation
from agentkit.playbooks.operations import Delta, Operation
from agentkit.playbooks.trust import ask_a_person, lint
from agentkit.protocols import Block, Episode, Recaller
from agentkit.settings import Settings, load_settings
from agentkit.store.curation import KbClaimRow
from agentkit.tasks import Task

SECTION = "reviewers"
"""The section of a playbook with reviewers' notes, which is kept in step with their decisions."""
TAKEN_BACK = "the decision behind it was taken back"
WITHOUT_MODEL = "hash-256"
"""The embedder of a new memory if the one in the settings is not downloaded."""
SHOWN = RecallSettings(successes=3, failures=2, learn=False)


def relation_name(kb: str, relation: str) -> str:
    """The name of a relation's playbook and memory."""
    name = f"{kb}.{relation}"
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "-" for char in name)
    return name if plain == name and len(name) <= 80 else f"{plain[:60]}-{digest(name, length=12)}"


@dataclass(frozen=True, kw_only=True)
class TaughtContext:
    """The result of updating playbooks and memories: new cases, new lessons, and how many were taken back."""

    cases: int = 0
    lessons: int = 0
    taken_back: int = 0

    def __add__(self, other: TaughtContext) -> TaughtContext:
        return TaughtContext(
            cases=self.cases + other.cases,
            lessons=self.lessons + other.lessons,
            taken_back=self.taken_back + other.taken_back,
        )


def teach(kb: KnowledgeBase, *, settings: Settings | None = None) -> TaughtContext:
    """Update the playbook and memory of each relation to the current decisions; idempotent.

    The reviewers saw each quote, so cases don't wait in quarantine. Every change is in the ledger.

    Raises:
        ModelFileError: a memory's embedder is not downloaded.
    """
    settings = settings or load_settings()
    episodes: dict[str, list[Episode]] = defaultdict(list)
    for episode in reviewed(kb, untrusted=False):
        episodes[str(episode.task.metadata["category"])].append(episode)
    notes, done = _notes(kb), TaughtContext()
    for relation in _relations(kb):
        name = relation_name(kb.name, relation)
        done += _keep_cases(kb, name, episodes.get(relation, []), settings)
        done += _keep_lessons(kb, name, notes.get(relation, {}))
    return done


def recallers_of(kb: KnowledgeBase, settings: Settings | None = None) -> list[Recaller]:
    """The default recallers of a curation: the playbook and the cases of the relation asked about."""
    settings = settings or load_settings()
    return [
        RecallByRelation(f"playbook:{kb.name}", lambda relation: _Lessons(kb, relation)),
        RecallByRelation(f"cases:{kb.name}", lambda relation: _Cases(kb, relation, settings)),
    ]


class _Lessons:
    """Recalls from the playbook of a relation; an empty one draws and records nothing."""

    def __init__(self, kb: KnowledgeBase, relation: str) -> None:
        self._book = PlaybookStore.open(kb.store, relation_name(kb.name, relation))
        self.name = self._book.target

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        return await PlaybookRecaller(self._book).recall(task, run_id=run_id) if self._book.version() else None


class _Cases:
    """Recalls the cases of a relation that are most similar to the question; none if there is no memory yet."""

    def __init__(self, kb: KnowledgeBase, relation: str, settings: Settings) -> None:
        self._kb, self._settings, self._memory = kb, settings, relation_name(kb.name, relation)
        self.name = f"cases:{self._memory}"
        self._recaller: MemoryRecaller | None = None

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        store, home = self._kb.store, self._settings.home
        if self._recaller is None and stored_cases(store, self._memory, home=home) is not None:
            memory = open_cases(store, self._memory, settings=self._settings)
            self._recaller = MemoryRecaller(memory, settings=SHOWN)
        return None if self._recaller is None else await self._recaller.recall(task, run_id=run_id)


def _relations(kb: KnowledgeBase) -> list[str]:
    """Every relation with a claim in any version."""
    query = select(KbClaimRow.predicate).where(KbClaimRow.kb == kb.name).distinct()
    with kb.store.read() as connection:
        return sorted(connection.execute(query).scalars())


# --- cases


def _keep_cases(kb: KnowledgeBase, name: str, episodes: Iterable[Episode], settings: Settings) -> TaughtContext:
    wanted = {case_id(episode.run_id): episode for episode in episodes}
    known = stored_cases(kb.store, name, home=settings.home)
    there = {} if known is None else {case.id: case for case in known.list(limit=None)}
    gone = [case for id_, case in there.items() if id_ not in wanted and (case.run_id or "").startswith("review-")]
    if known is not None and gone:
        _drop(known, gone)
    new = [episode for id_, episode in wanted.items() if id_ not in there]
    if new:
        learner = MemoryLearner(_open(kb, name, settings))
        for episode in new:
            learner.learn_now(episode)
    return TaughtContext(cases=len(new), taken_back=len(gone))


def _drop(memory: CaseMemory, cases: Sequence[Case]) -> None:
    """Remove cases, as a change in the ledger."""

    def effect(connection: Connection, change: Change) -> None:
        memory.drop(connection, [case.id for case in cases])

    PolicyStore(memory.store, memory.name).touch("taken back", cases, effect, role="person")


def _open(kb: KnowledgeBase, name: str, settings: Settings) -> CaseMemory:
    """The memory of that name; a new one uses hashed words if the settings' embedder is not downloaded."""
    try:
        return open_cases(kb.store, name, settings=settings)
    except ModelFileError:
        if stored_cases(kb.store, name, home=settings.home) is not None:
            raise
        return open_cases(kb.store, name, settings=settings, embedder=WITHOUT_MODEL)


# --- lessons


@dataclass(frozen=True, kw_only=True)
class _Note:
    """A note on a claim, as a lesson, and the version since which it has been in force."""

    content: str
    record: Record
    since: int


def _notes(kb: KnowledgeBase) -> Mapping[str, Mapping[str, _Note]]:
    """The notes of decisions in force, by relation and by the id of the bullet."""
    found: dict[str, dict[str, _Note]] = defaultdict(dict)
    since = decided_since(kb)
    for record in kb.decided():
        reason = record.claim.reason
        if reason.strip() and not reason.startswith("corrected:"):  # the note belongs to the corrected claim
            content = _cleaned(reason)
            if content:
                note = _Note(content=content, record=record, since=since[record.claim.id])
                found[record.claim.predicate].setdefault(bullet_id(SECTION, "", content), note)
    return found


def _cleaned(text: str) -> str:
    try:
        return clean(text)
    except UserError:
        return ""


def _keep_lessons(kb: KnowledgeBase, name: str, wanted: Mapping[str, _Note]) -> TaughtContext:
    book = PlaybookStore.open(kb.store, name)
    if not wanted and not book.version():
        return TaughtContext()
    bullets = book.current().bullets
    told = sum(_tell(kb, book, note, bullets.get(id_)) for id_, note in wanted.items())
    stale = [b for b in bullets.values() if b.active and b.section == SECTION and b.id not in wanted]
    for bullet in stale:
        retire = Retire(id=bullet.id, expected=bullet.hash, reason=TAKEN_BACK)
        key = f"{book.target}:taken back:{kb.version}:{bullet.id}"
        book.submit(_delta(kb, book, retire, key=key, note=TAKEN_BACK))
    return TaughtContext(lessons=told, taken_back=len(stale))


def _tell(kb: KnowledgeBase, book: PlaybookStore, note: _Note, bullet: Bullet | None) -> bool:
    """Put a note into the playbook; returns whether it is newly in."""
    if bullet is not None and (bullet.active or not _taken_back(book, bullet.id)):
        return False
    findings = lint(note.content)
    if any(finding.kind == "secret" for finding in findings):
        return False
    operation: Operation = Add(content=note.content, section=SECTION)
    if bullet is not None:
        operation = Revive(id=bullet.id, expected=bullet.hash)
    claim = note.record.claim
    key = f"{book.target}:note:{claim.id}:{note.since}:{json_digest(note.content)[:12]}"
    delta = _delta(kb, book, operation, key=key, run_id=claim.run_id or None, note=f"note on claim {claim.id[:8]}")
    if findings:
        book.hold(delta, ask_a_person([f"{finding.kind}: {finding.detail}" for finding in findings]))
        return False
    return book.submit(delta).status == "applied"


def _delta(
    kb: KnowledgeBase, book: PlaybookStore, operation: Operation, *, key: str, note: str, run_id: str | None = None
) -> Delta:
    """A change made by a person: it contains only what they wrote or took back."""
    base, operations = book.version(), (operation,)
    return Delta(
        key=key,
        base=base,
        operations=operations,
        role="person",
        run_id=run_id,
        source=kb.target,
        signal="user",
        note=note,
    )


def _taken_back(book: PlaybookStore, bullet: str) -> bool:
    """Whether a bullet was retired because its decision was undone, not by someone who judged the bullet itself."""
    return next((reason == TAKEN_BACK for id_, reason in _retired(book) if id_ == bullet), False)


def _retired(book: PlaybookStore) -> Iterator[tuple[str, str]]:
    """Ids and reasons of retirements, newest first."""
    for change in book.ledger.history(book.target, status="applied"):
        for operation in change.operations:
            if operation["op"] == "retire":
                yield operation["id"], operation.get("reason", "")
