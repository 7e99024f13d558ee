"""Caller: how every model call of AgentKit is made.

One retry layer, one budget check before each call, one journal and one usage record after it; on any `BaseChatModel`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, message_chunk_to_message

from agentkit import faults, telemetry
from agentkit.answer_type import AnswerType
from agentkit.errors import AgentKitError, BudgetExceeded, InvalidOutput, ModelError, QuotaUsedUp
from agentkit.json_types import JsonObject
from agentkit.models.asking import BadCall, Way, asked, describe, is_about_logprobs, next_way, prepare, read_reply
from agentkit.models.budget import Meter, Usage
from agentkit.models.journal import Journal, MemoryJournal, StoredCall, response_of
from agentkit.models.limits import Limits
from agentkit.models.logprobs import ALTERNATIVES, FEW_ALTERNATIVES, Logprobs, told
from agentkit.models.refusals import headers_of, refusal
from agentkit.models.replies import check, ran_on
from agentkit.models.requests import Schema, request_hash
from agentkit.models.speech import spoken
from agentkit.models.wire import read_calls
from agentkit.text import clean, clean_data

log = logging.getLogger("agentkit.models")

_ways: dict[tuple[str, str], Way] = {}
"""How models that refused to have a call forced are asked, by name and address."""
_silent: set[tuple[str, str]] = set()
"""Models whose server refused to report log-probabilities."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """When a failed call is made again.

    Attributes:
        attempts: tries of one model before its fallback.
        base, cap: seconds of the first and the longest pause; each pause doubles, with full jitter. A provider's
            Retry-After goes before both.
        invalid: tries for a structured answer that validates.
        patience: seconds of the longest Retry-After that is waited; who asks for more is not asked again.
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 60.0
    invalid: int = 3
    patience: float = 600.0

    def again(self, attempt: int, error: ModelError) -> bool:
        """Whether to ask again after this try, counted from 0."""
        patient = (error.retry_after or 0.0) <= self.patience
        return error.retryable and patient and not isinstance(error, QuotaUsedUp) and attempt + 1 < self.attempts

    def pause(self, attempt: int, error: ModelError) -> float:
        """Seconds until the next try."""
        if error.retry_after is not None:
            return error.retry_after
        return random.uniform(0, min(self.cap, self.base * 2**attempt))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A model's answer.

    Attributes:
        message: the text and the tool calls.
        parsed: the structured answer, where a schema was asked for and the model did not call a tool instead.
        logprobs: how sure the model was, where that was asked for and told.
        replayed: whether it came from the journal.
    """

    message: AIMessage
    parsed: Any
    usage: Usage
    logprobs: Logprobs | None = None
    replayed: bool = False

    @property
    def text(self) -> str:
        """The text without the thoughts that may lead it."""
        return spoken(self.message.text)


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
        schema: Schema | None = None,
        must_answer: bool = False,
        stop: Sequence[str] | None = None,
        role: str = "",
        scope: str = "",
        seed: int | None = None,
        temperature: float | None = None,
        logprobs: bool = False,
        adapter: str = "",
        on_token: Callable[[str], None] | None = None,
    ) -> Reply:
        """Ask the model.

        Args:
            messages: the prompt.
            tools: what it may call. With a schema too, each reply is a tool call or the structured answer.
            must_answer: no tool may be called.
            schema: the structured answer that is wanted; of an `AnswerType`, `parsed` is its JSON value.
            role: who is asked, for the records.
            scope: where in a run; repeated there after a crash, the same request gets the recorded answer.
            seed: for models that take one.
            temperature: None is the model's own.
            logprobs: have log-probabilities told by models that can, and keep their summary.
            adapter: the file of an adapter to answer with, for models that take one; the others answer as they are.
            on_token: gets the text as it is written; a recorded answer comes in one piece. An empty text says that
                what was written so far does not count: another try begins.

        Raises:
            BudgetExceeded: before the call.
            InvalidOutput: no valid structured answer after the allowed tries.
            ModelError: the model and its fallbacks failed.
        """
        params = _params(stop, seed, temperature) | ({"adapter": adapter} if adapter else {})
        if must_answer and tools and schema is None:
            params["tool_choice"] = "none"
        elif must_answer:
            tools = ()
        ask = _Ask(messages=tuple(messages), tools=tools, schema=schema, params=params, role=role, scope=scope,
                   logprobs=logprobs, on_token=on_token)  # fmt: skip
        return await self._until_valid(ask)

    async def _until_valid(self, ask: _Ask) -> Reply:
        """Ask until the answer is of the form that is wanted, each time with what was wrong with the last."""
        used, problem = Usage(), ""
        for _ in range(self.retry.invalid):
            given = await self._journalled(ask)
            used = used + given.usage
            if not ask.ran_on and self.constrained and ran_on(given.message, ask.schema, ask.tools):
                ask, problem = replace(ask, ran_on=True), "it wrote on and on"
            else:
                try:
                    message, parsed = read_reply(given.message, ask.tools, ask.schema)
                    return replace(given, message=message, parsed=parsed, usage=used)
                except ValueError as error:  # a ValidationError among them
                    problem = describe(error, given.message)
                    ask = ask.mended(given.message, problem, called=isinstance(error, BadCall))
            if ask.on_token is not None:
                ask.on_token("")
        wanted = _schema_name(ask.schema)
        raise InvalidOutput(f"{self.name} gave no valid {wanted} in {self.retry.invalid} tries: {problem}")

    async def _journalled(self, ask: _Ask) -> Reply:
        """What was answered, as yet unread; what was replayed used nothing."""
        digest = request_hash(self.name, ask.messages, tools=ask.tools, schema=ask.schema, params=ask.params)
        base = f"{ask.scope}/{digest[:40]}"
        key = f"{base}/{self._seen[base]}"
        self._seen[base] += 1
        if (stored := self.journal.find(key)) is not None:
            message = _said(stored.message(), ask)
            return Reply(message=message, parsed=None, usage=Usage(), logprobs=stored.logprobs, replayed=True)
        if self.budget is not None:
            self.budget.check()
        faults.point("before:model.call")
        message, usage, model = await self._with_fallbacks(ask)
        response = response_of(message, told(message, ask.schema))
        call = StoredCall(
            scope=ask.scope, role=ask.role, model=model, request_hash=digest, response=response, usage=usage
        )
        self.journal.save(key, call)
        faults.point("after:model.call")
        if self.budget is not None:
            self.budget.charge(usage)
        return Reply(message=message, parsed=None, usage=usage, logprobs=call.logprobs)

    async def _with_fallbacks(self, ask: _Ask) -> tuple[AIMessage, Usage, str]:
        for position, model in enumerate(self.models, 1):
            try:
                message, usage = await self._in_any_way(model, ask, last=position == len(self.models))
                return message, usage, model_name(model)
            except ModelError as error:
                if position == len(self.models):
                    raise
                log.warning("%s; going on with %s", error, model_name(self.models[position]))
        raise AssertionError("unreachable")

    async def _in_any_way(self, model: BaseChatModel, ask: _Ask, *, last: bool) -> tuple[AIMessage, Usage]:
        """Ask as the model's provider lets us: what it refused once is not tried again."""
        key = (model_name(model), str(getattr(model, "api_base", None)))
        while True:
            way = _ways.get(key, "forced")
            told = ask.logprobs and key not in _silent and getattr(model, "tells_logprobs", False)
            try:
                return await self._with_retries(model, replace(ask, logprobs=told), way, last=last)
            except ModelError as error:
                if told and is_about_logprobs(error):
                    log.info("%s; asking without log-probabilities", error)
                    _silent.add(key)
                    continue
                lower = next_way(way, error) if ask.tools or ask.schema is not None else None
                if lower is None:
                    raise
                log.info("%s; asking with %s", error, "the tools left open" if lower == "auto" else "the form in words")
                _ways[key] = lower

    async def _with_retries(self, model: BaseChatModel, ask: _Ask, way: Way, *, last: bool) -> tuple[AIMessage, Usage]:
        ask = ask if getattr(model, "takes_adapters", False) else ask.without_adapter()
        bound: Any = prepare(model, ask.tools, ask.schema, way, ran_on=ask.ran_on)
        ask = replace(ask, messages=tuple(asked(ask.messages, ask.tools, ask.schema, way)))
        for attempt in range(self.retry.attempts):
            try:
                async with asyncio.timeout(None if self.budget is None else self.budget.left):
                    async with self.limits.slot():
                        return await self._once(bound, model_name(model), ask)
            except TimeoutError:
                assert self.budget is not None  # a model's own time is a ModelError
                self.budget.check()
                raise self.budget.used_up("seconds") from None
            except ModelError as error:
                if self.budget is not None:
                    self.budget.charge(Usage())
                if not self.retry.again(attempt, error):
                    raise
                await self._pause(attempt, error, last=last)
        raise AssertionError("unreachable")

    async def _pause(self, attempt: int, error: ModelError, *, last: bool) -> None:
        """Wait for the next try, if the budget allows for both; else it is the fallback's turn, where there is one."""
        pause = self.retry.pause(attempt, error)
        left = None if self.budget is None else self.budget.left
        if self.budget is not None and left is not None and pause >= left:
            if not last:
                raise error
            raise BudgetExceeded(
                f"the budget ends in {left:.3g} seconds, before the model can be asked again ({pause:.3g} s); raise it "
                f"with  budget.seconds; before that: {error}"
            ) from error
        log.info("%s; try %d of %d in %.3g s", error, attempt + 2, self.retry.attempts, pause)
        await asyncio.sleep(pause)
        if self.budget is not None:
            self.budget.check(after=error)

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
            message = check(message, name)
            usage = Usage.of(message, seconds=time.perf_counter() - started)
            telemetry.set_attributes(
                span, usage__input_tokens=usage.input_tokens, usage__output_tokens=usage.output_tokens
            )
            telemetry.set_messages(span, asked=ask.messages, answer=message)
            return message, usage


