"""The outcome of a run, in the form common to both interfaces."""

from __future__ import annotations

import json
from dataclasses import dataclass

from agentkit.graph.waiting import calls_of
from agentkit.result import Result
from agentkit.server.failures import Refused
from agentkit.server.wanted import Forced
from agentkit.store.run_log import Totals

CALL = "call_"
"""Prefix of the ids of calls whose results the server waits for."""


@dataclass(frozen=True, kw_only=True)
class HandedCall:
    """A call for the client to carry out; `arguments` is JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a client is told about a run.

    Attributes:
        content: the answer; None if calls are handed over.
        usage: of this request only.
        status: the run's status.
    """

    run_id: str
    content: str | None
    calls: tuple[HandedCall, ...]
    usage: Totals
    status: str


def outcome_of(result: Result, *, typed: bool, forced: Forced | None, before: Totals) -> Outcome:
    """The outcome that a client is told.

    Args:
        typed: whether the client asked for JSON.
        forced: the call that the client asked for, if any.
        before: what the run had used before this request.

    Raises:
        Refused: the run is waiting for a person.
    """
    calls = tuple(
        HandedCall(id=call_id(call["id"]), name=call["tool"], arguments=json.dumps(call["arguments"]))
        for call in calls_of(result.question)
    )
    if result.status == "waiting" and not calls:
        raise Refused(
            409,
            f"run {result.run_id} waits for a person: agentkit resume {result.run_id} --accept",
            code="waiting_for_person",
            run_id=result.run_id,
        )
    if forced is not None and result.answer is not None:
        name, arguments = forced.call(json.loads(result.answer))
        calls = (HandedCall(id=f"fc_{result.run_id}", name=name, arguments=json.dumps(arguments)),)
    content = result.answer or ""
    if typed and isinstance(result.output, str):
        content = json.dumps(result.output, ensure_ascii=False)
    return Outcome(
        run_id=result.run_id,
        content=None if calls else content,
        calls=calls,
        usage=_less(result.usage, before),
        status=result.status,
    )


def call_id(key: str) -> str:
    """The id under which a client sees a call."""
    return CALL + key.replace("/", "_")


def key_of(id: str) -> tuple[str, str] | None:
    """The run and the call that an id stands for; None if it is not one of ours."""
    run_id, turn, position = [*id.removeprefix(CALL).rsplit("_", 2), "", ""][:3]
    if not id.startswith(CALL) or not run_id or not turn.isdigit() or not position.isdigit():
        return None
    return run_id, f"{run_id}/{turn}/{position}"


def _less(usage: Totals, before: Totals) -> Totals:
    return Totals(**{name: getattr(usage, name) - getattr(before, name) for name in Totals.__dataclass_fields__})
