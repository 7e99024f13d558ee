"""The runs of a server. They belong to the server rather than to the connections that asked for them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from agentkit.errors import UserError
from agentkit.graph.events import Event, RunStarted
from agentkit.result import Result
from agentkit.server.failures import Refused, refused, stopping
from agentkit.server.metrics import Metrics
from agentkit.server.options import ServerOptions
from agentkit.server.outcome import key_of
from agentkit.server.wanted import Wanted
from agentkit.store.run_log import RunRecord, Totals

if TYPE_CHECKING:
    from agentkit.agent import Agent

log = logging.getLogger("agentkit.server")

KEEP_ALIVE = 15.0
"""Seconds of silence after which a stream sends a keep-alive."""
_ENDING = 5.0
"""Seconds that interrupted runs get to record that they were interrupted."""


class Job:
    """A run in progress; `words` is its answer as written so far.

    Args:
        before: what the run had used before this request.
    """

    def __init__(self, run_id: str, before: Totals) -> None:
        self.run_id, self.before, self.words = run_id, before, ""
        self.task: asyncio.Task[Result]
        self._begun, self._news = asyncio.Event(), asyncio.Event()

    def see(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._begun.set()

    def hear(self, words: str) -> None:
        self.words = words
        self._wake()

    def ended(self) -> None:
        self._begun.set()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def begun(self) -> None:
        """Wait until the run is stored, after which it can't be lost.

        Raises:
            Refused: it could not be started.
        """
        await self._begun.wait()
        if self.task.done() and (self.task.cancelled() or self.task.exception() is not None):
            await self.result()

    async def pieces(self) -> AsyncIterator[str]:
        """The answer's text as it is written; an empty piece after a while without any.

        They end early if text is taken back, for example when a model fails partway and is asked again.
        """
        sent = ""
        while not self.task.done():
            news = self._news
            if self.words != sent and self.words.startswith(sent):
                piece, sent = self.words[len(sent) :], self.words
                yield piece
                continue
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    await news.wait()
            except TimeoutError:
                yield ""

    async def result(self) -> Result:
        """The result of the run.

        Raises:
            Refused: it failed, or the server stopped it.
        """
        await asyncio.wait([self.task])
        if self.task.cancelled():
            raise stopping(self.run_id)
        if (error := self.task.exception()) is not None:
            raise refused(error, self.run_id) from error
        return self.task.result()


class Jobs:
    """Starts runs, resumes them, and stops them."""

    def __init__(self, agent: Agent, options: ServerOptions, metrics: Metrics) -> None:
        self.agent, self.options, self.metrics = agent, options, metrics
        self.running: dict[str, Job] = {}
        self.open = True

    def take(self, wanted: Wanted, key: str | None) -> Job:
        """The job for a request: a new run, or a resumed one.

        Args:
            key: the request's idempotency key; a request with the same key is not carried out again.

        Raises:
            Refused: there are too many runs, the server is stopping, or results belong to no run that waits for them.
        """
        if (waiting := self._handed_back(wanted.results)) is not None:
            return self._go_on(*waiting)
        run_id = uuid.uuid4().hex[:16] if key is None else _digest(self.options.name, key)
        if key is not None and (known := self.find(run_id)) is not None:
            self._refuse_elsewhere(known)
            if known.task.input != wanted.task.input:
                raise Refused(
                    400,
                    f"the idempotency key {key!r} was used for another request",
                    code="idempotency_key_reused",
                    run_id=run_id,
                )

        def work(job: Job) -> Awaitable[Result]:
            form = None if wanted.forced is None else wanted.forced.form
            return self.agent.arun(
                wanted.task,
                run_id=run_id,
                output_type=form or wanted.form,
                seed=wanted.seed,
                temperature=wanted.temperature,
                client_tools=wanted.tools,
                on_event=job.see,
                on_words=job.hear,
            )

        return self._start(run_id, work)

    def find(self, run_id: str) -> RunRecord | None:
        """A run by its complete id."""
        try:
            record = self.agent.log.get(run_id)
        except UserError:
            return None
        return record if record.id == run_id else None

    def take_up_lost(self) -> int:
        """Resume runs that a server with the same agent left unfinished; returns how many."""
        spec = self.agent.describe()["agent"]
        found = 0
        for record in self.agent.log.runs(status="interrupted", limit=None):
            mine = record.task.metadata.get("served") == self.options.name and record.options.get("agent") == spec
            if mine and self.agent.log.claim(record.id):
                self._start(record.id, self._resumed(record.id), admitted=True)
                found += 1
        return found

    async def stop(self, grace: float) -> int:
        """Accept no more requests, give runs time to end, and interrupt the rest; returns how many were interrupted."""
        self.open = False
        if tasks := [job.task for job in self.running.values()]:
            await asyncio.wait(tasks, timeout=grace)
        left = [task for task in tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_ENDING)
        return len(left)

    def _handed_back(self, results: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
        """The run that tool results belong to, and the results keyed by the run's own call ids; None if the run is not
        ours."""
        keys = {id: key_of(id) for id in results}
        runs = {found[0] for found in keys.values() if found is not None}
        if len(runs) != 1 or None in keys.values():
            return None
        [run_id] = runs
        if self.find(run_id) is None:
            return None
        return run_id, {found[1]: results[id] for id, found in keys.items() if found is not None}

    def _go_on(self, run_id: str, results: Mapping[str, str]) -> Job:
        if (record := self.find(run_id)) is not None:
            self._refuse_elsewhere(record)
        return self._start(run_id, self._resumed(run_id, results), before=self.agent.log.totals([run_id]))

    def _resumed(self, run_id: str, results: Mapping[str, str] | None = None) -> Callable[[Job], Awaitable[Result]]:
        return lambda job: self.agent.aresume(run_id, results=results, on_event=job.see, on_words=job.hear)

    def _refuse_elsewhere(self, record: RunRecord) -> None:
        if record.status == "running" and record.id not in self.running:
            raise Refused(409, f"run {record.id} is in progress in another process", retry_after=2, run_id=record.id)

    def _start(
        self,
        run_id: str,
        work: Callable[[Job], Awaitable[Result]],
        *,
        before: Totals | None = None,
        admitted: bool = False,
    ) -> Job:
        if (known := self.running.get(run_id)) is not None:
            return known
        if not self.open:
            raise Refused(503, "the server is stopping", kind="server_error", code="server_stopping", retry_after=5)
        if not admitted and len(self.running) >= self.options.concurrency:
            raise Refused(
                429,
                f"{len(self.running)} runs are in progress; try again",
                kind="rate_limit_error",
                code="rate_limit_exceeded",
                retry_after=1,
            )
        job = self.running[run_id] = Job(run_id, before or Totals())
        job.task = asyncio.ensure_future(self._work(job, work))
        job.task.add_done_callback(lambda _done: self._ended(job))
        return job

    async def _work(self, job: Job, work: Callable[[Job], Awaitable[Result]]) -> Result:
        result = await work(job)
        if result.status == "waiting" and result.question is None:  # it was waiting already
            return replace(result, question=await self.agent.question(job.run_id))
        return result

    def _ended(self, job: Job) -> None:
        del self.running[job.run_id]
        job.ended()
        if job.task.cancelled():
            self.metrics.run_ended("interrupted")
        elif (error := job.task.exception()) is not None:
            self.metrics.run_ended("failed")
            told = refused(error)
            log.error("run %s failed: %s", job.run_id, error, exc_info=error if told.status == 500 else None)
        else:
            self.metrics.run_ended(job.task.result().status, job.task.result(), job.before)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