def _params(stop: Sequence[str] | None, seed: int | None, temperature: float | None) -> JsonObject:
    """What is told the model beside the prompt; requests are found again in the journal by it too."""
    params: JsonObject = {"stop": list(stop) if stop else None, "seed": seed}
    return params if temperature is None else {**params, "temperature": temperature}


@dataclass(frozen=True, kw_only=True)
class _Ask:
    """One question, as `Caller.call` got it."""

    messages: tuple[BaseMessage, ...]
    tools: Sequence[Any]
    schema: Schema | None
    params: JsonObject
    role: str
    scope: str
    logprobs: bool
    on_token: Callable[[str], None] | None
    ran_on: bool = False

    def without_adapter(self) -> _Ask:
        """The question to a model that takes none, such as a fallback."""
        if "adapter" not in self.params:
            return self
        return replace(self, params={name: value for name, value in self.params.items() if name != "adapter"})

    def mended(self, message: AIMessage, problem: str, *, called: bool) -> _Ask:
        """The question again, after an answer that did not validate, or a call that can't be carried out."""
        made = [
            {"name": call["name"], "args": call["args"]} for call in [*message.tool_calls, *message.invalid_tool_calls]
        ]
        said = message.text or json.dumps(made) or "(nothing)"
        mend = f"That is not a valid {_schema_name(self.schema)}: {problem}. Answer again with valid JSON only."
        if called:
            mend = f"error: nothing was called: {problem}."
        return replace(self, messages=(*self.messages, AIMessage(said), HumanMessage(mend)))


