"""A paper as a run: a row beside those of tasks, with what it cost, how it ended, and whether it was interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from agentkit import telemetry
from agentkit.curation.claims import digest
from agentkit.curation.documents import Document
from agentkit.errors import BudgetExceeded
from agentkit.graph.events import Event, RunEnded, RunStarted
from agentkit.json_types import JsonObject
from agentkit.store.run_log import RunLog, RunRecord
from agentkit.tasks import Task


def paper_run_id(kb: str, document: str) -> str:
    """The run of a paper for a knowledge base: the same one whenever it is curated, so that it can be resumed."""
    return f"paper-{digest(kb, document, length=16)}"


class PaperRun:
    """The row of one paper's run.

    It begins with the first question that is asked and ends when the paper is written. A paper about which nothing is
    left to ask has no run, or keeps the one it has. If another process is working on it, the row is left to that
    process. It may have died with its machine: a paper that is done is recorded as done unless that process has given a
    sign of life in the meantime (if it lives, it records its own end later).

    Args:
        kb: the knowledge base.
        model: the explorer's name.
        options: how it is curated, to be recorded.
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
        """The most that any question has taken."""
        self._alive, self._asking = ExitStack(), ExitStack()
        self._before: RunRecord | None = log.find(self.id)
        running = self._before is not None and self._before.status == "running"
        self._theirs = log.heartbeat.last(self.id) if running else None
        self._begun: float | None = None
        self._seconds: float | None = None
        self._ended = False

    def begin(self) -> None:
        """Record that the run has started, or is resumed; a second call does nothing."""
        if self._begun is not None:
            return
        self._begun = time.perf_counter()
        named = {"agent__name": "agentkit", "conversation__id": self.id}
        self._asking.enter_context(telemetry.span("invoke_agent", "agentkit", **named))
        about, task = {"kb": self.kb, "document": self.document.id}, self._task()
        kept = {"curation": about, "run": self.options}
        if not self.log.start(self.id, task, model=self.model, options=kept) and self._theirs is None:
            self.log.take_up(self.id)
        if self._theirs is None:
            self._alive.enter_context(self.log.heartbeat.of(self.id))
        resumed = self._before is not None
        self.emit(RunStarted(run_id=self.id, task_id=task.id, model=self.model, resumed=resumed))

    def asked(self) -> None:
        """All questions are asked: its time and its span end, and the run waits to be written."""
        if self._begun is not None and self._seconds is None:
            self._seconds = time.perf_counter() - self._begun
        self._asking.close()

    def end(self, status: str, *, answer: Callable[[], str] | None = None, error: str | None = None) -> None:
        """Record how the run ended; a second call does nothing. A run that was not begun here is left as it is, unless
        an earlier process died before it could record the end.

        Args:
            answer: returns the results of the paper, in words; called only if the end is recorded.
        """
        if self._ended or (self._begun is None and not self._unsaid(status)):
            return
        self._ended = True
        self.asked()
        seconds, said = self._seconds or 0.0, None if answer is None else answer()
        if not self._left(status):
            self.log.finish(self.id, status, answer=said, error=error, rounds=self.rounds, seconds=seconds)
        self._alive.close()
        self.emit(RunEnded(run_id=self.id, status=status, answer=said, seconds=seconds))

    @contextmanager
    def ended_by_errors(self) -> Iterator[None]:
        """An error in the block ends the run as failed; a cancellation, or a budget that is used up, ends it as
        interrupted."""
        try:
            yield
        except BudgetExceeded as error:
            self.end("interrupted", error=str(error))
            raise
        except Exception as error:
            self.end("failed", error=str(error).split("\n")[0])
            raise
        except BaseException:
            self.end("interrupted")
            raise

    def _left(self, status: str) -> bool:
        """Whether recording this end is left to another process."""
        return self._theirs is not None and (status != "done" or self.log.heartbeat.heard(self.id, self._theirs))

    def _unsaid(self, status: str) -> bool:
        """Whether an earlier process died before it could record this end."""
        if self._before is None or self._before.status == status or status == "interrupted":
            return False
        return not self._left(status)

    def _task(self) -> Task:
        document, told = self.document, self.document.metadata
        return Task(
            id=told.publication or document.source or document.id[:16],
            input=document.title or document.source or document.id[:16],
            untrusted=True,
            source=f"document:{document.id}",
            metadata={"kb": self.kb, "document": document.id, "file": document.source},
        )
