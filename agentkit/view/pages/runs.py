"""Runs: the list, one run step by step, two side by side, and feedback."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup
from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentkit.feedback import FeedbackDesk
from agentkit.opinions import Opinion
from agentkit.protocols import Block
from agentkit.result import Result, read_result
from agentkit.roles.explorer import Approach, explorer_messages
from agentkit.store.changes import ChangeRow
from agentkit.store.run_log import RunLog, RunRecord, Steps
from agentkit.view.pictures import Span, spans_of_time
from agentkit.view.site import Site, address, done, not_found, shown

PAGE = 50
STATUSES = ("done", "abstained", "waiting", "running", "interrupted", "failed")


def routes(site: Site) -> list[Route]:
    return [
        shown(site, "/runs", listed),
        shown(site, "/runs/{id}", one),
        shown(site, "/compare", compared),
        done(site, "/runs/{id}/feedback", taught),
    ]


def listed(site: Site, request: Request) -> Response:
    """Runs, newest first, filtered by status, batch and words."""
    asked = request.query_params
    status, batch, words = (asked.get(name, "").strip() for name in ("status", "batch", "q"))
    log = RunLog(site.store)
    found = log.runs(
        status=status if status in STATUSES else None,
        batch=batch or None,
        limit=PAGE + 1,
        before=_moment(asked.get("before")),
        containing=words,
    )
    rows = found[:PAGE]
    older = ""
    if len(found) > PAGE:
        older = address("runs", status=status, batch=batch, q=words, before=rows[-1].created_at.isoformat())
    return site.page(
        "runs",
        "Runs",
        rows=rows,
        older=older,
        counts=log.counts(),
        statuses=STATUSES,
        status=status,
        batch=batch,
        words=words,
    )


def _moment(text: str | None) -> dt.datetime | None:
    if not text:
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise HTTPException(400, f"{text!r} is not a time") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A message of the prompt: the part that was cached, estimated from the share of cached tokens, and the rest."""

    role: str
    cached: str
    rest: str


@dataclass(frozen=True, kw_only=True)
class ShownRun:
    """What the page of a run shows."""

    record: RunRecord
    result: Result
    blocks: Sequence[Block]
    prompt: Sequence[Prompt]
    times: Markup
    opinions: Sequence[Opinion]
    changes: Sequence[Any]

    @property
    def running(self) -> bool:
        return self.record.status == "running"


def one(site: Site, request: Request) -> Response:
    """A run as a timeline; refreshed while it runs."""
    run = _shown(site, request.path_params["id"])
    return site.page("run", f"Run {run.record.id}", run=run, live=run.running)


def compared(site: Site, request: Request) -> Response:
    """Two runs side by side."""
    ids = [request.query_params.get(name, "").strip() for name in ("a", "b")]
    runs = [_shown(site, id) for id in ids if id]
    return site.page("compare", "Two runs", runs=runs, ids=ids)


def _shown(site: Site, id: str) -> ShownRun:
    log = RunLog(site.store)
    with not_found():
        record = log.get(id)
    blocks, result = log.blocks(record.id) or [], read_result(log, record)
    query = select(ChangeRow.id, ChangeRow.target, ChangeRow.status, ChangeRow.version, ChangeRow.operations)
    with site.store.read() as connection:
        changes = connection.execute(query.where(ChangeRow.run_id == record.id).order_by(ChangeRow.seq)).all()
    return ShownRun(
        record=record,
        result=result,
        blocks=blocks,
        times=_times(log.steps(record.id)),
        prompt=_prompt(replace(record, task=log.with_files(record.task)), blocks, result),
        opinions=FeedbackDesk(site.store, site.settings).opinions(record.id),
        changes=changes,
    )


def _times(steps: Steps) -> Markup:
    """A chart of when each call was in progress, from the start of the first."""
    done = [(call["created_at"], call["seconds"], call["role"], "model") for call in steps.model_calls]
    done += [(call["created_at"], call["seconds"], call["tool"], "tool") for call in steps.tool_calls]
    began = min((end - dt.timedelta(seconds=seconds) for end, seconds, _, _ in done), default=None)
    if began is None:
        return Markup("")
    spans = [
        Span(label=label, begin=max(0.0, (end - began).total_seconds() - seconds), length=seconds, look=look)
        for end, seconds, label, look in sorted(done, key=lambda call: call[0])
    ]
    return spans_of_time(spans)


def _prompt(record: RunRecord, blocks: Sequence[Block], result: Result) -> list[Prompt]:
    """The prompt of the run's first call, rebuilt from what is stored; empty if code outside AgentKit made it."""
    agent, options = record.options.get("agent"), record.options.get("run")
    if agent is None or options is None or any(part.startswith("program") for part in record.options["in_code"]):
        return []
    effort = record.effort or {}
    mode = effort.get("before", effort).get("mode", "agentic")
    tools = bool(agent.get("tools") or options.get("client_tools"))
    work = Approach(reason=mode == "reasoning", tools=mode == "agentic" and tools, planning=bool(options["planning"]))
    messages = [(message.type, message.text) for message in explorer_messages(record.task, blocks, work)]
    first = next((step for step in result.trace if step["type"] == "model" and step["role"] == "explorer"), None)
    share = 0.0 if first is None else first["cached_tokens"] / max(1, first["input_tokens"])
    left = round(share * sum(len(text) for _, text in messages))
    found = []
    for role, text in messages:
        cut = min(len(text), left)
        left -= cut
        found.append(Prompt(role=role, cached=text[:cut], rest=text[cut:]))
    return found


def taught(site: Site, request: Request, fields: Mapping[str, str]) -> str:
    """Store feedback: thumbs, a corrected answer, a note; returns the address to go to."""
    id = request.path_params["id"]
    score = {"up": 1.0, "down": 0.0}.get(fields.get("thumb", ""))
    opinion = Opinion(
        run_id=id,
        by=site.options.reviewer,
        score=score,
        answer=fields.get("answer", "").strip() or None,
        text=fields.get("text", "").strip(),
    )
    FeedbackDesk(site.store, site.settings).take(opinion)
    return address("runs", id)
