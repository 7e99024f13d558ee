"""MemoryLearner: turns a finished run into a case and an outcome, once."""

from __future__ import annotations

import asyncio
from typing import get_args

from sqlalchemy import Connection

from agentkit.ledger import Change
from agentkit.memory.case import ANSWER, SUCCESS, WRONG, Case, Channel, case_id
from agentkit.memory.kinds import kind_of
from agentkit.memory.memory import CaseMemory
from agentkit.memory.policy_store import PolicyStore
from agentkit.memory.upkeep import evict
from agentkit.protocols import CallModel, Episode, Learnt
from agentkit.tasks import Feedback


class MemoryLearner:
    """A `Learner` for one namespace of a memory.

    The case, its vectors, the outcome and the policy's new snapshot are written in one transaction, which is one change
    in the ledger. A run whose judge failed is stored with an unknown outcome and teaches nothing; it is never counted
    as a failure.

    Args:
        quarantine: hold back cases of runs that text from outside could have influenced.
        hold: hold back every case until a person releases it.
        limit: how many cases the namespace may have; when it is exceeded by a tenth, the least valuable are removed.
    """

    def __init__(
        self,
        memory: CaseMemory,
        *,
        namespace: str = "default",
        quarantine: bool = True,
        hold: bool = False,
        limit: int | None = None,
    ) -> None:
        self.hold = hold
        self.memory, self.namespace, self.quarantine, self.limit = memory, namespace, quarantine, limit
        self.policies = PolicyStore(memory.store, memory.name)

    @property
    def name(self) -> str:
        return f"cases:{self.memory.name}"

    async def learn(self, episode: Episode, *, call: CallModel | None = None) -> Learnt:
        """Store the episode; repeating it for the same run changes nothing."""
        return await asyncio.to_thread(self.learn_now, episode)

    def learn_now(self, episode: Episode) -> Learnt:
        """The synchronous version of `learn`."""
        case = self.to_case(episode)
        write = self.memory.writer([case])

        def then(connection: Connection, change: Change) -> None:
            write(connection)

        change = self.policies.learn(
            episode.run_id,
            self.namespace,
            case.earned,
            model=episode.model,
            signal=case.channel,
            note=f"case {case.id}",
            then=then,
        )
        if self.limit is not None and self.memory.count(namespace=self.namespace) > 1.1 * self.limit:
            evict(self.memory, namespace=self.namespace, keep=self.limit)
        held = case.status == "quarantined"
        why = "text from outside is in its run" if episode.untrusted else "the gate keeps every case for a person"
        note = f"the case waits in quarantine: {why}" if held else ""
        details = {"case": case.id, "outcome": case.outcome}
        return Learnt(status="quarantined" if held else "applied", changes=(change.id,), note=note, details=details)

    def to_case(self, episode: Episode) -> Case:
        """(s, a, r) of the run's last step (AgentFly §3.1): its task, what was done, how it went."""
        known = next((item for item in episode.feedback if item.score is not None), None)
        channel: Channel = known.channel if known is not None and known.channel in get_args(Channel) else ""
        trusted, right = not episode.untrusted, known is not None and (known.score or 0) >= SUCCESS
        correction = _correction(episode, known, right)
        return Case(
            id=case_id(episode.run_id),
            run_id=episode.run_id,
            namespace=self.namespace,
            state=episode.task.input,
            plan=_plan(episode, right),
            answer=episode.answer,
            correction=correction,
            corrected_by="" if correction is None else "label",
            reward=1.0 if correction is not None else None if known is None else known.score,
            channel=channel,
            source=episode.source,
            trusted=trusted,
            instructions=kind_of(episode.task),
            status="quarantined" if self.hold or (self.quarantine and not trusted) else "active",
            tags=tuple(str(episode.task.metadata[name]) for name in ("category",) if name in episode.task.metadata),
        )


def _correction(episode: Episode, known: Feedback | None, right: bool) -> str | None:
    """The target of a task that was answered wrongly, if learning may see it."""
    told = known is not None and known.channel == "label" and not right
    return episode.task.target if told and episode.labels == "gold" else None


def _plan(episode: Episode, right: bool) -> str:
    """The plan with its answer; a failure's answer is marked as wrong."""
    lines = [f"{number}. {step}" for number, step in enumerate(episode.plan, 1)]
    if episode.answer is not None:
        verdict = ANSWER if right or episode.score is None else WRONG
        lines.append(f"{verdict}{episode.answer}")
    return "\n".join(lines) or "No answer was found."
