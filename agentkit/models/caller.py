"""Caller: how every model call of AgentKit is made.

One retry layer, one budget check before each call, one journal and one usage record after it; on any `BaseChatModel`.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, message_chunk_to_message
from pydantic import BaseModel, ValidationError

from agentkit import faults, telemetry
from agentkit.errors import AgentKitError, InvalidOutput, ModelError
from agentkit.models.budget import Meter, Usage
from agentkit.models.journal import Journal, MemoryJournal, StoredCall, response_of
from agentkit.models.limits import Limits
from agentkit.models.requests import json_schema, request_hash
from agentkit.models.wire import headers_of, may_pass, one_line, retry_after
from agentkit.text import clean, clean_data


@dataclass(frozen=True, kw_only=True)
class Retry:
    """When a failed call is made again.

    Attributes:
        attempts: tries of one model before its fallback.
        base, cap: seconds of the first and the longest pause; each pause doubles, with full jitter. A provider's
            Retry-After goes before both.
        invalid: tries for a structured answer that validates.
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 60.0
    invalid: int = 3

    def pause(self, attempt: int, error: ModelError) -> float:
        if error.retry_after is not None:
            return min(error.retry_after, 10 * self.cap)
        return random.uniform(0, min(self.cap, self.base * 2**attempt))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A model's answer.

    Attributes:
        message: the text and the tool calls.
        parsed: the structured answer, where a schema was asked for and the model did not call a tool instead.
        replayed: whether it came from the journal.
    """

    message: AIMessage
    parsed: Any
    usage: Usage
    replayed: bool = False

    @property
    def text(self) -> str:
        return self.message.text


class Caller:
    """Calls a model, or the next of its fallbacks.

    Args:
        models: a model, or several of which the later ones are fallbacks.
        retry, limits: shared policies.
        budget: the meter to charge; None for no budget.
        journal: where completed calls are kept and found again.
        timeout: seconds one call may take.
    """

    def __init__(
        self,
        models: BaseChatModel | Sequence[BaseChatModel],
        *,
        retry: Retry | None = None,
        limits: Limits | None = None,
        budget: Meter | None = None,
        journal: Journal | None = None,
        timeout: float | None = None,
    ) -> None:
        self.models = [models] if isinstance(models, BaseChatModel) else list(models)
        self.retry, self.limits = retry or Retry(), limits or Limits()
        self.budget, self.journal = budget, journal or MemoryJournal()
        self.timeout = timeout
        self._seen: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return model_name(self.models[0])

    @property
    def constrained(self) -> bool:
        """Whether every model decodes its answers under their schema."""
        return all(getattr(model, "constrained", False) for model in self.models)

    async def call(
        self,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[Any] = (),
        schema: type[BaseModel] | None = None,
        stop: Sequence[str] | None = None,
        role: str = "",
        scope: str = "",
        seed: int | None = None,
        temperature: float | None = None,
        on_token: Callable[[str], None] | None = None,
    ) -> Reply:
        """Ask the model.

        Args:
            messages: the prompt.
            tools: what it may call. With a schema too, each reply is a tool call or the structured answer.
            schema: the structured answer that is wanted.
            role: who is asked, for the records.
            scope: where in a run; repeated there after a crash, the same request gets the recorded answer.
            seed: for models that take one.
            temperature: None is the model's own.
            on_token: gets the text as it is written; a recorded answer comes in one piece.

        Raises:
            BudgetExceeded: before the call.
            InvalidOutput: no valid structured answer after the allowed tries.
            ModelError: the model and its fallbacks failed.
        """
        params: dict[str, Any] = {"stop": list(stop) if stop else None, "seed": seed}
        if temperature is not None:
            params["temperature"] = temperature
        ask = _Ask(messages=tuple(messages), tools=tools, schema=schema, params=params, role=role, scope=scope,
                   on_token=on_token)  # fmt: skip
        used, problem = Usage(), ""
        for attempt in range(self.retry.invalid):
            message, usage, replayed = await self._journalled(ask)
            used = used + usage
            try:
                message, parsed = read_reply(message, schema)
                return Reply(message=message, parsed=parsed, usage=used, replayed=replayed)
            except (ValidationError, ValueError) as error:
                problem = _describe(error)
            if attempt + 1 < self.retry.invalid:
                ask = ask.mended(message, problem)
        raise InvalidOutput(
            f"{self.name} gave no valid {_schema_name(schema)} in {self.retry.invalid} tries: {problem}"
        )

    async def _journalled(self, ask: _Ask) -> tuple[AIMessage, Usage, bool]:
        digest = request_hash(self.name, ask.messages, tools=ask.tools, schema=ask.schema, params=ask.params)
        base = f"{ask.scope}/{digest[:40]}"
        key = f"{base}/{self._seen[base]}"
        self._seen[base] += 1
        if (stored := self.journal.find(key)) is not None:
            return _told(stored.message(), ask), Usage(), True
        if self.budget is not None:
            self.budget.check()
        faults.point("before:model.call")
        message, usage, model = await self._with_fallbacks(ask)
        response = response_of(message)
        call = StoredCall(
            scope=ask.scope, role=ask.role, model=model, request_hash=digest, response=response, usage=usage
        )
        self.journal.save(key, call)
        faults.point("after:model.call")
        if self.budget is not None:
            self.budget.charge(usage)
        return message, usage, False

    async def _with_fallbacks(self, ask: _Ask) -> tuple[AIMessage, Usage, str]:
        for position, model in enumerate(self.models):
            try:
                message, usage = await self._with_retries(model, ask)
                return message, usage, model_name(model)
            except ModelError:
                if position + 1 == len(self.models):
                    raise
        raise AssertionError("unreachable")

    async def _with_retries(self, model: BaseChatModel, ask: _Ask) -> tuple[AIMessage, Usage]:
        bound: Any = prepare(model, ask.tools, ask.schema)
        for attempt in range(self.retry.attempts):
            try:
                async with self.limits.slot():
                    return await self._once(bound, model_name(model), ask)
            except ModelError as error:
                if not error.retryable or attempt + 1 == self.retry.attempts:
                    raise
                await asyncio.sleep(self.retry.pause(attempt, error))
        raise AssertionError("unreachable")

    async def _once(self, bound: Any, name: str, ask: _Ask) -> tuple[AIMessage, Usage]:
        with telemetry.span("chat", name, request__model=name) as span:
            started = time.perf_counter()
            try:
                async with asyncio.timeout(self.timeout):
                    message = _storable(await _answer(bound, ask))
            except TimeoutError:
                waited = time.perf_counter() - started
                raise ModelError(f"{name} did not answer in {waited:.3g} s", retryable=True) from None
            except Exception as error:
                raise _known(error, name) from error
            usage = Usage.of(message, seconds=time.perf_counter() - started)
            telemetry.set_attributes(
                span, usage__input_tokens=usage.input_tokens, usage__output_tokens=usage.output_tokens
            )
            telemetry.set_messages(span, asked=ask.messages, answer=message)
            return message, usage


@dataclass(frozen=True, kw_only=True)
class _Ask:
    """One question, as `Caller.call` got it."""

    messages: tuple[BaseMessage, ...]
    tools: Sequence[Any]
    schema: type[BaseModel] | None
    params: dict[str, Any]
    role: str
    scope: str
    on_token: Callable[[str], None] | None

    def mended(self, message: AIMessage, problem: str) -> _Ask:
        """The question again, after an answer that did not validate."""
        said = message.text or json.dumps(message.tool_calls or message.invalid_tool_calls) or "(nothing)"
        mend = f"That is not a valid {_schema_name(self.schema)}: {problem}. Answer again with valid JSON only."
        return replace(self, messages=(*self.messages, AIMessage(said), HumanMessage(mend)))


async def _answer(bound: Any, ask: _Ask) -> AIMessage:
    given = {key: value for key, value in ask.params.items() if value is not None}
    if ask.on_token is None:
        answer: AIMessage = await bound.ainvoke(list(ask.messages), **given)
        return answer
    whole: Any = None
    async for chunk in bound.astream(list(ask.messages), **given):
        whole = chunk if whole is None else whole + chunk
        if chunk.text:
            ask.on_token(clean(chunk.text))
    return cast("AIMessage", message_chunk_to_message(whole))


def _storable(message: AIMessage) -> AIMessage:
    """The message with its text and the arguments of its calls cleaned (`agentkit.text`)."""
    parts = {name: getattr(message, name) for name in ("content", "tool_calls", "invalid_tool_calls")}
    cleaned = clean_data(parts)
    return message if cleaned == parts else message.model_copy(update=cleaned)


def _told(message: AIMessage, ask: _Ask) -> AIMessage:
    if ask.on_token is not None and message.text:
        ask.on_token(message.text)
    return message


def _known(error: Exception, name: str) -> Exception:
    """A failed request of somebody else's chat model as a `ModelError`; a mistake in a program stays what it is."""
    status = getattr(error, "status_code", None)
    lost = isinstance(error, ConnectionError | httpx.TransportError)
    if isinstance(error, AgentKitError) or not (lost or isinstance(status, int)):
        return error
    line = one_line(error) or type(error).__name__
    return ModelError(
        f"{name}: {line}", retryable=lost or may_pass(status), status=status, retry_after=retry_after(headers_of(error))
    )


