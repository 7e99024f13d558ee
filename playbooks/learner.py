"""PlaybookLearner: reflect, curate, and send the delta through trust and gate to the ledger, exactly once a run.

After ACE (arXiv 2510.04618 §3): the reflector diagnoses, the curator writes deltas, nothing is rewritten whole. Beyond
it: no call where there is nothing to learn, votes and edits apart, evidence weighed first, doubtful lessons held back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agentkit import faults
from agentkit.embedding import Embedder
from agentkit.errors import Conflict, InvalidOutput
from agentkit.ledger import Change, Gate, Verdict, digest
from agentkit.playbooks.alarms import alarms
from agentkit.playbooks.curating import Draft, add_directly, keepable, sort_lessons, translate
from agentkit.playbooks.evidence import LearningStep, UsageLog
from agentkit.playbooks.operations import Add, Delta, Operation, Retire, Vote
from agentkit.playbooks.playbook import Playbook
from agentkit.playbooks.rendering import Renderer
from agentkit.playbooks.signals import Signal, visible, weigh
from agentkit.playbooks.similarity import Duplicates, Index
from agentkit.playbooks.storage import PlaybookStore
from agentkit.playbooks.stream_gate import StreamGate
from agentkit.playbooks.trust import ask_a_person
from agentkit.protocols import CallModel, Episode, Learnt, Status
from agentkit.redaction import redact
from agentkit.roles.curator import CuratorDelta, curator_messages
from agentkit.roles.reflector import Reflection, RunLesson, reflector_messages
from agentkit.settings import DailyGate

_log = logging.getLogger(__name__)
_STATUS: Mapping[str, Status] = {"applied": "applied", "quarantined": "quarantined", "waiting": "waiting"}


_PARTS = ("held", "doubtful", "edits", "trial")
"""The changes that learning from one run may propose, besides its votes."""

_WAITS = {
    "untrusted": Verdict(decision="quarantine", reason="text from outside is in the run: a person must look at it"),
    "strict": Verdict(decision="quarantine", reason="waits for held-out tasks: agentkit evolve --retest"),
    "quarantine": Verdict(decision="ask", reason="every edit waits for a person"),
}


@dataclass(frozen=True, kw_only=True)
class LearningPolicy:
    """When and how much to learn.

    Attributes:
        rounds: reflections on one failed run at most; each checks the one before, and they stop when it stands.
        on_success: reflect also on runs that went well. Off, a success still votes for the bullets it cited.
        batch: lessons that wait for one curation.
        curate: ask the curator always (as ACE does), only about lessons that come close to something known, or never.
        margin: how sure a judge must be; see `weigh`.
        retire_level: a bullet is retired when the interval of its effect at this level lies below zero.
        window: steps the alarms look back.
        budget: tokens of the playbook in the curator's prompt.
    """

    rounds: int = 1
    on_success: bool = False
    batch: int = 1
    curate: Literal["always", "related", "never"] = "related"
    margin: float = 0.25
    retire_level: float = 0.98
    window: int = 20
    budget: int = 6000


@dataclass
class _Work:
    """One run being learnt from."""

    episode: Episode
    signal: Signal
    reflection: Reflection | None = None
    reflected: bool = False
    parsed: bool = True
    draft: Draft = field(default_factory=Draft)
    changes: list[Change] = field(default_factory=list)
    operations: int = 0
    votes: int = 0

    @property
    def unsure(self) -> bool:
        """Whether the reflector only guesses. Where it has seen the right answer, that is for the gate to find out."""
        guessed = self.reflection is not None and self.reflection.basis == "guess"
        return guessed and self.episode.labels != "gold"


class PlaybookLearner:
    """A `Learner` over a playbook.

    Args:
        book: what it learns into.
        gate: tests edits before they take effect, or says by name what becomes of those from trusted runs
            (`DailyGate`); those of untrusted runs then wait in quarantine. None is "off": they take effect at once.
        policy: when and how much.
        embedder: finds near-duplicates; hashed words by default.
    """

    def __init__(
        self,
        book: PlaybookStore,
        *,
        gate: Gate | DailyGate | None = None,
        policy: LearningPolicy | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        self.book, self.gate, self.policy = book, gate, policy or LearningPolicy()
        self.evidence, self.trials = UsageLog(book.store, book.target), StreamGate(book)
        self.duplicates = Duplicates(index=Index(embedder, book.store))
        self._raised: list[str] = []

    @property
    def name(self) -> str:
        return self.book.target

    async def learn(self, episode: Episode, *, call: CallModel) -> Learnt:
        """Learn from a run; called again for the same run it returns what was done."""
        known = await asyncio.to_thread(self.evidence.outcome, episode.run_id)
        if known is not None:
            return known
        episode = visible(episode)
        work = _Work(episode, weigh(episode, margin=self.policy.margin))
        if not work.signal.weak:
            await asyncio.to_thread(self._observe, work)
            await self._reflect(work, call)
            await asyncio.to_thread(self._vote, work)
            await self._curate(work, call)
        faults.point("before:playbook.finish")
        return await asyncio.to_thread(self._finish, work)

    def alarms(self) -> list[str]:
        """What is suspicious about the last steps of learning."""
        return alarms(self.evidence.steps(self.policy.window), window=self.policy.window)

    def _observe(self, work: _Work) -> None:
        block = work.episode.block("playbook")
        if block is not None and block.target == self.book.target and work.signal.score is not None:
            self.evidence.expose(work.episode.run_id, block.offers, work.signal.score)
            if not (
                work.episode.untrusted and work.signal.channel == "judge"
            ):  # its text could have talked to the judge
                self.trials.observe(work.episode.run_id, block.coins, work.signal.score)
                faults.point("after:playbook.coins")
                self.trials.settle()

    async def _reflect(self, work: _Work, call: CallModel) -> None:
        """Ask for a reflection where there is something to learn; see `LearningPolicy.rounds`."""
        failed = (work.signal.score or 0.0) < 0.5
        if not failed and not self.policy.on_success:
            return
        bullets = await asyncio.to_thread(self._used, work.episode)
        work.reflected = True
        for _ in range(self.policy.rounds):
            messages = reflector_messages(work.episode, bullets, previous=work.reflection)
            try:
                found: Reflection = (await call("reflector", messages, schema=Reflection)).parsed
            except InvalidOutput:
                work.parsed = work.reflection is not None
                return
            stands = work.reflection is not None and _texts(found) == _texts(work.reflection)
            work.reflection = found
            if stands:
                return

    def _used(self, episode: Episode) -> dict[str, str]:
        """The bullets the run cited, else the shown ones closest to the task: content by id."""
        shown, block = self._shown(episode), episode.block("playbook")
        if not shown or block is None:
            return {}
        cited = [id for id in episode.cited if id in shown] or shown[:5]
        bullets = self.book.at(block.version).bullets
        return {id: bullets[id].content for id in cited[:12] if id in bullets}

    def _shown(self, episode: Episode) -> list[str]:
        block = episode.block("playbook")
        if block is None or block.target != self.book.target:
            return []
        offers = sorted((o for o in block.offers if o.shown), key=lambda o: -(o.score or 0.0))
        return [offer.id for offer in offers]

    def _vote(self, work: _Work) -> None:
        """Votes, and retirements that the estimates call for, as a change of their own: no gate need test them."""
        operations: list[Operation] = [*self._votes(work), *self._harmful()]
        work.votes = sum(isinstance(item, Vote) for item in operations)
        if operations:
            work.changes.append(self.book.submit(self._delta(work, "votes", operations)))

    def _votes(self, work: _Work) -> list[Operation]:
        """One vote a bullet and run at most. A run shaped by outside text has none: it could talk bullets down."""
        episode, shown = work.episode, set(self._shown(work.episode))
        if episode.untrusted:
            return []
        verdicts = {id: "helpful" for id in episode.cited if (work.signal.score or 0.0) >= 0.5}
        if work.reflection is not None:
            verdicts |= {item.id.strip("[] "): item.verdict for item in work.reflection.judgements}
        known = self.book.current().bullets
        return [
            Vote(id=id, helpful=int(verdict == "helpful"), harmful=int(verdict == "harmful"))
            for id, verdict in sorted(verdicts.items())
            if id in shown and id in known and verdict != "neutral"
        ]

    def _harmful(self) -> list[Operation]:
        effects, bullets = self.evidence.effects(), self.book.current().bullets
        return [
            Retire(id=id, expected=bullets[id].hash, reason=f"estimated effect {effect.mean:+.2f}")
            for id, effect in sorted(effects.items())
            if id in bullets and bullets[id].active and effect.harmful(self.policy.retire_level)
        ]

    async def _curate(self, work: _Work, call: CallModel) -> None:
        lessons = self._lessons(work)
        run_id = work.episode.run_id
        await asyncio.to_thread(self.evidence.add_lessons, run_id, [self._stored(work, item) for item in lessons])
        faults.point("after:playbook.lessons")
        waiting = await asyncio.to_thread(self.evidence.claim, run_id, batch=self.policy.batch)
        if not waiting or await asyncio.to_thread(self._curated, work):
            return
        book = await asyncio.to_thread(self._base, run_id)
        items = await asyncio.to_thread(sort_lessons, waiting, book, self.duplicates)
        close = [item for item in items if item.near and item.duplicate is None]
        asked = items if self.policy.curate == "always" else close if self.policy.curate == "related" else []
        if asked:
            page = Renderer(budget=self.policy.budget).render(book.active).text
            messages = curator_messages(page, [item.incoming for item in asked])
            try:
                curation: CuratorDelta = (await call("curator", messages, schema=CuratorDelta)).parsed
                translate(curation.operations, asked, book, self.duplicates, work.draft)
            except InvalidOutput:
                work.parsed = False
        add_directly([item for item in items if item not in asked], work.draft)
        untrusted = any(item.get("untrusted") for item in waiting)
        await self._propose(work, book.version, untrusted=untrusted)

    def _curated(self, work: _Work) -> bool:
        """Whether the edits were proposed before a crash; then they are not worked out again."""
        found = [self.book.ledger.find(self._key(work.episode, part)) for part in _PARTS]
        if not any(change is not None and change.status != "proposed" for change in found[-2:]):
            return False
        work.changes += [change for change in found if change is not None]
        work.operations = sum(len(change.operations) for change in found if change is not None)
        return True

    def _base(self, run_id: str) -> Playbook:
        """The playbook that the curator works on, the same when a run's learning is repeated after a crash."""
        return self.book.at(self.evidence.pin(digest(["learn", run_id]), self.book.current().version))

    def _lessons(self, work: _Work) -> list[RunLesson]:
        if work.reflection is None or work.unsure:
            return []
        kept, dropped = keepable(work.reflection.lessons, work.episode.task)
        work.draft.dropped += dropped
        return kept

    def _stored(self, work: _Work, lesson: RunLesson) -> dict[str, Any]:
        episode = work.episode
        context = {
            "question": redact(episode.task.input)[:600],
            "untrusted": episode.untrusted,
            "source": episode.source,
        }
        return {**lesson.model_dump(), **context}

    async def _propose(self, work: _Work, base: int, *, untrusted: bool) -> None:
        draft = work.draft
        await asyncio.to_thread(self._drop_repeats, work)
        work.operations = len(draft.operations) + len(draft.doubtful) + len(draft.held)
        if draft.held:
            delta = self._delta(work, "held", draft.held, base=base)
            work.changes.append(await asyncio.to_thread(self.book.hold, delta, ask_a_person(draft.findings)))
        if draft.doubtful:
            reason = "; ".join(dict.fromkeys(draft.reasons))[:500]
            verdict = Verdict(decision="quarantine", reason=reason)
            delta = self._delta(work, "doubtful", draft.doubtful, base=base)
            work.changes.append(await asyncio.to_thread(self.book.hold, delta, verdict))
        if self.gate is not None and not isinstance(self.gate, str):
            if draft.operations:
                work.changes.append(
                    await self._gated(self._delta(work, "edits", draft.operations, base=base), self.gate)
                )
            return
        change = await asyncio.to_thread(self._by_name, work, base, "untrusted" if untrusted else self.gate or "off")
        work.changes += [] if change is None else [change]

    def _by_name(self, work: _Work, base: int, gate: str) -> Change | None:
        """What a gate that is a mere name does with the edits of a run."""
        if not work.draft.operations:
            return None
        part = "trial" if gate == "probation" else "edits"
        delta = self._delta(work, part, work.draft.operations, base=base)
        if gate == "probation":
            return self.trials.enter(delta)
        return self.book.submit(delta) if gate == "off" else self.book.hold(delta, _WAITS[gate])

    def _drop_repeats(self, work: _Work) -> None:
        """Leave out edits that say again what the gate is still to decide about, or did not let pass: a lesson that
        many runs teach is tried, and paid for, once."""
        known = self.book.put_forward(but=f"{self._key(work.episode, '')}")
        kept: list[Operation] = []
        for operation in work.draft.operations:
            said = (
                self.duplicates.duplicate(operation.content, operation.scope, known)
                if isinstance(operation, Add)
                else None
            )
            if said is None:
                kept.append(operation)
            else:
                work.draft.dropped.append(f"said already by {said.id}, which the gate has not let pass yet")
        work.draft.operations = kept

    async def _gated(self, delta: Delta, gate: Gate) -> Change:
        """What the gate decides. A change it accepts takes effect even where the collapse guard would object."""
        ledger = self.book.ledger
        change = await asyncio.to_thread(ledger.propose, delta.to_change(self.book.target))
        if change.status != "proposed":
            return change
        verdict = (await gate.decide([change], key=change.key))[change.id]
        if verdict.decision != "accept":
            return await asyncio.to_thread(ledger.decide, change.id, verdict)
        try:
            return await asyncio.to_thread(self.book.release, change.id, verdict)
        except Conflict as error:
            return await asyncio.to_thread(
                ledger.decide, change.id, Verdict(decision="ask", reason=f"conflict: {error}")
            )

    def _delta(self, work: _Work, part: str, operations: list[Operation], *, base: int | None = None) -> Delta:
        episode, reflection = work.episode, work.reflection
        return Delta(
            key=self._key(episode, part),
            base=self.book.version() if base is None else base,
            operations=tuple(operations),
            role="learner" if part == "votes" else "curator",
            model=episode.model[:200],
            run_id=episode.run[:64],
            source=episode.source[:400] if episode.untrusted else "",
            signal=work.signal.channel or "",
            note="" if reflection is None or part == "votes" else redact(reflection.cause)[:500],
        )

    def _key(self, episode: Episode, part: str) -> str:
        return f"{episode.run_id[:64]}:{self.book.target}:{part}"

    def _finish(self, work: _Work) -> Learnt:
        edits = [change for change in work.changes if not change.key.endswith(":votes")]
        statuses = {change.status for change in edits}
        status = next((_STATUS[name] for name in ("applied", "waiting", "quarantined") if name in statuses), None)
        if status is None:
            status = "rejected" if edits else "applied" if work.changes else "nothing"
        learnt = Learnt(
            status=status,
            changes=tuple(change.id for change in work.changes),
            note=self._note(work),
            details={"dropped": work.draft.dropped, "operations": work.operations, "votes": work.votes},
        )
        done = {name: getattr(work, name) for name in ("reflected", "parsed", "operations", "votes")}
        kept = self.evidence.finish(LearningStep(run_id=work.episode.run_id, learnt=learnt, **done))
        raised = self.alarms()
        for alarm in raised:
            if alarm not in self._raised:
                _log.warning("%s: %s", self.book.target, alarm)
        self._raised = raised
        return kept

    def _note(self, work: _Work) -> str:
        if work.signal.weak:
            return work.signal.weak
        if not work.parsed:
            return "the model's output could not be read"
        if not work.reflected and not work.changes:
            return "the run went well: nothing to reflect on"
        if work.unsure:
            return "the reflector was not sure: no lesson was drawn"
        return "; ".join(work.draft.dropped)[:500]


def _texts(reflection: Reflection) -> list[str]:
    return [lesson.content for lesson in reflection.lessons]
