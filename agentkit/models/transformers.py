"""`hf/…` models: transformers on torch, with CUDA if available. Concurrent calls are answered in one batch.

Tool calls and structured answers are valid by construction, in the same format as for `local/`: replies are decoded
under the union of the tools' schemas and plain text, so a model needs no tool template.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from agentkit.errors import ModelFileError, UserError
from agentkit.json_types import JsonObject
from agentkit.models.base import NamedChat, refuse_images, tell
from agentkit.models.batching import Batcher, batcher_for
from agentkit.models.catalog import catalog, require
from agentkit.models.options import ModelOptions
from agentkit.models.rows import Completion, Request
from agentkit.models.union import as_chunk, grammar_of, read_union, to_chat, union_of
from agentkit.models.wire import usage_metadata


class TransformersChat(NamedChat):
    """A transformers model in this process.

    Args:
        repo: a hub repository or a folder.
        gguf_file: the file in it, if the weights are GGUF.
        device: None uses CUDA if available.
        dtype: None uses bfloat16 on CUDA and float32 on a CPU.
        max_batch: how many calls are answered together at most.
        window: seconds that the first call of a batch waits for others.
        adapter: the GGUF file of an adapter (LoRA) to answer with, if the weights are GGUF. A call may name another one
            in an argument of this name; calls with the same adapter are answered in one batch.
        scale: how much of an adapter is added; 0 is the bare model.
    """

    constrained = True

    repo: str
    gguf_file: str | None = None
    device: str | None = None
    dtype: str | None = None
    max_batch: int = 32
    window: float = 0.005
    max_tokens: int | None = 1_024
    seed: int | None = 0
    adapter: Path | None = None
    scale: float = 1.0

    @property
    def _llm_type(self) -> str:
        return "transformers"

    @property
    def _identifying_params(self) -> JsonObject:
        known = {"model": self.full_name, "temperature": self.temperature, "seed": self.seed}
        return known | ({"adapter": str(self.adapter), "scale": self.scale} if self.adapter else {})

    @property
    def takes_adapters(self) -> bool:
        return self.path is not None

    @property
    def path(self) -> Path | None:
        """The GGUF file that the weights come from, which an adapter must have been trained on."""
        return None if self.gguf_file is None else Path(self.repo) / self.gguf_file

    def warm_up(self) -> None:
        """Load the model now rather than on the first call."""
        self._batcher()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        return self._result(self._batcher().submit(request).result(), kwargs)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(messages, stop, kwargs)
        batcher = await asyncio.to_thread(self._batcher)
        try:
            answer = await asyncio.wrap_future(batcher.submit(request))
        except asyncio.CancelledError:
            request.cancelled = True
            raise
        return self._result(answer, kwargs)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if union_of(kwargs) is not None:  # whether it is a tool call is only certain at the end
            message = cast("Any", self._generate(messages, stop, **kwargs).generations[0].message)
            yield ChatGenerationChunk(message=as_chunk(message))
            return
        request = self._request(messages, stop, kwargs)
        future = self._batcher().submit(request)
        try:
            while (text := request.pieces.get()) is not None:
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=text))
                tell(run_manager, chunk)
                yield chunk
        finally:
            request.cancelled = True
        yield _last_chunk(future.result(), self.full_name)

    def _request(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: JsonObject) -> Request:
        def option(name: str) -> Any:
            given = kwargs.get(name)
            return getattr(self, name) if given is None else given

        refuse_images(messages, self.full_name)
        union, adapter = union_of(kwargs), option("adapter")
        if adapter and not self.takes_adapters:
            raise UserError(f"{self.full_name} takes no adapter: they are for models whose weights are a GGUF file")
        return Request(
            chat=to_chat(messages, union),
            grammar=grammar_of(union, kwargs.get("response_format")),
            temperature=float(option("temperature") or 0.0),
            max_tokens=int(option("max_tokens") or 1_024),
            seed=int(option("seed") or 0),
            stop=tuple(stop or self.stop or ()),
            logprobs=int(kwargs.get("top_logprobs") or 1) if kwargs.get("logprobs") else 0,
            adapter=str(adapter) if adapter and self.scale else "",
            scale=self.scale,
        )

    def _result(self, answer: Completion, kwargs: JsonObject) -> ChatResult:
        message = read_union(answer.text, union_of(kwargs), finish=answer.finish)
        message.usage_metadata = usage_metadata(_usage(answer))
        message.response_metadata = {"model_name": self.full_name, "finish_reason": answer.finish}
        if answer.logprobs:
            message.response_metadata["logprobs"] = {"content": list(answer.logprobs)}
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _batcher(self) -> Batcher:
        return batcher_for(
            self.repo,
            gguf_file=self.gguf_file,
            device=self.device,
            dtype=self.dtype,
            max_batch=self.max_batch,
            window=self.window,
        )


def open_transformers(name: str, **options: Unpack[ModelOptions]) -> TransformersChat:
    """Open a hub repository, a folder, a .gguf file, or a chat model from the catalog."""
    full_name, path, given = f"hf/{name}", Path(name).expanduser(), cast("JsonObject", options)
    if name in catalog():
        entry = catalog()[name]
        require(entry)
        return TransformersChat(full_name=full_name, repo=str(entry.folder), gguf_file=entry.files[0].name, **given)
    if name.endswith(".gguf"):
        if not path.is_file():
            raise ModelFileError(f"{path}: no such file")
        return TransformersChat(full_name=full_name, repo=str(path.parent), gguf_file=path.name, **given)
    if name.startswith(("/", ".", "~")) and not path.is_dir():
        raise ModelFileError(f"{path}: no such folder")
    return TransformersChat(full_name=full_name, repo=str(path) if path.is_dir() else name, **given)


def _usage(answer: Completion) -> JsonObject:
    return {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}


def _last_chunk(answer: Completion, name: str) -> ChatGenerationChunk:
    message = AIMessageChunk(content="", usage_metadata=usage_metadata(_usage(answer)))
    message.response_metadata = {"model_name": name, "finish_reason": answer.finish}
    if answer.logprobs:
        message.response_metadata["logprobs"] = {"content": list(answer.logprobs)}
    return ChatGenerationChunk(message=message)