ANSWER_TOOL = "answer"
"""The name under which a structured answer is offered beside tools."""


def prepare(model: BaseChatModel, tools: Sequence[Any], schema: type[BaseModel] | None) -> Any:
    """Bind tools and a schema so that each reply is one or the other.

    Beside tools the answer is itself a tool, and one must be called: every provider can do that, and on local models
    the grammar is the union of all of them.
    """
    if tools and schema is not None:
        return model.bind_tools([*tools, answer_tool(schema)], tool_choice="any")
    if tools:
        return model.bind_tools(list(tools))
    if schema is not None:
        return model.bind_tools([answer_tool(schema)], tool_choice=ANSWER_TOOL)
    return model


@cache
def answer_tool(schema: type[BaseModel]) -> dict[str, Any]:
    """The schema as a tool called `answer`; made once, not to be altered."""
    parameters = dict(json_schema(schema))
    description = parameters.pop("description", None) or "Give the final answer."
    return {
        "type": "function",
        "function": {"name": ANSWER_TOOL, "description": description, "parameters": parameters},
    }


def read_reply(message: AIMessage, schema: type[BaseModel] | None) -> tuple[AIMessage, Any]:
    """Split a reply into its message and its structured answer.

    Raises:
        ValueError, ValidationError: a structured answer was wanted and is not there or not valid.
    """
    if schema is None:
        return message, None
    answer = next((call for call in message.tool_calls if call["name"] == ANSWER_TOOL), None)
    if answer is not None:
        return message, schema.model_validate(answer["args"])
    if message.tool_calls:
        return message, None
    if message.invalid_tool_calls:
        raise ValueError(f"its arguments are not JSON: {message.invalid_tool_calls[0].get('error') or 'malformed'}")
    return message, schema.model_validate_json(_json_part(message.text))


def _json_part(text: str) -> str:
    """The JSON object in a text that may have a fence or words around it."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise ValueError("there is no JSON object in it")
    return text[start : end + 1]


def _describe(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}" if where else first["msg"]
    return str(error)


def _schema_name(schema: type[BaseModel] | None) -> str:
    return "answer" if schema is None else schema.__name__


def model_name(model: BaseChatModel) -> str:
    """The name that records show: `provider/model` for our own, the class for others."""
    for attribute in ("full_name", "model_name", "model"):
        value = getattr(model, attribute, None)
        if isinstance(value, str) and value:
            return value
    return type(model).__name__
