"""What `agentkit models serve` makes of a model whose own chat template shows calls of tools in another form."""

from __future__ import annotations

import pytest
from jinja2 import Environment
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from agentkit.models import load_model
from agentkit.models.catalog import catalog, chat_template
from tests.models.conformance import SMALL, need


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def render(*messages: dict[str, object], tools: list[dict[str, object]] | None = None) -> str:
    template = Environment(trim_blocks=True, lstrip_blocks=True).from_string(chat_template(SMALL))
    return template.render(messages=messages, tools=tools, add_generation_prompt=True)


def test_every_template_of_the_catalog_is_there_and_files_keep_their_own() -> None:
    assert {name for name in catalog() if chat_template(name)} == {SMALL, "qwen2.5-coder-0.5b"}
    assert chat_template("some/model.gguf") == ""


def test_without_tools_the_template_is_plain_chatml() -> None:
    asked = render({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"})
    assert asked == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2 + 2?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_tools_their_calls_and_their_results_are_shown() -> None:
    call = {"function": {"name": "multiply", "arguments": {"a": 2, "b": 3}}}
    asked = render(
        {"role": "user", "content": "2 * 3?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "6"},
        tools=[{"type": "function", "function": {"name": "multiply"}}],
    )
    assert '<tools>\n{"function": {"name": "multiply"}, "type": "function"}\n</tools>' in asked
    assert '<|im_start|>assistant\n```json\n{"name": "multiply", "arguments": {"a": 2, "b": 3}}\n```<|im_end|>' in asked
    assert "<|im_start|>user\n<tool_response>\n6\n</tool_response><|im_end|>\n" in asked


@pytest.mark.model
@pytest.mark.parametrize("choice", ["any", "auto"])
def test_a_served_coder_calls_a_tool_and_reads_its_result(choice: str) -> None:
    from agentkit.models.llamacpp import server_for, serving

    need(SMALL)
    address = server_for(serving(SMALL, n_ctx=2048)).address
    model = load_model(f"openai/{SMALL}", api_base=f"{address}/v1", api_key="none", max_tokens=100)
    question = HumanMessage("What is 318 times 64? Use the tool.")
    reply = model.bind_tools([multiply], tool_choice=choice).invoke([question])
    assert isinstance(reply, AIMessage)
    (call,) = reply.tool_calls
    assert (call["name"], call["args"]) == ("multiply", {"a": 318, "b": 64})
    result = ToolMessage("20352", tool_call_id=str(call["id"]))
    assert "20352" in model.invoke([question, reply, result]).text.replace(",", "")
