"""What all of AgentKit's own chat models have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from operator import itemgetter
from typing import Any, ClassVar, Literal, get_args

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from agentkit.errors import UserError

StructuredMethod = Literal["function_calling", "json_schema", "json_mode"]


def tell(run_manager: CallbackManagerForLLMRun | None, chunk: ChatGenerationChunk) -> None:
    """Pass a piece of text to the callbacks of `_stream`."""
    if run_manager and chunk.text:
        run_manager.on_llm_new_token(chunk.text, chunk=chunk)


async def atell(run_manager: AsyncCallbackManagerForLLMRun | None, chunk: ChatGenerationChunk) -> None:
    """The asynchronous version of `tell`."""
    if run_manager and chunk.text:
        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)


def takes_images(model: BaseChatModel) -> bool:
    """Whether a model accepts images, according to its own attribute or its LangChain profile; True if neither says."""
    own = getattr(model, "takes_images", None)
    if own is not None:
        return bool(own)
    return (getattr(model, "profile", None) or {}).get("image_inputs") is not False


def refuse_images(messages: Sequence[BaseMessage], name: str) -> None:
    """Raises UserError if a prompt contains an image that the model can't see, rather than dropping it silently."""
    parts = [part for message in messages if isinstance(message.content, list) for part in message.content]
    if any(isinstance(part, dict) and part.get("type") in ("image", "image_url") for part in parts):
        raise UserError(f"{name} reads text alone and can't be given images: {CHOOSE}")


CHOOSE = "take a model that sees, such as openai/gpt-5"


class NamedChat(BaseChatModel):
    """A chat model created by `load_model`.

    Args:
        full_name: the name it was loaded by, `kind/model`.
        temperature: 0 is greedy.
        max_tokens: the longest answer, in tokens.
        seed: for sampling.
        stop: texts that end an answer; they are not included in it.
    """

    constrained: ClassVar[bool] = False
    """Whether answers are decoded under their schema, so that they are always valid."""

    tells_logprobs: ClassVar[bool] = True
    """Whether log-probabilities may be requested; a model that can't provide them omits them."""

    full_name: str
    temperature: float | None = 0.0
    max_tokens: int | None = None
    seed: int | None = None
    stop: list[str] | None = None

    @property
    def takes_images(self) -> bool:
        """Whether it accepts images."""
        return False

    @property
    def takes_adapters(self) -> bool:
        """Whether a call may name the file of an adapter to answer with."""
        return False

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Stream by way of a worker thread."""
        source = self._stream(messages, stop, **kwargs)
        while (chunk := await asyncio.to_thread(next, source, None)) is not None:
            await atell(run_manager, chunk)
            yield chunk

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any) -> Any:
        """Offer tools; `tool_choice` is "auto", "any" (or "required", True), "none", or a tool's name."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], tool_choice=tool_choice, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: StructuredMethod = "function_calling",
        include_raw: bool = False,
        **kwargs: Any,
    ) -> Runnable[Any, Any]:
        """A runnable whose answers follow a schema: objects of a Pydantic class, or dictionaries.

        Args:
            method: "function_calling" offers the schema as the only tool; "json_schema" asks for text in that form, and
                "json_mode" for any JSON, whose form the prompt must describe.
            include_raw: return `{"raw": …, "parsed": …, "parsing_error": …}` instead of raising when parsing fails.

        Raises:
            UserError: an unknown method.
        """
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        if method not in get_args(StructuredMethod):
            raise UserError(
                f"unknown method {method!r} of structured output; use {', '.join(get_args(StructuredMethod))}"
            )
        form: dict[str, Any] = {"type": "json_object"}
        if method == "json_schema":
            wanted = convert_to_json_schema(schema)
            form = {"type": "json_schema", "json_schema": {"name": wanted.get("title", "answer"), "schema": wanted}}
        shown = {"kwargs": {"method": method}, "schema": schema}
        model = self.bind(response_format=form, ls_structured_output_format=shown)
        typed = isinstance(schema, type) and is_basemodel_subclass(schema)
        parser: Runnable[Any, Any] = PydanticOutputParser(pydantic_object=schema) if typed else JsonOutputParser()
        if not include_raw:
            return model | parser
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
        failed = RunnablePassthrough.assign(parsed=RunnableLambda(lambda _: None))
        return RunnableMap(raw=model) | parsed.with_fallbacks([failed], exception_key="parsing_error")

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop or self.stop, **kwargs)
        provider, _, model = self.full_name.partition("/")
        params["ls_provider"] = provider
        params["ls_model_name"] = kwargs.get("model") or model
        return params