async def _answer(bound: Any, ask: _Ask) -> AIMessage:
    given = {key: value for key, value in ask.params.items() if value is not None}
    if ask.logprobs:
        given |= {"logprobs": True, "top_logprobs": FEW_ALTERNATIVES if ask.schema is None else ALTERNATIVES}
    if ask.on_token is None:
        answer: AIMessage = await bound.ainvoke(list(ask.messages), **given)
        return answer
    whole: Any = None
    try:
        async for chunk in bound.astream(list(ask.messages), **given):
            whole = chunk if whole is None else whole + chunk
            if chunk.text:
                ask.on_token(clean(chunk.text))
    except BaseException:
        ask.on_token("")
        raise
    return _added_up(whole)


def _added_up(whole: Any) -> AIMessage:
    """The message that chunks add up to; arguments that are cut off make an invalid call, not a shorter one."""
    if whole is None:
        return AIMessage("")
    message = cast("AIMessage", message_chunk_to_message(whole))
    if pieces := getattr(whole, "tool_call_chunks", None):
        made = [{"id": piece["id"], "name": piece["name"], "arguments": piece["args"]} for piece in pieces]
        message.tool_calls, message.invalid_tool_calls = read_calls(made, "stream")
    return message


def _storable(message: AIMessage) -> AIMessage:
    """The message with its text and the arguments of its calls cleaned (`agentkit.text`)."""
    parts = {name: getattr(message, name) for name in ("content", "tool_calls", "invalid_tool_calls")}
    cleaned = clean_data(parts)
    return message if cleaned == parts else message.model_copy(update=cleaned)


def _said(message: AIMessage, ask: _Ask) -> AIMessage:
    if ask.on_token is not None and message.text:
        ask.on_token(message.text)
    return message


def _known(error: Exception, name: str) -> Exception:
    """A failed request of somebody else's chat model as a `ModelError`; a mistake in a program stays what it is."""
    status = getattr(error, "status_code", None)
    lost = isinstance(error, ConnectionError | httpx.TransportError) or hasattr(error, "request")
    if isinstance(error, AgentKitError) or not (lost or isinstance(status, int)):
        return error
    body = getattr(error, "body", None) or str(error) or type(error).__name__
    return refusal(name, status if isinstance(status, int) else None, body, headers_of(error))


def _schema_name(schema: Schema | None) -> str:
    return "answer" if schema is None or isinstance(schema, AnswerType) else schema.__name__


def model_name(model: BaseChatModel) -> str:
    """The name that records show: `provider/model` for our own, the class for others."""
    for attribute in ("full_name", "model_name", "model"):
        value = getattr(model, attribute, None)
        if isinstance(value, str) and value:
            return value
    return type(model).__name__
