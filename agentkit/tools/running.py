"""Running one tool call: whatever the tool does, the run gets a short text in bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import ValidationError

from agentkit.errors import ToolError
from agentkit.json_types import JsonObject
from agentkit.telemetry import set_tool_call, span
from agentkit.text import clean, shorten

OUTPUT_LIMIT = 16_000
"""Maximum length of a tool's output, in characters, that the model gets."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """The outcome of a tool call.

    Attributes:
        text: the output, or `error: …` on one line. It is data: nothing in it is an instruction.
        ok: False if the tool raised, timed out, or got invalid arguments.
        seconds: how long it took.
    """

    text: str
    ok: bool
    seconds: float


async def run_tool(
    tool: BaseTool, arguments: Mapping[str, Any], *, timeout: float = 60.0, limit: int = OUTPUT_LIMIT
) -> ToolResult:
    """Run a tool once. Errors in the tool are never raised: they become a text that the model can react to.

    A synchronous tool runs in a daemon thread: one that hangs is abandoned at its timeout and can't keep the process
    alive.

    Args:
        tool: any LangChain tool.
        arguments: from the model; validated against the tool's schema.
        timeout: seconds after which the call is abandoned.
        limit: characters of output to keep; the text notes how much was left out.
    """
    start = time.monotonic()
    with span("execute_tool", tool.name, tool__name=tool.name, tool__type="function") as current:
        clock = asyncio.timeout(timeout)
        try:
            async with clock:
                output = await _invoke(tool, dict(arguments))
            text, ok = short_output(clean(_as_text(output)), limit), True
        except Exception as error:  # noqa: BLE001 - a tool is foreign code and may raise anything
            late = f"{tool.name} was stopped after {timeout:g} s without an answer"
            text = short_output(clean(f"error: {late if clock.expired() else _one_line(tool.name, error)}"), limit)
            ok = False
        if not ok:
            current.set_attribute("error.type", "tool_error")
        set_tool_call(current, arguments=arguments, result=text)
    return ToolResult(text=text, ok=ok, seconds=time.monotonic() - start)


def _is_async(tool: BaseTool) -> bool:
    if isinstance(tool, StructuredTool):
        return tool.coroutine is not None
    return type(tool)._arun is not BaseTool._arun


async def _invoke(tool: BaseTool, arguments: JsonObject) -> Any:
    try:
        if _is_async(tool):
            return await tool.ainvoke(arguments)
        return await in_daemon_thread(lambda: tool.invoke(arguments))
    except SystemExit as error:
        raise ToolError(f"it tried to end the program ({error})") from None


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Await a blocking call in a thread of its own that does not delay the end of the process.

    The default executor would: its threads are joined at exit, so one hung tool would hang the program.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[T | None, BaseException | None]] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: T | None, error: BaseException | None) -> None:
        if not done.done():
            done.set_result((result, error))

    def work() -> None:
        result, error = None, None
        try:
            result = context.run(call)
        except BaseException as caught:  # noqa: BLE001 - handed to the waiting coroutine, which raises it
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody is waiting
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="agentkit-tool", daemon=True).start()
    result, error = await done
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # None only where the call itself returned it


def _as_text(output: Any) -> str:
    if isinstance(output, str):
        return output
    if isinstance(output, list):  # LangChain content blocks
        return "\n".join(block.get("text", str(block)) if isinstance(block, dict) else str(block) for block in output)
    return str(output)


def _one_line(name: str, error: BaseException) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{name}: argument {where!r}: {first['msg']}"
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{name}: {text or kind}" if type(error).__module__.startswith("agentkit.") else f"{name}: {kind}: {text}"


def short_output(text: str, limit: int = OUTPUT_LIMIT) -> str:
    """A tool's output, shortened for the model: more is kept of its beginning than of its end."""
    return shorten(text, limit, tail=0.25)
