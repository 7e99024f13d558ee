"""Caller: the one place where AgentKit calls a model.

One retry layer; one budget check before each call, one journal entry and one usage record after it; works with any
`BaseChatModel`. The layers of a call, from the outside in: `_until_valid` asks again until the answer fits its schema;
`_journalled` returns a recorded answer if there is one; `_with_fallbacks` moves on to the next model; `_in_any_way`
finds a way of asking that the provider accepts; `_with_retries` repeats what may succeed later; `_once` makes one
request.
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
"""How to ask models that refused to be forced to call a tool, by name and address."""
_silent: set[tuple[str, str]] = set()
"""Models whose server refused to return log-probabilities."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """When a failed call is repeated.

    Attributes:
        attempts: tries per model before its fallback is used.
        base, cap: seconds of the first and the longest pause; pauses double, with full jitter. A provider's Retry-After
            overrides both.
        invalid: tries for a structured answer that validates.
        patience: the longest Retry-After, in seconds, that is waited for; if a provider asks for more, the call is not
            retried.
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 60.0
    invalid: int = 3
    patience: float = 600.0

    def again(self, attempt: int, error: ModelError) -> bool:
        """Whether to retry after this attempt, counted from 0."""
        patient = (error.retry_after or 0.0) <= self.patience
        return error.retryable and patient and not isinstance(error, QuotaUsedUp) and attempt + 1 < self.attempts

    def pause(self, attempt: int, error: ModelError) -> float:
        """Seconds until the next attempt."""
        if error.retry_after is not None:
            return error.retry_after
        return random.uniform(0, min(self.cap, self.base * 2**attempt))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A model's answer.

    Attributes:
        message: the text and the tool calls.
        parsed: the structured answer, if a schema was given and the model did not call a tool instead.
        logprobs: a summary of the answer's log-probabilities, if they were requested and returned.
        replayed: whether it came from the journal.
    """

    message: AIMessage
    parsed: Any
    usage: Usage
    logprobs: Logprobs | None = None
    replayed: bool = False

    @property
    def text(self) -> str:
        """The text without any reasoning before it."""
        return spoken(self.message.text)


class Caller:
    """Calls a model, or its fallbacks in turn.

    Args:
        models: one model, or several, of which all but the first are fallbacks.
        retry, limits: shared policies.
        budget: the meter to charge; None for no budget.
        journal: where completed calls are recorded and looked up.
        timeout: seconds that one call may take.
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
        """Whether every model decodes answers under their schema."""
        return all(getattr(model, "constrained", False) for model in self.models)

    @property
    def tells_logprobs(self) -> bool:
        """Whether every model can tell the log-probabilities of its answers."""
        return all(getattr(model, "tells_logprobs", False) for model in self.models)

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
        """Call the model.

        Args:
            messages: the prompt.
            tools: the tools it may call. If a schema is given too, each reply is a tool call or the structured answer.
            must_answer: whether tool calls are forbidden.
            schema: the structured answer to return; for an `AnswerType`, `parsed` is its JSON value.
            role: the role that asks, for the records.
            scope: the place in the run that asks. If the same request is repeated there after a crash, it gets the
                recorded answer.
            seed: for models that support one.
            temperature: None uses the model's own.
            logprobs: request log-probabilities from models that support them, and keep a summary.
            adapter: the adapter file to use, for models that support adapters; others answer without it.
            on_token: called with the text as it is written; a recorded answer comes in one piece. An empty text means
                that everything so far is void, because another attempt begins.

        Raises:
            BudgetExceeded: before the call.
            InvalidOutput: no valid structured answer within the allowed attempts.
            ModelError: the model and all its fallbacks failed.
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
        """Call until the answer is valid, each time telling the model what was wrong with the previous one."""
        used, problem = Usage(), ""
        for _ in range(self.retry.invalid):
            # Usage adds up over all attempts: the invalid ones were paid for too.
            given = await self._journalled(ask)
            used = used + given.usage
            if not ask.ran_on and self.constrained and ran_on(given.message, ask.schema, ask.tools):
                ask, problem = replace(ask, ran_on=True), "the output did not end"
            else:
                try:
                    message, parsed = read_reply(given.message, ask.tools, ask.schema)
                    return replace(given, message=message, parsed=parsed, usage=used)
                except ValueError as error:  # includes ValidationError
                    problem = describe(error, given.message)
                    ask = ask.mended(given.message, problem, called=isinstance(error, BadCall))
            if ask.on_token is not None:
                ask.on_token("")
        wanted = _schema_name(ask.schema)
        raise InvalidOutput(f"{self.name} gave no valid {wanted} in {self.retry.invalid} tries: {problem}")

    async def _journalled(self, ask: _Ask) -> Reply:
        """The raw answer, from the journal or from a model; a replayed one has no usage."""
        digest = request_hash(self.name, ask.messages, tools=ask.tools, schema=ask.schema, params=ask.params)
        base = f"{ask.scope}/{digest[:40]}"
        key = f"{base}/{self._seen[base]}"
        # Identical requests in one scope are numbered, so that each finds its own answer when the run is replayed.
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
                log.warning("%s; falling back to %s", error, model_name(self.models[position]))
        raise AssertionError("unreachable")

    async def _in_any_way(self, model: BaseChatModel, ask: _Ask, *, last: bool) -> tuple[AIMessage, Usage]:
        """Ask in a way that the provider accepts; a way it has refused is remembered and not tried again."""
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
                log.info("%s; asking again %s", error, "without forcing a call" if lower == "auto" else "in text")
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
                assert self.budget is not None  # a model's own timeout raises ModelError instead
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
        """Wait before the next attempt if the budget leaves time for both; otherwise raise, so that the fallback, if
        any, is tried."""
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
    """The parameters of a request besides its prompt; they are part of its key in the journal."""
    params: JsonObject = {"stop": list(stop) if stop else None, "seed": seed}
    return params if temperature is None else {**params, "temperature": temperature}


@dataclass(frozen=True, kw_only=True)
class _Ask:
    """One request, as passed to `Caller.call`."""

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
        """The request for a model that takes no adapter, such as a fallback."""
        if "adapter" not in self.params:
            return self
        return replace(self, params={name: value for name, value in self.params.items() if name != "adapter"})

    def mended(self, message: AIMessage, problem: str, *, called: bool) -> _Ask:
        """The request to repeat after an invalid answer or call, with the problem appended."""
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
    """The message that the chunks add up to; truncated arguments make an invalid call rather than a shorter one."""
    if whole is None:
        return AIMessage("")
    message = cast("AIMessage", message_chunk_to_message(whole))
    if pieces := getattr(whole, "tool_call_chunks", None):
        made = [{"id": piece["id"], "name": piece["name"], "arguments": piece["args"]} for piece in pieces]
        message.tool_calls, message.invalid_tool_calls = read_calls(made, "stream")
    return message


def _storable(message: AIMessage) -> AIMessage:
    """The message with its text and call arguments cleaned (`agentkit.text`)."""
    parts = {name: getattr(message, name) for name in ("content", "tool_calls", "invalid_tool_calls")}
    cleaned = clean_data(parts)
    return message if cleaned == parts else message.model_copy(update=cleaned)


def _said(message: AIMessage, ask: _Ask) -> AIMessage:
    if ask.on_token is not None and message.text:
        ask.on_token(message.text)
    return message


def _known(error: Exception, name: str) -> Exception:
    """A failed request of a third-party chat model as a `ModelError`; programming errors are left as they are."""
    status = getattr(error, "status_code", None)
    lost = isinstance(error, ConnectionError | httpx.TransportError) or hasattr(error, "request")
    if isinstance(error, AgentKitError) or not (lost or isinstance(status, int)):
        return error
    body = getattr(error, "body", None) or str(error) or type(error).__name__
    return refusal(name, status if isinstance(status, int) else None, body, headers_of(error))


def _schema_name(schema: Schema | None) -> str:
    return "answer" if schema is None or isinstance(schema, AnswerType) else schema.__name__


def model_name(model: BaseChatModel) -> str:
    """The model's name for records: `provider/model` for AgentKit's own models, the class name for others."""
    for attribute in ("full_name", "model_name", "model"):
        value = getattr(model, attribute, None)
        if isinstance(value, str) and value:
            return value
    return type(model).__name__
