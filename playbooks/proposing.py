"""From the edits of one run to changes in the ledger, depending on whether they must wait for a person, for evidence,
or for a gate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from agentkit.errors import Conflict
from agentkit.ledger import Change, Gate, Verdict
from agentkit.playbooks.curating import Draft
from agentkit.playbooks.operations import Add, Delta, Operation
from agentkit.playbooks.signals import Signal
from agentkit.playbooks.similarity import Duplicates
from agentkit.playbooks.storage import PlaybookStore
from agentkit.playbooks.stream_gate import StreamGate
from agentkit.playbooks.trust import ask_a_person
from agentkit.protocols import Episode
from agentkit.redaction import redact
from agentkit.roles.reflector import Reflection
from agentkit.settings import DailyGate

PARTS = ("held", "doubtful", "edits", "trial")
"""The changes that learning from one run may propose, besides its votes."""

_WAITS = {
    "untrusted": Verdict(decision="quarantine", reason="text from outside is in the run: a person must look at it"),
    "strict": Verdict(decision="quarantine", reason="waits for held-out tasks: agentkit evolve --retest"),
    "quarantine": Verdict(decision="ask", reason="every edit waits for a person"),
}


@dataclass
class RunWork:
    """One run that is being learnt from."""

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
        """Whether the reflector is only guessing. If it has seen the right answer, the gate decides about that."""
        guessed = self.reflection is not None and self.reflection.basis == "guess"
        return guessed and self.episode.labels != "gold"


class Proposals:
    """Sends the edits of runs to where they belong.

    Args:
        book: the playbook that they change.
        gate: see `PlaybookLearner`.
        trials: the gate that gives edits on probation to runs at random.
        duplicates: finds edits that repeat something.
    """

    def __init__(
        self, book: PlaybookStore, gate: Gate | DailyGate | None, trials: StreamGate, duplicates: Duplicates
    ) -> None:
        self.book, self.gate, self.trials, self.duplicates = book, gate, trials, duplicates

    async def make(self, work: RunWork, base: int, *, untrusted: bool) -> None:
        draft = work.draft
        await asyncio.to_thread(self._drop_repeats, work)
        work.operations = len(draft.operations) + len(draft.doubtful) + len(draft.held)
        if draft.held:
            delta = self.delta(work, "held", draft.held, base=base)
            work.changes.append(await asyncio.to_thread(self.book.hold, delta, ask_a_person(draft.findings)))
        if draft.doubtful:
            reason = "; ".join(dict.fromkeys(draft.reasons))[:500]
            verdict = Verdict(decision="quarantine", reason=reason)
            delta = self.delta(work, "doubtful", draft.doubtful, base=base)
            work.changes.append(await asyncio.to_thread(self.book.hold, delta, verdict))
        if self.gate is not None and not isinstance(self.gate, str):
            if draft.operations:
                work.changes.append(
                    await self._gated(self.delta(work, "edits", draft.operations, base=base), self.gate)
                )
            return
        change = await asyncio.to_thread(self._by_name, work, base, "untrusted" if untrusted else self.gate or "off")
        work.changes += [] if change is None else [change]

    def _by_name(self, work: RunWork, base: int, gate: str) -> Change | None:
        """Apply a gate that is given by name to the edits of a run."""
        if not work.draft.operations:
            return None
        part = "trial" if gate == "probation" else "edits"
        delta = self.delta(work, part, work.draft.operations, base=base)
        if gate == "probation":
            return self.trials.enter(delta)
        return self.book.submit(delta) if gate == "off" else self.book.hold(delta, _WAITS[gate])

    def _drop_repeats(self, work: RunWork) -> None:
        """Drop edits that repeat something that the gate has not decided about yet, or did not let pass: a lesson that
        many runs teach is tested, and paid for, only once."""
        known = self.book.put_forward(but=f"{self.key(work.episode, '')}")
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
        """Apply the gate's decision. A change that it accepts takes effect even if the collapse guard would object."""
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

    def delta(self, work: RunWork, part: str, operations: list[Operation], *, base: int | None = None) -> Delta:
        episode, reflection = work.episode, work.reflection
        return Delta(
            key=self.key(episode, part),
            base=self.book.version() if base is None else base,
            operations=tuple(operations),
            role="learner" if part == "votes" else "curator",
            model=episode.model[:200],
            run_id=episode.run[:64],
            source=episode.source[:400] if episode.untrusted else "",
            signal=work.signal.channel or "",
            note="" if reflection is None or part == "votes" else redact(reflection.cause)[:500],
        )

    def key(self, episode: Episode, part: str) -> str:
        return f"{episode.run_id[:64]}:{self.book.target}:{part}"
