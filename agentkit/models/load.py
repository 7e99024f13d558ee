"""load_model: creates a chat model from its name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from langchain_core.language_models import BaseChatModel
from pydantic import ValidationError

from agentkit.errors import MissingKey, ModelNotFound, UserError
from agentkit.json_types import JsonObject
from agentkit.models.options import ModelOptions
from agentkit.plugins import plugin
from agentkit.text import did_you_mean

if TYPE_CHECKING:
    from agentkit.models.hosted import HostedChat

Made = TypeVar("Made", bound=BaseChatModel)


def load_model(name: str | BaseChatModel, **options: Unpack[ModelOptions]) -> BaseChatModel:
    """A chat model by name; an object is returned as it is.

    Args:
        name: `local/NAME` (from the catalog, or the path of a .gguf file; llama.cpp), `hf/REPO` (or a folder;
            transformers), `replay/FILE.jsonl` (recorded answers), a kind that a plug-in adds, or `provider/model` for
            LiteLLM. LangChain's notation `provider:model` works too.
        options: fields of the model's class; see `ModelOptions`.

    Raises:
        ModelNotFound: no such model or provider.
        MissingKey: a hosted provider without its key.
        ModelFileError: a local model whose file is missing.
        MissingExtra: the `local` extra is not installed.
        UserError: an option that this kind of model does not have.
    """
    if isinstance(name, BaseChatModel):
        return name
    kind, _, rest = (name := _with_slash(name)).partition("/")
    given: JsonObject = {**options}
    if not rest:
        from agentkit.models.catalog import catalog

        near = did_you_mean(name, [f"local/{known}" for known in catalog()])
        raise ModelNotFound(f"unknown model {name!r}{near}: use provider/model, local/NAME, hf/REPO or replay/FILE")
    if kind == "local":
        from agentkit.models.catalog import model_file
        from agentkit.models.llamacpp import LlamaCppChat

        return _made(LlamaCppChat, name, {"path": model_file(rest), **given})
    if kind == "hf":
        from agentkit.models.transformers import TransformersChat, open_transformers

        _check_options(TransformersChat, name, given)
        return open_transformers(rest, **options)
    if kind == "replay":
        from agentkit.models.recorded import RecordedModel

        return RecordedModel(rest, **given)
    if (opened := plugin("models", kind)) is not None:
        model: BaseChatModel = opened(rest, **given)
        return model
    return _open_hosted(name, given)


_LANGCHAIN = {
    "azure_openai": "azure",
    "bedrock_converse": "bedrock",
    "fireworks": "fireworks_ai",
    "google_genai": "gemini",
    "google_vertexai": "vertex_ai",
    "huggingface": "hf",
    "mistralai": "mistral",
    "together": "together_ai",
}
"""Providers that have another name in LangChain's `init_chat_model`."""


def _with_slash(name: str) -> str:
    """Convert LangChain's notation `provider:model` to one with a slash; other names are returned unchanged."""
    provider, colon, model = name.partition(":")
    if not colon or not model or "/" in provider or not provider.replace("_", "").isalnum():
        return name
    return f"{_LANGCHAIN.get(provider, provider)}/{model}"


def _open_hosted(name: str, options: JsonObject) -> HostedChat:
    """Create a hosted model, after checking that LiteLLM knows the provider and its key is set, before any request.

    Raises:
        ModelNotFound: no such provider.
        MissingKey: names the environment variables that are missing.
    """
    from agentkit.models.litellm import LiteLLMChat
    from agentkit.models.pricing import load_litellm

    litellm = load_litellm()
    try:
        _model, provider, _key, _base = litellm.get_llm_provider(name, api_base=options.get("api_base"))
    except Exception as error:
        near = did_you_mean(name.partition("/")[0], ["local", "hf", "replay", *map(_text, litellm.provider_list)])
        raise ModelNotFound(
            f"unknown model {name!r}: no such provider{near}; use provider/model, local/NAME or hf/REPO"
        ) from error
    if options.get("api_base"):  # your own server need not have keys, but clients insist on one
        key_name = f"{provider.upper()}_API_KEY"
        options = {"api_key": os.environ.get(key_name) or "none", **options}
    elif not options.get("api_key"):
        needed = litellm.validate_environment(name)
        if missing := needed.get("missing_keys"):
            raise MissingKey(f"{name} needs {' and '.join(missing)} in the environment (provider {provider})")
    if name.startswith("openai/"):
        from agentkit.models.openai import OpenAIChat

        return _made(OpenAIChat, name, options)
    return _made(LiteLLMChat, name, options)


def _text(provider: object) -> str:
    return str(getattr(provider, "value", provider))


def _check_options(kind: type[BaseChatModel], name: str, options: Mapping[str, Any]) -> None:
    for option in options:
        if option not in kind.model_fields:
            raise UserError(f"{name} has no option {option!r}{did_you_mean(option, kind.model_fields)}")


def _made(kind: type[Made], name: str, options: Mapping[str, Any]) -> Made:
    """Raises UserError: an option that this kind of model does not have, or a value of the wrong type."""
    _check_options(kind, name, options)
    try:
        return kind(full_name=name, **options)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{name}: option {'.'.join(map(str, first['loc']))!r}: {first['msg']}") from None


def options_for(name: object, options: Mapping[str, Any]) -> dict[str, Any]:
    """The subset of an agent's model options that applies to one model: none to an object, and no `api_base` to a local
    one."""
    if not isinstance(name, str):
        return {}
    here = name.partition("/")[0] in ("local", "hf", "replay")
    return {key: value for key, value in options.items() if not (here and key == "api_base")}
