"""load_model: a chat model by its name."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel

from agentkit.errors import ModelNotFound


def load_model(name: str | BaseChatModel, **options: Any) -> BaseChatModel:
    """A chat model by its name; a model that is given is returned as it is.

    Args:
        name: `local/NAME` (of the catalog, or a path to a .gguf file; llama.cpp), `hf/REPO` (or a folder;
            transformers), `replay/FILE.jsonl` (recorded answers), or `provider/model` for LiteLLM.
        options: fields of the model's class, such as `temperature`, `seed`, `api_base`.

    Raises:
        ModelNotFound: no such model or provider.
        MissingKey: a hosted provider without its key.
        ModelFileError: a local model whose file is not there.
        MissingExtra: the `local` extra is not installed.
    """
    if isinstance(name, BaseChatModel):
        return name
    kind, _, rest = name.partition("/")
    if not rest:
        raise ModelNotFound(f"unknown model {name!r}: use provider/model, local/NAME, hf/REPO or replay/FILE")
    if kind == "local":
        from agentkit.models.catalog import model_file
        from agentkit.models.llamacpp import LlamaCppChat

        return LlamaCppChat(full_name=name, path=model_file(rest), **options)
    if kind == "hf":
        from agentkit.models.transformers import open_transformers

        return open_transformers(rest, **options)
    if kind == "replay":
        from agentkit.testing import RecordedModel

        return RecordedModel(rest, **options)
    from agentkit.models.litellm import open_hosted

    return open_hosted(name, **options)
