"""`local/` on a model that is made here: what its answers are put together from, and what refuses them."""

from __future__ import annotations

from typing import Any

import pytest

from agentkit.errors import ContextOverflow, ModelError
from agentkit.models import load_model
from tests.models.tiny_gguf import make_tiny_gguf

pytest.importorskip("xllamacpp", reason="the local extra is not installed")
pytest.importorskip("gguf", reason="the hf extra is not installed")


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_model(make_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf"), n_ctx=1024, n_threads=1)


def test_an_answer_put_together_from_chunks_is_that_of_a_call_without_a_stream(chat: Any) -> None:
    server = chat._server()
    body = {
        "messages": [{"role": "user", "content": "Tell."}], "max_tokens": 8, "temperature": 0, "seed": 0,
        "logprobs": True, "top_logprobs": 2, "grammar": "root ::= [a-z]+",
    }  # fmt: skip
    whole, joined = server._server.handle_chat_completions(body), server.complete(body)
    (wanted,), (found,) = whole["choices"], joined["choices"]
    assert len(found["message"]["content"]) > 1
    assert found["message"]["content"] == wanted["message"]["content"]
    assert found["finish_reason"] == wanted["finish_reason"]
    assert joined["usage"]["total_tokens"] == whole["usage"]["total_tokens"]
    told = [[item["token"] for item in choice["logprobs"]["content"]] for choice in (found, wanted)]
    assert told[0] == told[1] != []


async def test_all_ways_to_ask_give_one_answer(chat: Any) -> None:
    given: Any = {
        "max_tokens": 6,
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"enum": ["a"]}}},
    }
    texts = [
        chat.invoke("Tell.", **given).text,
        (await chat.ainvoke("Tell.", **given)).text,
        "".join(chunk.text for chunk in chat.stream("Tell.", **given)),
        "".join([chunk.text async for chunk in chat.astream("Tell.", **given)]),
    ]
    assert texts == [texts[0]] * 4


async def test_a_prompt_that_is_too_long_and_a_request_that_is_refused_are_errors_of_ours(chat: Any) -> None:
    with pytest.raises(ContextOverflow, match="1024"):
        await chat.ainvoke("q" * 3_000)
    with pytest.raises(ContextOverflow, match="1024"):
        next(chat.stream("z" * 3_000))
    with pytest.raises(ModelError):
        await chat.ainvoke("Tell.", seed="no number")
