"""Feedback on a finished run: written down, settled with what others said of it, and taught once to what learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection

from agentkit.errors import DataError, UserError
from agentkit.ledger import Change, Ledger, digest
from agentkit.opinions import Opinion, Settled, check_opinion, named, opinions_of, save_opinion, settle
from agentkit.protocols import APART, Episode, Learner, Step
from agentkit.settings import Settings
from agentkit.store import Store
from agentkit.store.run_log import FINISHED, RunLog, RunRecord
from agentkit.tasks import Feedback, read_jsonl

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from agentkit.memory import Case
    from agentkit.models import Caller, Reply


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What feedback came to.

    Attributes:
        settled: what all opinions on the run come to; None where nobody said whether it was right.
        changes: the ledger's changes by target.
    """

    run_id: str
    settled: Settled | None
    changes: dict[str, str]


class FeedbackLine(BaseModel):
    """One line of a file of feedback."""

    model_config = ConfigDict(extra="forbid")

    run: str
    score: float | None = None
    answer: str | None = None
    text: str = ""
    by: str = "user"


class FeedbackDesk:
    """Takes feedback on runs of a store.

    Args:
        memory, playbook: the names of those to teach; None teaches those that the run itself was given.
    """

    def __init__(
        self, store: Store, settings: Settings, *, memory: str | None = None, playbook: str | None = None
    ) -> None:
        self.store, self.settings, self.memory, self.playbook = store, settings, memory, playbook
        self.log = RunLog(store)

    def take(self, opinion: Opinion) -> Taught:
        """Teach one opinion; given again it changes nothing.

        Each of what learns is taught in a transaction of its own that also holds the opinion: after a kill, the same
        feedback given again teaches what is left.

        Raises:
            UserError: no such run, or one that has not finished.
            DataError: an empty or contradictory opinion.
        """
        record = self.check(opinion)
        opinion = named(replace(opinion, run_id=record.id), self.opinions(record.id))
        spec = dict(record.options.get("agent", {}))
        changes: list[Change] = []
        if name := self.memory or spec.get("memory"):
            changes.append(self._teach_memory(name, record, opinion))
        if name := self.playbook or spec.get("playbook"):
            changes.append(self._teach_playbook(name, record, opinion))
        if not changes:
            self.store.transaction(lambda connection: save_opinion(self.store, connection, opinion))
        return Taught(
            run_id=record.id,
            settled=self.settled(record.id),
            changes={change.target: change.id for change in changes},
        )

    def settled(self, run_id: str) -> Settled | None:
        """What the opinions on a run come to now."""
        record = self.log.get(run_id)
        with self.store.read() as connection:
            return settle(opinions_of(connection, record.id), record.answer)

    def opinions(self, run_id: str) -> list[Opinion]:
        """All that was said about a run, oldest first."""
        record = self.log.get(run_id)
        with self.store.read() as connection:
            return opinions_of(connection, record.id)

    def check(self, opinion: Opinion) -> RunRecord:
        """The run that an opinion is about.

        Raises:
            UserError: no such run, or one that has not finished.
            DataError: an empty or contradictory opinion, or a right answer of another type than the task's.
        """
        check_opinion(opinion)
        record = self.log.get(opinion.run_id)
        if record.status not in FINISHED:
            raise UserError(f"run {record.id} has not finished ({record.status}): there is no answer to judge yet")
        form = record.task.answer_type
        if form is not None and opinion.answer is not None:
            try:
                form.read(opinion.answer)
            except ValueError as error:
                line = " ".join(str(error).split())[:200]
                raise DataError(f"the right answer is not of the form that run {record.id} had: {line}") from None
        return record

    def _judge(self, connection: Connection, record: RunRecord, opinion: Opinion) -> Settled | None:
        save_opinion(self.store, connection, opinion)
        return settle(opinions_of(connection, record.id), record.answer)

    def _teach_memory(self, name: str, record: RunRecord, opinion: Opinion) -> Change:
        from agentkit.memory import open_cases
        from agentkit.memory.corrections import teach

        memory = open_cases(self.store, name, settings=self.settings)
        return teach(
            memory,
            _case(self.log, record),
            lambda connection: self._judge(connection, record, opinion),
            key=opinion.key,
            by=opinion.by,
            note=opinion.text,
        )

    def _teach_playbook(self, name: str, record: RunRecord, opinion: Opinion) -> Change:
        """The credit of the bullets that the run was shown or denied follows what is now known of it."""
        from agentkit.playbooks.evidence import UsageLog

        book = f"playbook:{name}"
        evidence, target = UsageLog(self.store, book), f"credit:{name}"

        def effect(connection: Connection, change: Change) -> None:
            settled = self._judge(connection, record, opinion)
            if settled is not None:
                evidence.regrade(connection, record.id, settled.score)

        operation = {"op": "feedback", "run": record.id, "opinion": opinion.key}
        ledger = Ledger(self.store)
        change = Change(
            key=f"{opinion.key}:{target}",
            kind="credit",
            target=target,
            base=ledger.version(target),
            operations=(operation,),
            role=opinion.by[:40],
            run_id=record.id,
            signal=opinion.channel,
        )
        return ledger.commit(change, effect)


