"""A paper as a run: a row beside those of tasks, with what it cost, how it ended, and whether it was interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from agentkit import telemetry
from agentkit.curation.claims import digest
from agentkit.curation.documents import Document
from agentkit.graph.events import Event, RunEnded, RunStarted
from agentkit.json_types import JsonObject
from agentkit.store.run_log import RunLog, RunRecord
from agentkit.tasks import Task


def paper_run_id(kb: str, document: str) -> str:
    """The run of a paper for a knowledge base: the same one whenever it is curated, so that it can be resumed."""
    return f"paper-{digest(kb, document, length=16)}"


class PaperRun:
    """The row of one paper's run.

    It begins with the first question that is asked, and a paper about which nothing is left to ask has none or keeps
    the one it has. Where another process works on it, the row is left to that one.

    Args:
        kb: the knowledge base.
        model: the explorer's name.
        options: how it is curated, for the records.
    """

    def __init__(
        self,
        log: RunLog,
        kb: str,
        document: Document,
        *,
        model: str,
        options: JsonObject,
        emit: Callable[[Event], None],
    ) -> None:
        self.log, self.kb, self.document, self.model, self.options = log, kb, document, model, options
        self.emit = emit
        self.id = paper_run_id(kb, document.id)
        self.rounds = 0
        """The most that a question has taken."""
        self._alive = ExitStack()
        self._before: RunRecord | None = log.find(self.id)
        self._begun: float | None = None

    def begin(self) -> None:
        """Write the run down, or take it up again; a second time does nothing."""
        if self._begun is not None:
            return
        self._begun = time.perf_counter()
        named = {"agent__name": "agentkit", "conversation__id": self.id}
        self._alive.enter_context(telemetry.span("invoke_agent", "agentkit", **named))
        self._alive.enter_context(self.log.heartbeat.of(self.id))
        about = {"kb": self.kb, "document": self.document.id}
        kept = {"curation": about, "run": self.options}
        if not self.log.start(self.id, self._task(), model=self.model, options=kept) and not self._elsewhere:
            self.log.take_up(self.id)
        task_id = self._task().id
        started = RunStarted(run_id=self.id, task_id=task_id, model=self.model, resumed=self._before is not None)
        self.emit(started)

    def end(self, status: str, *, answer: str | None = None, error: str | None = None) -> None:
        """Record how it ended; of one that was not begun, only where an earlier process could not."""
        unsaid = self._before is not None and self._before.status not in (status, "running")
        if self._begun is None and not unsaid:
            return
        seconds = 0.0 if self._begun is None else time.perf_counter() - self._begun
        if not self._elsewhere:
            self.log.finish(self.id, status, answer=answer, error=error, rounds=self.rounds, seconds=seconds)
        self._alive.close()
        self.emit(RunEnded(run_id=self.id, status=status, answer=answer, seconds=seconds))

    @property
    def _elsewhere(self) -> bool:
        """Whether another process works on it."""
        return self._before is not None and self._before.status == "running"

    def _task(self) -> Task:
        document, told = self.document, self.document.metadata
        return Task(
            id=told.publication or document.source or document.id[:16],
            input=document.title or document.source or document.id[:16],
            untrusted=True,
            source=f"document:{document.id}",
            metadata={"kb": self.kb, "document": document.id, "file": document.source},
        )
