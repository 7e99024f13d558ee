"""`local/…` models: llama.cpp in this process, through xllamacpp, on CPU or GPU.

Tool calls and structured answers are valid by construction: replies are decoded under a grammar that is the union of
the tools' schemas and, where the model may use it, plain text. The model's own tool template is not used, because it
guides a model without binding it, and many models have none.
"""

from __future__ import annotations

import asyncio
import os
import queue
import re
import secrets
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from agentkit import interrupts
from agentkit.errors import ContextOverflow, MissingExtra, ModelError, ModelFileError
from agentkit.json_types import JsonObject
from agentkit.models.base import NamedChat, atell, refuse_images, tell
from agentkit.models.catalog import chat_template, model_file
from agentkit.models.control import control_tokens, pattern_of, without_control
from agentkit.models.streams import StreamReader
from agentkit.models.union import Union, as_chunk, grammar_of, read_union, to_chat, union_of
from agentkit.models.wire import usage_metadata

_NO_LOOPS = {"dry_multiplier": 0.8, "dry_base": 1.75, "dry_allowed_length": 6, "dry_penalty_last_n": 512}
"""llama.cpp's DRY sampler: a token that would continue a repeated sequence becomes less likely the longer the
repetition is."""


class LlamaCppChat(NamedChat):
    """A GGUF model in this process.

    Args:
        path: the GGUF file.
        n_ctx: context length in tokens, prompt and answer together.
        n_threads: CPU threads; None uses LLAMA_ARG_THREADS (llama.cpp's own variable) or else the number of physical
            cores.
        n_gpu_layers: layers to put on the GPU, if there is one; by default all.
        adapter: the GGUF file of the LoRA adapter to use. A call may name another one, by an argument of the same name;
            all share one loaded model.
        scale: the strength of the adapter; 0 is the base model.
    """

    constrained = True

    path: Path
    n_ctx: int = 16_384
    max_tokens: int | None = 1_024
    seed: int | None = 0
    n_threads: int | None = None
    n_gpu_layers: int = 999
    adapter: Path | None = None
    scale: float = 1.0

    @property
    def _llm_type(self) -> str:
        return "llama.cpp"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        known = {"model": self.full_name, "n_ctx": self.n_ctx, "temperature": self.temperature, "seed": self.seed}
        return known | ({"adapter": str(self.adapter), "scale": self.scale} if self.adapter else {})

    @property
    def takes_adapters(self) -> bool:
        return True

    def warm_up(self) -> None:
        """Load the model now rather than on the first call."""
        self._server()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        union = union_of(kwargs)
        server = self._server(kwargs.get("adapter"))
        return self._result(server.complete(self._request(messages, stop, union, kwargs, server)), union)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        union = union_of(kwargs)
        server = await asyncio.to_thread(self._server, kwargs.get("adapter"))  # may load the model
        return self._result(await server.acomplete(self._request(messages, stop, union, kwargs, server)), union)

    def _result(self, response: Mapping[str, Any], union: Union | None) -> ChatResult:
        choice = response["choices"][0]
        message = read_union(choice["message"].get("content") or "", union, finish=choice["finish_reason"])
        message.usage_metadata = usage_metadata(response["usage"])
        message.response_metadata = {
            "model_name": self.full_name,
            "finish_reason": choice["finish_reason"],
            "timings": response.get("timings", {}),
            **({"logprobs": choice["logprobs"]} if choice.get("logprobs") else {}),
        }
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        union = union_of(kwargs)
        if union is not None:  # whether it is a tool call is only certain at the end
            message = cast("Any", self._generate(messages, stop, **kwargs).generations[0].message)
            yield ChatGenerationChunk(message=as_chunk(message))
            return
        reader = StreamReader(self.full_name)
        server = self._server(kwargs.get("adapter"))
        for event in server.stream(self._request(messages, stop, None, kwargs, server)):
            if (chunk := reader.read(event)) is not None:
                tell(run_manager, chunk)
                yield chunk
        yield reader.end(None)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        union = union_of(kwargs)
        if union is not None:
            message = cast("Any", (await self._agenerate(messages, stop, **kwargs)).generations[0].message)
            yield ChatGenerationChunk(message=as_chunk(message))
            return
        reader = StreamReader(self.full_name)
        server = await asyncio.to_thread(self._server, kwargs.get("adapter"))
        async with aclosing(server.astream(self._request(messages, stop, None, kwargs, server))) as events:
            async for event in events:
                if (chunk := reader.read(event)) is not None:
                    await atell(run_manager, chunk)
                    yield chunk
        yield reader.end(None)

    def _request(
        self,
        messages: Sequence[BaseMessage],
        stop: list[str] | None,
        union: Union | None,
        kwargs: dict[str, Any],
        server: Server,
    ) -> JsonObject:
        chosen = kwargs.get("adapter") or self.adapter
        scales = server.scales(None if chosen is None else Path(chosen), self.scale)
        return self._body(messages, stop, union, kwargs) | scales

    def _body(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, union: Union | None, kwargs: dict[str, Any]
    ) -> JsonObject:
        refuse_images(messages, self.full_name)
        names = ("temperature", "max_tokens", "seed", "top_p", "top_k", "logprobs", "top_logprobs")
        body = {name: kwargs.get(name, getattr(self, name, None)) for name in names}
        body = {name: value for name, value in body.items() if value is not None}
        chat = without_control(to_chat(messages, union), _control(self.path))
        body |= {"messages": chat, "cache_prompt": True}
        if stops := stop or self.stop:
            body["stop"] = stops
        if kwargs.get("no_loops"):
            body |= _NO_LOOPS
        if (grammar := grammar_of(union, kwargs.get("response_format"))) is not None:
            body["grammar"] = f"%llguidance {{}}\n{grammar}"
        return body

    def _server(self, adapter: str | Path | None = None) -> Server:
        chosen = adapter or self.adapter
        options = Options(self.path, self.n_ctx, self.n_threads, self.n_gpu_layers)
        return server_for(options, adapter=None if chosen is None else Path(chosen))