def corrected(log: RunLog, run_id: str, settled: Settled) -> Episode | None:
    """A corrected run as an episode to learn lessons from, its wrong answer beside the right one.

    Its id is one of its own for each right answer, so that each is learnt from once, whatever the run taught when it
    ended; it holds no context, which has been credited already.

    Returns:
        None where nobody corrected it.
    """
    if settled.correction is None:
        return None
    record = log.get(run_id)
    calls, sources = log.tool_calls(run_id), log.sources(record)
    steps = [Step(actor="call", name=call.tool, text=str(call.arguments)) for call in calls]
    said = Feedback(channel=settled.channel, score=settled.score, text=settled.text)
    return Episode(
        run_id=f"{record.id}{APART}{digest([settled.correction])[:8]}",
        task=record.task.model_copy(update={"target": settled.correction}),
        labels="gold",
        answer=record.answer,
        steps=(*steps, Step(actor="explorer", text=record.answer or "")),
        feedback=(said,),
        model=record.model,
        untrusted=bool(sources),
        source=" ".join(sources),
    )


async def study(learner: Learner, episode: Episode, callers: Mapping[str, Caller]) -> None:
    """Draw lessons from a corrected run, once.

    Args:
        callers: by role, journalled under the run; a role without one asks the explorer.
    """

    async def call(role: str, messages: Sequence[BaseMessage], *, schema: type[BaseModel] | None = None) -> Reply:
        caller = callers.get(role) or callers["explorer"]
        return await caller.call(messages, schema=schema, role=role, scope=f"learn:{episode.run_id}")

    await learner.learn(episode, call=call)


def read_feedback(path: str | Path) -> list[Opinion]:
    """Opinions of a JSONL file of `{"run", "score", "answer", "text", "by"}` rows, all or none.

    Raises:
        DataError: a line that is no feedback, with file and line.
    """
    return list(_opinions(path))


def _opinions(path: str | Path) -> Iterator[Opinion]:
    for number, line in read_jsonl(path):
        try:
            row = FeedbackLine.model_validate(line)
            given: dict[str, Any] = row.model_dump(exclude={"run"})
            yield check_opinion(Opinion(run_id=row.run, **given))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DataError(f"{where}: {first['msg']}", path=path, line=number) from None
        except DataError as error:
            raise DataError(str(error), path=path, line=number) from None


def _case(log: RunLog, record: RunRecord) -> Case:
    """A run as a case, for a memory that did not learn it when it ended."""
    from agentkit.memory import Case
    from agentkit.memory.case import ANSWER, case_id
    from agentkit.memory.kinds import kind_of

    calls = log.tool_calls(record.id)
    sources = log.sources(record)
    steps = [f"{number}. {call.tool}({call.arguments})" for number, call in enumerate(calls, 1)]
    return Case(
        id=case_id(record.id),
        run_id=record.id,
        state=record.task.input,
        answer=record.answer,
        plan="\n".join([*steps, f"{ANSWER}{record.answer}"]),
        source=" ".join(sources),
        instructions=kind_of(record.task),
        trusted=not sources,
        status="quarantined" if sources else "active",
    )
