"""The ASGI application: what each route does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from agentkit.errors import AgentKitError
from agentkit.opinions import LABEL
from agentkit.server.chat import chunks, completion, read_chat
from agentkit.server.door import Door, body_of
from agentkit.server.failures import Refused, refused
from agentkit.server.jobs import Job, Jobs
from agentkit.server.metrics import Metrics
from agentkit.server.options import ServerOptions
from agentkit.server.outcome import Outcome, outcome_of
from agentkit.server.responses import PREFIX, ResponseStream, read_response_request, response
from agentkit.server.wanted import Forced, Wanted, parse
from agentkit.store.run_log import FINISHED, RunRecord, Totals

if TYPE_CHECKING:
    from agentkit.agent import Agent

_STREAM = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class FeedbackBody(BaseModel):
    """Feedback that a client gives on a run."""

    model_config = ConfigDict(extra="forbid")

    score: float | None = None
    answer: str | None = None
    text: str = ""
    by: str = "user"


class Api:
    """The routes of an agent.

    Attributes:
        jobs: the runs in progress.
    """

    def __init__(self, agent: Agent, options: ServerOptions, metrics: Metrics) -> None:
        self.agent, self.options, self.metrics = agent, options, metrics
        self.jobs = Jobs(agent, options, metrics)
        self._made = int(time.time())

    async def chat(self, request: Request) -> Response:
        body = await body_of(request, self.options.max_body)
        model, wanted = read_chat(body, served=self.options.name, untrusted=self.options.untrusted)
        job, headers = await self._begin(request, model, wanted)
        if wanted.stream:
            events = chunks(job, wanted, model, self._tell)
            return StreamingResponse(events, media_type="text/event-stream", headers={**headers, **_STREAM})
        outcome = await self._tell(job, wanted)
        return JSONResponse(completion(outcome, model), headers={**headers, "x-agentkit-status": outcome.status})

    async def respond(self, request: Request) -> Response:
        body = await body_of(request, self.options.max_body)
        model, wanted = read_response_request(
            body, served=self.options.name, untrusted=self.options.untrusted, find=self._with_sources
        )
        job, headers = await self._begin(request, model, wanted)
        now = time.time()
        if wanted.stream:
            events = ResponseStream(job, wanted, now, self._tell).events()
            return StreamingResponse(events, media_type="text/event-stream", headers={**headers, **_STREAM})
        if wanted.background:
            return JSONResponse(response(job.run_id, now, "in_progress", wanted.echo), headers=headers)
        outcome = await self._tell(job, wanted)
        told = response(job.run_id, now, "completed", wanted.echo, outcome)
        return JSONResponse(told, headers={**headers, "x-agentkit-status": outcome.status})

    async def response(self, request: Request) -> Response:
        """The current state of a response, whether or not a client is waiting for it."""
        record = self._record(request.path_params["id"].removeprefix(PREFIX))
        created, echo = record.created_at.timestamp(), {"model": self.options.name, "background": True}
        headers = {"x-agentkit-run": record.id, "x-agentkit-status": record.status}
        if record.status in (*FINISHED, "waiting"):
            told = response(record.id, created, "completed", echo, await self._stored(record))
        elif record.status == "failed":
            told = response(record.id, created, "failed", echo, error=Refused(502, record.error or "it failed"))
        else:
            told = response(record.id, created, "in_progress", echo)
        return JSONResponse(told, headers=headers)

    async def models(self, _request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model]})

    async def model(self, request: Request) -> Response:
        self._check_model(request.path_params["name"])
        return JSONResponse(self._model)

    async def run(self, request: Request) -> Response:
        record = self._record(request.path_params["id"])
        return JSONResponse({**self.agent.result(record.id).to_json(), "error": record.error})

    async def feedback(self, request: Request) -> Response:
        record = self._record(request.path_params["id"])
        body = parse(FeedbackBody, await body_of(request, self.options.max_body))
        if body.by == LABEL:
            raise Refused(400, f"{LABEL!r} outweighs everybody, so clients may not use it", param="by")
        said: dict[str, Any] = body.model_dump()
        taught = await asyncio.to_thread(lambda: self.agent.feedback(record.id, **said))
        self.metrics.add("agentkit_feedback_total")
        return JSONResponse(asdict(taught), headers={"x-agentkit-run": record.id})

    async def health(self, _request: Request) -> Response:
        status = "ok" if self.jobs.open else "stopping"
        return JSONResponse({"status": status, "runs": len(self.jobs.running)}, 200 if self.jobs.open else 503)

    async def measurements(self, _request: Request) -> Response:
        text = self.metrics.text(running=len(self.jobs.running))
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    @property
    def _model(self) -> dict[str, Any]:
        return {"id": self.options.name, "object": "model", "created": self._made, "owned_by": "agentkit"}

    def _check_model(self, name: str) -> None:
        if name != self.options.name:
            raise Refused(
                404,
                f"there is no model {name!r} here; there is {self.options.name!r}",
                code="model_not_found",
                param="model",
            )

    async def _begin(self, request: Request, model: str, wanted: Wanted) -> tuple[Job, dict[str, str]]:
        """Start the run that a request asks for; once this returns, the run is stored and can't be lost."""
        self._check_model(model)
        job = self.jobs.take(wanted, request.headers.get("idempotency-key"))
        await job.begun()
        headers = {"x-agentkit-run": job.run_id}
        return job, headers | ({"x-agentkit-ignored": ", ".join(wanted.ignored)} if wanted.ignored else {})

    async def _tell(self, job: Job, wanted: Wanted) -> Outcome:
        result = await job.result()
        typed = wanted.form is not None
        return outcome_of(result, typed=typed, forced=wanted.forced, before=job.before)

    async def _stored(self, record: RunRecord) -> Outcome:
        from dataclasses import replace

        question = await self.agent.question(record.id) if record.status == "waiting" else None
        result = replace(self.agent.result(record.id), question=question)
        names, form = record.task.metadata.get("forced"), record.task.answer_type
        forced = Forced(names=tuple(names), form=form) if names and form else None
        return outcome_of(result, typed=form is not None, forced=forced, before=Totals())

    def _record(self, run_id: str) -> RunRecord:
        record = self.jobs.find(run_id)
        if record is None:
            raise Refused(404, f"there is no run {run_id!r}", code="run_not_found")
        return record

    def _with_sources(self, run_id: str) -> tuple[RunRecord, tuple[str, ...]] | None:
        record = self.jobs.find(run_id)
        return None if record is None else (record, self.agent.log.sources(record))