@cache
def _control(path: Path) -> re.Pattern[str] | None:
    return pattern_of(control_tokens(path))


@dataclass(frozen=True)
class Options:
    """The options that two models must have in common to share one server."""

    path: Path
    n_ctx: int
    n_threads: int | None
    n_gpu_layers: int
    port: int = 0
    api_key: str | None = None
    n_parallel: int = 1
    alias: str = ""
    chat_template: str = ""


MOST_ADAPTERS = 4
"""How many adapters stay loaded with a model; when there are more, the one loaded first is dropped."""
N_BATCH = 512
"""Prompt tokens processed in one go, after which llama.cpp checks whether the answer is still wanted."""


class Server:
    """One loaded model, with adapters that each call can choose from. llama.cpp itself queues concurrent calls.

    Args:
        applied: every call that names no adapter is answered with all of them.
    """

    def __init__(self, options: Options, adapters: Sequence[Path] = (), *, applied: bool = False) -> None:
        self.adapters = tuple(adapters)
        if not options.path.is_file():
            raise ModelFileError(f"{options.path} does not exist; get it with  agentkit models pull")
        # Threads that busy-wait for each other are ten times slower when other work competes for the same cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        try:
            import xllamacpp
        except ModuleNotFoundError:
            raise MissingExtra("local", "xllamacpp") from None
        params = xllamacpp.CommonParams()
        params.model.path = str(options.path)
        params.n_ctx, params.n_parallel = options.n_ctx, options.n_parallel
        params.n_gpu_layers, params.n_batch = options.n_gpu_layers, N_BATCH
        threads = options.n_threads or _default_threads()
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        # The cache of other prompts' prefixes, for when another role takes the slot. It looks prefixes up by their
        # tokens alone, so with adapters, a prefix processed with one of them would be reused for the base model: hence
        # no cache.
        params.cache_ram_mib = 0 if self.adapters else 1024
        params.warmup, params.verbosity, params.use_jinja = False, -1, True
        params.port = options.port
        if options.alias:
            params.model_alias = {options.alias}
        if options.chat_template:
            params.chat_template = options.chat_template
        # Loaded but not applied: each call says how much of each adapter it wants, and gets none of those it does not
        # name.
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(file), float(applied)) for file in self.adapters]
        params.lora_init_without_apply = not applied
        # llama.cpp always opens its HTTP server on loopback; unless it is to be served, a random key restricts it to
        # this process.
        params.api_keys = [options.api_key or secrets.token_hex(16)] if options.api_key != "" else []
        try:
            with interrupts.deaf():
                self._server = xllamacpp.Server(params)
        except RuntimeError as error:
            beside = f" with {', '.join(file.name for file in self.adapters)}" if self.adapters else ""
            raise ModelFileError(f"{options.path} can't be loaded{beside}: {error}") from None

    def scales(self, adapter: Path | None, scale: float) -> JsonObject:
        """The part of a request that selects among the loaded adapters: `scale` for one of them, 0 for the others."""
        if not self.adapters:
            return {}
        return {"lora": [{"id": n, "scale": scale if file == adapter else 0.0} for n, file in enumerate(self.adapters)]}

    @property
    def address(self) -> str:
        return str(self._server.listening_address)

    def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """One chat completion, in OpenAI's format.

        Raises:
            ContextOverflow: the prompt is longer than the context.
            ModelError: llama.cpp rejected the request.
        """
        return joined(self.stream(body))

    async def acomplete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The asynchronous version of `complete`; when cancelled, the model stops as well."""
        return joined([event async for event in self.astream(body)])

    def stream(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """A completion as a stream of OpenAI chunks. If abandoned, the model stops after the current token or piece of
        the prompt."""
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        gone = self._begin(body, events.put)
        try:
            while (event := events.get()) is not None:
                yield _checked(event)
        finally:
            gone.set()

    async def astream(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """The asynchronous version of `stream`."""
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Any]()
        gone = self._begin(body, lambda event: loop.call_soon_threadsafe(events.put_nowait, event))
        try:
            while (event := await events.get()) is not None:
                yield _checked(event)
        finally:
            gone.set()

    def _begin(self, body: Mapping[str, Any], put: Callable[[Any], object]) -> threading.Event:
        """Answer in a thread, which passes on each chunk and finally None; returns an event that stops it when set.

        llama.cpp asks its callback whether to continue only when it has something to report, so it is told to report
        its progress through the prompt as well (every `N_BATCH` tokens).
        """
        told = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
        gone = threading.Event()

        def take(event: Any) -> bool:
            if not _is_progress(event) and not gone.is_set():
                put(event)
            return gone.is_set()

        def work() -> None:
            with suppress(RuntimeError):  # the caller's event loop is closed
                try:
                    self._server.handle_chat_completions({**body, **told}, take)
                except ValueError as error:
                    put({"error": {"message": str(error)}})
                put(None)

        threading.Thread(target=work, name="agentkit-llama", daemon=True).start()
        return gone


def _is_progress(event: Any) -> bool:
    return isinstance(event, dict) and bool(event.get("prompt_progress"))


def joined(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Join streamed chunks into the response that a server without streaming would return."""
    text, finish, logprobs = "", None, list[Any]()
    whole: dict[str, Any] = {"usage": {}}
    for event in events:
        whole |= {name: event[name] for name in ("usage", "timings") if event.get(name)}
        for choice in event.get("choices") or ():
            text += choice["delta"].get("content") or ""
            finish = choice.get("finish_reason") or finish
            logprobs += (choice.get("logprobs") or {}).get("content") or ()
    choice = {"message": {"content": text}, "finish_reason": finish}
    return {**whole, "choices": [choice | ({"logprobs": {"content": logprobs}} if logprobs else {})]}


