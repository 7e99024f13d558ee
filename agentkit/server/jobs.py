"""The runs that a server works on. They belong to it and not to the connections that asked for them."""

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
"""Seconds of silence after which a stream says that it is still there."""
_ENDING = 5.0
"""Seconds in which interrupted runs write down that they are."""


class Job:
    """A run at work: `words` is its answer as far as it is written.

    Args:
        before: what the run had used before.
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
        """Wait until the run stands in the store, from when on nothing can lose it.

        Raises:
            Refused: it could not be begun.
        """
        await self._begun.wait()
        if self.task.done() and (self.task.cancelled() or self.task.exception() is not None):
            await self.result()

    async def pieces(self) -> AsyncIterator[str]:
        """The answer's words as they are written; an empty piece after a while without any.

        They end early where words are taken back, as when a model fails in the middle and is asked again.
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
        """How the run ended.

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
    """Starts runs, goes on with them, and stops."""

    def __init__(self, agent: Agent, options: ServerOptions, metrics: Metrics) -> None:
        self.agent, self.options, self.metrics = agent, options, metrics
        self.running: dict[str, Job] = {}
        self.open = True

    def take(self, wanted: Wanted, key: str | None) -> Job:
        """The job of a request: a new run, or one that is resumed.

        Args:
            key: the request's idempotency key: what was asked under it before is not done again.

        Raises:
            Refused: there is no room, the server stops, or results are of no run that waits for them.
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
        """A run by its whole id."""
        try:
            record = self.agent.log.get(run_id)
        except UserError:
            return None
        return record if record.id == run_id else None

    def take_up_lost(self) -> int:
        """Go on with runs that a server of the same agent left unfinished; returns how many."""
        spec = self.agent.describe()["agent"]
        found = 0
        for record in self.agent.log.runs(status="interrupted", limit=None):
            mine = record.task.metadata.get("served") == self.options.name and record.options.get("agent") == spec
            if mine and self.agent.log.claim(record.id):
                self._start(record.id, self._resumed(record.id), admitted=True)
                found += 1
        return found

    async def stop(self, grace: float) -> int:
        """Take nothing more, give runs time to end, and interrupt the rest; returns how many of those there were."""
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
        """The run that results belong to, with the results by its own names of the calls; None where it isn't ours."""
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
            raise Refused(409, f"run {record.id} is at work in another process", retry_after=2, run_id=record.id)

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
                f"{len(self.running)} runs are at work; come again",
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
        if result.status == "waiting" and result.question is None:  # it waited already
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
