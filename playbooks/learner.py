"""PlaybookLearner: reflects, curates, and sends the delta through lint and gate to the ledger, exactly once per run.

After ACE (arXiv 2510.04618 §3): the reflector diagnoses, the curator writes deltas, and nothing is ever rewritten as a
whole. Additions to ACE: no call if there is nothing to learn, separate changes for votes and edits, evidence weighed
first, doubtful lessons held back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agentkit import faults
from agentkit.embedding import Embedder
from agentkit.errors import InvalidOutput
from agentkit.json_types import JsonObject
from agentkit.ledger import Gate, digest
from agentkit.playbooks.alarms import alarms
from agentkit.playbooks.curating import add_directly, keepable, sort_lessons, translate
from agentkit.playbooks.evidence import LearningStep, UsageLog
from agentkit.playbooks.operations import Operation, Retire, Vote
from agentkit.playbooks.playbook import Playbook
from agentkit.playbooks.proposing import PARTS, Proposals, RunWork
from agentkit.playbooks.rendering import Renderer
from agentkit.playbooks.signals import visible, weigh
from agentkit.playbooks.similarity import Duplicates, Index
from agentkit.playbooks.storage import PlaybookStore
from agentkit.playbooks.stream_gate import StreamGate
from agentkit.protocols import CallModel, Episode, Learnt, Status
from agentkit.redaction import redact
from agentkit.roles.curator import CuratorDelta, curator_messages
from agentkit.roles.reflector import Reflection, RunLesson, reflector_messages
from agentkit.settings import DailyGate

_log = logging.getLogger(__name__)
_STATUS: Mapping[str, Status] = {"applied": "applied", "quarantined": "quarantined", "waiting": "waiting"}


@dataclass(frozen=True, kw_only=True)
class LearningPolicy:
    """When and how much to learn.

    Attributes:
        rounds: maximum number of reflections on one failed run. Each one checks the previous one, and they stop when it
            does not change any more.
        on_success: also reflect on runs that went well. When off, a success still votes for the bullets it cited.
        batch: number of pending lessons that triggers a curation.
        curate: ask the curator about all lessons (as ACE does), only about those similar to something known, or never.
        margin: how certain a judge must be; see `weigh`.
        retire_level: a bullet is retired if the interval of its effect at this level is below zero.
        window: number of steps that the alarms look at.
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


class PlaybookLearner:
    """A `Learner` for a playbook.

    Args:
        book: the playbook to learn into.
        gate: an object that tests edits before they take effect, or the name of what happens to edits from trusted runs
            (`DailyGate`), in which case those from untrusted runs are quarantined. None means "off": edits take effect
            at once.
        policy: when and how much to learn.
        embedder: finds near-duplicates; by default it hashes words.
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
        self._proposals = Proposals(book, gate, self.trials, self.duplicates)
        self._raised: list[str] = []

    @property
    def name(self) -> str:
        return self.book.target

    async def learn(self, episode: Episode, *, call: CallModel) -> Learnt:
        """Learn from a run; called again for the same run, it returns the earlier outcome."""
        known = await asyncio.to_thread(self.evidence.outcome, episode.run_id)
        if known is not None:
            return known
        episode = visible(episode)
        work = RunWork(episode, weigh(episode, margin=self.policy.margin))
        if not work.signal.weak:
            await asyncio.to_thread(self._observe, work)
            await self._reflect(work, call)
            await asyncio.to_thread(self._vote, work)
            await self._curate(work, call)
        faults.point("before:playbook.finish")
        return await asyncio.to_thread(self._finish, work)

    def alarms(self) -> list[str]:
        """What is suspicious about the last learning steps."""
        return alarms(self.evidence.steps(self.policy.window), window=self.policy.window)

    def _observe(self, work: RunWork) -> None:
        block = work.episode.block("playbook")
        if block is not None and block.target == self.book.target and work.signal.score is not None:
            self.evidence.expose(work.episode.run_id, block.offers, work.signal.score)
            # Outside text in the run could have influenced the judge.
            if not (work.episode.untrusted and work.signal.channel == "judge"):
                self.trials.observe(work.episode.run_id, block.coins, work.signal.score)
                faults.point("after:playbook.coins")
                self.trials.settle()

    async def _reflect(self, work: RunWork, call: CallModel) -> None:
        """Ask for a reflection if there is something to learn; see `LearningPolicy.rounds`."""
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
        """The bullets that the run cited, or else the shown ones most similar to the task: content by id."""
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

    def _vote(self, work: RunWork) -> None:
        """Votes, and retirements that the estimates call for, as a separate change that needs no gate."""
        operations: list[Operation] = [*self._votes(work), *self._harmful()]
        work.votes = sum(isinstance(item, Vote) for item in operations)
        if operations:
            work.changes.append(self.book.submit(self._proposals.delta(work, "votes", operations)))

    def _votes(self, work: RunWork) -> list[Operation]:
        """At most one vote per bullet and run. Runs influenced by outside text get no vote, since that text could talk
        bullets down."""
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

    async def _curate(self, work: RunWork, call: CallModel) -> None:
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
        await self._proposals.make(work, book.version, untrusted=untrusted)

    def _curated(self, work: RunWork) -> bool:
        """Whether the edits were proposed before a crash; if so, they are not computed again."""
        found = [self.book.ledger.find(self._proposals.key(work.episode, part)) for part in PARTS]
        if not any(change is not None and change.status != "proposed" for change in found[-2:]):
            return False
        work.changes += [change for change in found if change is not None]
        work.operations = sum(len(change.operations) for change in found if change is not None)
        return True

    def _base(self, run_id: str) -> Playbook:
        """The playbook that the curator works on; the same if learning from a run is repeated after a crash."""
        return self.book.at(self.evidence.pin(digest(["learn", run_id]), self.book.current().version))

    def _lessons(self, work: RunWork) -> list[RunLesson]:
        if work.reflection is None or work.unsure:
            return []
        kept, dropped = keepable(work.reflection.lessons, work.episode.task)
        work.draft.dropped += dropped
        return kept

    def _stored(self, work: RunWork, lesson: RunLesson) -> JsonObject:
        episode = work.episode
        context = {
            "question": redact(episode.task.input)[:600],
            "untrusted": episode.untrusted,
            "source": episode.source,
        }
        return {**lesson.model_dump(), **context}

    def _finish(self, work: RunWork) -> Learnt:
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

    def _note(self, work: RunWork) -> str:
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