_servers: dict[Options, Server] = {}
_loading = threading.Lock()


def serving(name: str, *, n_ctx: int = 16_384, n_parallel: int = 1, port: int = 0, api_key: str = "") -> Options:
    """The options to serve a model to other programs, which use the tool-call format of its chat template.

    Args:
        name: from the catalog, or the path of a .gguf file.
        n_ctx: context length in tokens, shared by all slots.
        n_parallel: slots, which is how many requests are answered at once.
        port: on loopback; 0 picks a free one.
        api_key: what clients must send; empty lets anyone connect.
    """
    return Options(
        model_file(name),
        n_ctx,
        None,
        999,
        port=port,
        api_key=api_key,
        n_parallel=n_parallel,
        alias=name,
        chat_template=chat_template(name),
    )


def server_for(options: Options, *, adapter: Path | None = None) -> Server:
    """The process-wide server for a model. It is loaded once, and again if an adapter is requested that it was loaded
    without.

    Raises:
        ModelFileError: a missing file, or an adapter for another model.
    """
    with _loading:
        loaded = _servers.get(options)
        known = () if loaded is None else loaded.adapters
        if loaded is None or (adapter is not None and adapter not in known):
            if adapter is not None and not adapter.is_file():
                raise ModelFileError(f"{adapter}: no such adapter")
            kept = [file for file in known if file.is_file()]  # one that was forgotten is gone
            wanted = kept if adapter is None else [*kept, adapter][-MOST_ADAPTERS:]
            loaded = _servers[options] = Server(options, wanted)
        return loaded


def _checked(response: Any) -> Any:
    error = response.get("error") if isinstance(response, dict) else None
    if not error:
        return response
    if error.get("type") == "exceed_context_size_error":
        counts = f"{error.get('n_prompt_tokens')} tokens do not fit the context of {error.get('n_ctx')}"
        raise ContextOverflow(f"the prompt is too long: {counts}; shorten it or load the model with a larger n_ctx")
    raise ModelError(f"llama.cpp: {error.get('message')}")


def _default_threads() -> int:
    asked = os.environ.get("LLAMA_ARG_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else _physical_cores()


def _physical_cores() -> int:
    siblings = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    cores = {path.read_text(encoding="ascii").strip() for path in siblings}
    return len(cores) or max(1, (os.cpu_count() or 2) // 2)