def create_app(agent: Agent, options: ServerOptions | None = None) -> Starlette:
    """An ASGI application for one agent.

    On startup it resumes the runs that an earlier application with the same agent and name left unfinished; on shutdown
    it interrupts runs that don't end within `options.grace`. `app.state.api` is its `Api`.
    """
    options = options or ServerOptions()
    metrics = Metrics()
    api = Api(agent, options, metrics)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        api.jobs.take_up_lost()
        yield
        await api.jobs.stop(options.grace)

    routes = [
        Route("/v1/chat/completions", api.chat, methods=["POST"]),
        Route("/v1/responses", api.respond, methods=["POST"]),
        Route("/v1/responses/{id}", api.response, methods=["GET"]),
        Route("/v1/models", api.models, methods=["GET"]),
        Route("/v1/models/{name:path}", api.model, methods=["GET"]),
        Route("/runs/{id}", api.run, methods=["GET"]),
        Route("/runs/{id}/feedback", api.feedback, methods=["POST"]),
        Route("/health", api.health, methods=["GET"]),
        Route("/metrics", api.measurements, methods=["GET"]),
    ]
    handlers = {Refused: _say, AgentKitError: _say, HTTPException: _http, Exception: _say}
    doors = [Middleware(Door, options=options, metrics=metrics)]
    app = Starlette(routes=routes, lifespan=lifespan, middleware=doors, exception_handlers=handlers)  # type: ignore[arg-type]
    app.state.api = api
    return app


async def _say(_request: Request, error: Exception) -> Response:
    return refused(error).response()


async def _http(_request: Request, error: HTTPException) -> Response:
    return Refused(error.status_code, error.detail, code="not_found" if error.status_code == 404 else None).response()
