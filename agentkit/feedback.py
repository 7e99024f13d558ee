"""Feedback on a finished run: stored, reconciled with other opinions on the run, and taught once to each learner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Connection

from agentkit.errors import DataError, UserError
from agentkit.ledger import Change, Ledger, digest
from agentkit.opinions import (
    RIGHT,
    Opinion,
    Settled,
    check_opinion,
    named,
    opinions_of,
    same_answer,
    save_opinion,
    settle,
)
from agentkit.protocols import APART, Episode, Learner, Step
from agentkit.routing import EffortRecord, outcome_of
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
    """The effect of one piece of feedback.

    Attributes:
        settled: the verdict of all opinions on the run; None if nobody has said whether it was right.
        changes: ids of the ledger's changes, by target.
    """

    run_id: str
    settled: Settled | None
    changes: dict[str, str]


class FeedbackLine(BaseModel):
    """One line of a feedback file."""

    model_config = ConfigDict(extra="forbid")

    run: str
    score: float | None = None
    answer: str | None = None
    text: str = ""
    by: str = "user"


class FeedbackDesk:
    """Takes feedback on the runs in a store.

    Args:
        memory, playbook: names of those to teach; None means those that the run itself used.
    """

    def __init__(
        self, store: Store, settings: Settings, *, memory: str | None = None, playbook: str | None = None
    ) -> None:
        self.store, self.settings, self.memory, self.playbook = store, settings, memory, playbook
        self.log = RunLog(store)

    def take(self, opinion: Opinion) -> Taught:
        """Teach one opinion; giving it again has no further effect.

        Each learner is taught in a transaction of its own that also stores the opinion. If the process is killed in
        between, giving the same feedback again teaches the remaining learners.

        Raises:
            UserError: no such run, or it has not finished.
            DataError: an empty or self-contradictory opinion.
        """
        record = self.check(opinion)
        opinion = named(replace(opinion, run_id=record.id), self.opinions(record.id))
        spec = dict(record.options.get("agent", {}))
        changes: list[Change] = []
        if name := self.memory or spec.get("memory"):
            changes.append(self._teach_memory(name, record, opinion))
        if name := self.playbook or spec.get("playbook"):
            changes.append(self._teach_playbook(name, record, opinion))
        if record.effort is not None and (taught := self._teach_effort(record, opinion)) is not None:
            changes.append(taught)
        if not changes:
            self.store.transaction(lambda connection: save_opinion(self.store, connection, opinion))
        return Taught(
            run_id=record.id,
            settled=self.settled(record.id),
            changes={change.target: change.id for change in changes},
        )

    def settled(self, run_id: str) -> Settled | None:
        """The current verdict of all opinions on a run."""
        record = self.log.get(run_id)
        with self.store.read() as connection:
            return settle(opinions_of(connection, record.id), record.answer)

    def opinions(self, run_id: str) -> list[Opinion]:
        """All opinions on a run, oldest first."""
        record = self.log.get(run_id)
        with self.store.read() as connection:
            return opinions_of(connection, record.id)

    def check(self, opinion: Opinion) -> RunRecord:
        """The run that an opinion is about.

        Raises:
            UserError: no such run, or it has not finished.
            DataError: an empty or self-contradictory opinion, or a right answer of another type than the task's.
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
        """Update the credit of the bullets that the run was shown or denied."""
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

    def _teach_effort(self, record: RunRecord, opinion: Opinion) -> Change | None:
        """Credit the mode that the run took, and the evaluator, with what is now known about the run."""
        with self.store.read() as connection:
            said = [*opinions_of(connection, record.id), opinion]
        settled = settle(list({item.key: item for item in said}.values()), record.answer)
        if settled is None:
            return None
        outcome = outcome_of(
            record.id,
            record.task,
            record.effort or {},
            self.log.steps(record.id).model_calls,
            answer=record.answer,
            score=settled.score,
            confidence=record.confidence,
            score_of=lambda text: _score_of(text, record, settled),
        )
        if outcome is None:
            return None
        return EffortRecord(self.store).learn(
            outcome,
            key=opinion.key,
            signal=opinion.channel,
            role=opinion.by[:40],
            effect=lambda connection, change: save_opinion(self.store, connection, opinion),
        )


def _score_of(text: str, record: RunRecord, settled: Settled) -> float | None:
    """The score of an earlier answer of a run, inferred from what is known about the last one; None if it can't be
    inferred."""
    if same_answer(text, record.answer):
        return settled.score
    if settled.correction is not None:
        return float(same_answer(text, settled.correction))
    return 0.0 if settled.score >= RIGHT and record.task.answer_type is not None else None


def corrected(log: RunLog, run_id: str, settled: Settled) -> Episode | None:
    """A corrected run as an episode to learn lessons from, with its wrong answer next to the right one.

    Each right answer gives the episode an id of its own, so that each is learnt from once, no matter what the run
    taught when it ended. The episode carries no context, since that has been credited already.

    Returns:
        None if nobody corrected the run.
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
    """Draw lessons from a corrected run; repeating the call changes nothing.

    Args:
        callers: by role, journalled under the run; a role that has none uses the explorer's.
    """

    async def call(role: str, messages: Sequence[BaseMessage], *, schema: type[BaseModel] | None = None) -> Reply:
        caller = callers.get(role) or callers["explorer"]
        return await caller.call(messages, schema=schema, role=role, scope=f"learn:{episode.run_id}")

    await learner.learn(episode, call=call)


def read_feedback(path: str | Path) -> list[Opinion]:
    """Read opinions from a JSONL file of `{"run", "score", "answer", "text", "by"}` rows; one bad line rejects the
    file.

    Raises:
        DataError: a line that is not valid feedback; names file and line.
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
    """A run as a case, for a memory that did not learn it when the run ended."""
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
