"""The journal of completed model calls: a resumed run takes recorded answers from it instead of asking again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.messages import AIMessage
from sqlalchemy import select

from agentkit.models.budget import Usage
from agentkit.models.logprobs import Logprobs
from agentkit.models.replies import cut_off, thoughts_of
from agentkit.redaction import redact_data
from agentkit.store import Store
from agentkit.store.base import now
from agentkit.store.runs import ModelCallRow


@dataclass(frozen=True, kw_only=True)
class StoredCall:
    """A completed call.

    Attributes:
        scope: the place in the run that made the call.
        role, model: the role that asked, and the model that answered.
        request_hash: identifies the request.
        response: the answer as JSON: `content`, `tool_calls`, `invalid_tool_calls`, anything else needed to read it,
            and `logprobs` if the model returned them.
    """

    scope: str
    role: str
    model: str
    request_hash: str
    response: dict[str, Any]
    usage: Usage

    def message(self) -> AIMessage:
        return AIMessage(**{name: value for name, value in self.response.items() if name != "logprobs"})

    @property
    def logprobs(self) -> Logprobs | None:
        """The summary of the answer's log-probabilities; None if there is none."""
        found = self.response.get("logprobs")
        return Logprobs.from_json(found) if found else None


def response_of(message: AIMessage, logprobs: Logprobs | None = None) -> dict[str, Any]:
    """The parts of an answer that are recorded: everything needed to read it, and the summary of its
    log-probabilities."""
    calls = [{"name": call["name"], "args": call["args"], "id": call["id"]} for call in message.tool_calls]
    invalid = [dict(call) for call in message.invalid_tool_calls]
    kept: dict[str, Any] = {"content": message.text, "tool_calls": calls, "invalid_tool_calls": invalid}
    if cut_off(message):
        kept["response_metadata"] = {"finish_reason": "length"}
    if not message.text and (thoughts := thoughts_of(message)):
        kept["additional_kwargs"] = {"reasoning_content": thoughts}
    if logprobs is not None:
        kept["logprobs"] = logprobs.to_json()
    return kept


class Journal(Protocol):
    """Where completed calls are recorded."""

    def find(self, key: str) -> StoredCall | None: ...

    def save(self, key: str, call: StoredCall) -> None:
        """Record a call; the first one under a key is kept."""
        ...


class MemoryJournal:
    """Keeps calls for the lifetime of the process."""

    def __init__(self) -> None:
        self.calls: dict[str, StoredCall] = {}

    def find(self, key: str) -> StoredCall | None:
        return self.calls.get(key)

    def save(self, key: str, call: StoredCall) -> None:
        self.calls.setdefault(key, call)


class SqlJournal:
    """Keeps the calls of one run in the store, with recognisable secrets redacted.

    Args:
        run_id: the run that the calls belong to; None for calls outside any run.
        prefix: distinguishes keys where there is no run.
        fresh: the run has just been started, so there is nothing to look up.
    """

    def __init__(self, store: Store, run_id: str | None, *, prefix: str = "", fresh: bool = False) -> None:
        self.store, self.run_id, self._prefix, self._fresh = store, run_id, prefix or run_id or "", fresh
        self.used: list[str] = []
        """The keys under which calls were found or kept here, in order."""

    def find(self, key: str) -> StoredCall | None:
        if self._fresh:
            return None
        query = select(ModelCallRow.__table__).where(ModelCallRow.key == f"{self._prefix}/{key}")
        with self.store.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        self.used.append(row["key"])
        usage = Usage(**{name: row[name] for name in Usage.__dataclass_fields__})
        names = ("scope", "role", "model", "request_hash", "response")
        return StoredCall(usage=usage, **{name: row[name] for name in names})

    def save(self, key: str, call: StoredCall) -> None:
        values = {name: getattr(call, name) for name in ("scope", "role", "model", "request_hash", "response")}
        values |= {name: getattr(call.usage, name) for name in Usage.__dataclass_fields__}
        values["response"] = redact_data(call.response)
        row = {**values, "key": f"{self._prefix}/{key}", "run_id": self.run_id, "created_at": now()}
        with self.store.write() as connection:
            self.store.insert_new(connection, ModelCallRow, [row])
        self.used.append(row["key"])
