"""OpenAI's own client and LangChain's talk to a real `agentkit serve` process."""

from __future__ import annotations

import asyncio
import functools
import json
import operator
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import httpx
import openai
import pytest
from pydantic import BaseModel

from agentkit.store import Store
from agentkit.store.run_log import RunLog
from tests.server.conftest import KEY, Served, launch
from tests.server.provider import Provider, provider
from tests.test_files import ENCODED

STOCK: Any = {
    "type": "function",
    "function": {
        "name": "stock",
        "description": "How many of an article are in the warehouse.",
        "parameters": {"type": "object", "properties": {"article": {"type": "string"}}, "required": ["article"]},
    },
}
FLAT: Any = {"type": "function", **STOCK["function"], "strict": True}
LEFT: list[Any] = [{"role": "user", "content": "How many lamps are left in the warehouse?"}]
WORDS: list[Any] = [{"role": "user", "content": "Say a few words."}]


class Letter(BaseModel):
    """What a letter is about."""

    topic: Literal["delivery", "refund"]
    urgent: bool


def say(request: dict[str, Any]) -> str | tuple[str, dict[str, Any]]:
    """A model that calls a tool once, follows a form, and speaks otherwise."""
    text = json.dumps(request["messages"])
    form = next((tool["function"]["parameters"] for tool in request.get("tools") or () if _is_answer(tool)), {})
    if form:
        return "answer", _filled(form)
    if request.get("tools") and not any(message["role"] == "tool" for message in request["messages"]):
        return "stock", {"article": "lamp"}
    return "There are 42 lamps left." if "42 pieces" in text else "a few words, and then some"


def _is_answer(tool: dict[str, Any]) -> bool:
    return bool(tool["function"]["name"] == "answer")


def _filled(form: dict[str, Any]) -> dict[str, Any]:
    known = {"topic": "refund", "urgent": True, "article": "chair"}
    if "call" in form["properties"]:
        return {"call": {"name": "stock", "arguments": {"article": "chair"}}}
    return {name: known[name] for name in form["properties"]}


@pytest.fixture(scope="module")
def model() -> Iterator[Provider]:
    with provider(say) as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def served(model: Provider, home: str) -> Iterator[Served]:
    made = launch(
        model, key=f"another key of the same server, {KEY}", HOME=home, AGENTKIT_HOME=home, XDG_CONFIG_HOME=home
    )
    yield made
    made.kill()
    made.process.communicate()


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.address}/v1", api_key=KEY, max_retries=0) as made:
        yield made


@pytest.fixture
def log(home: str, served: Served) -> Iterator[RunLog]:
    store = Store.open(f"{home}/agentkit.db")
    yield RunLog(store)
    store.close()


def test_a_question_is_a_run_whose_id_stands_in_a_header(client: openai.OpenAI, log: RunLog) -> None:
    raw = client.chat.completions.with_raw_response.create(model="agentkit", messages=WORDS, temperature=0.3, seed=7)
    answer = raw.parse()
    assert answer.choices[0].message.content == "a few words, and then some"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.total_tokens == 15
    record = log.get(raw.headers["x-agentkit-run"])
    assert (record.status, record.answer) == ("done", "a few words, and then some")
    assert record.task.input == "Say a few words."
    assert (record.options["run"]["temperature"], record.options["run"]["seed"]) == (0.3, 7)
    assert answer.id == f"chatcmpl-{record.id}"


def test_images_of_the_client_reach_a_model_that_sees(client: openai.OpenAI, model: Provider, log: RunLog) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{ENCODED}"}}
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "How much is it?"}, image]}]
    raw = client.chat.completions.with_raw_response.create(model="agentkit", messages=messages)
    assert image in model.requests[-1]["messages"][-1]["content"]
    task = log.get(raw.headers["x-agentkit-run"]).task
    assert task.input == "How much is it?" and [file.media_type for file in task.files] == ["image/png"]


def test_instructions_and_what_was_said_before_reach_the_model(client: openai.OpenAI, model: Provider) -> None:
    turns: list[Any] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": [{"type": "text", "text": "What is my name?"}]},
    ]
    client.chat.completions.create(model="agentkit", messages=turns)
    sent = model.requests[-1]["messages"]
    assert (sent[0]["role"], sent[0]["content"]) == ("system", "Be kind.")
    said = "The conversation so far:\nUser: My name is Ada.\nYou: Hello Ada.\n\nThe user now says:\nWhat is my name?"
    assert sent[1]["content"] == said


def test_words_of_a_stream_come_as_they_are_written(client: openai.OpenAI, model: Provider) -> None:
    model.on.clear()
    stream = client.chat.completions.create(
        model="agentkit", messages=WORDS, stream=True, stream_options={"include_usage": True}
    )
    chunks = [next(stream), next(stream)]
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "a"]  # the model has not written more yet
    model.on.set()
    chunks += list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(piece or "" for piece in pieces) == "a few words, and then some"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 15


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_of_the_client_is_called_and_its_run_goes_on_with_the_result(
    streamed: bool, client: openai.OpenAI, log: RunLog
) -> None:
    if streamed:
        with client.chat.completions.stream(model="agentkit", messages=LEFT, tools=[STOCK]) as stream:
            asked: Any = stream.get_final_completion()
    else:
        asked = client.chat.completions.create(model="agentkit", messages=LEFT, tools=[STOCK])
    assert asked.choices[0].finish_reason == "tool_calls"
    [call] = asked.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("stock", {"article": "lamp"})
    run_id = asked.id.removeprefix("chatcmpl-")
    assert log.get(run_id).status == "waiting"
    turns = [*LEFT, asked.choices[0].message.model_dump(exclude_none=True)]
    turns.append({"role": "tool", "tool_call_id": call.id, "content": "42 pieces"})
    for _ in range(2):  # a client that asks again gets the same answer of the same run
        done = client.chat.completions.create(model="agentkit", messages=turns, tools=[STOCK])
        assert done.id == asked.id
        assert done.choices[0].message.content == "There are 42 lamps left."
    assert [call.result for call in log.tool_calls(run_id)] == ["42 pieces"]
    assert len(log.steps(run_id).model_calls) == 2


def test_results_of_calls_that_another_server_made_are_part_of_the_conversation(client: openai.OpenAI) -> None:
    call = {"id": "call_abc", "type": "function", "function": {"name": "stock", "arguments": '{"article": "lamp"}'}}
    turns: list[Any] = [*LEFT, {"role": "assistant", "content": None, "tool_calls": [call]}]
    turns.append({"role": "tool", "tool_call_id": "call_abc", "content": "42 pieces"})
    done = client.chat.completions.create(model="agentkit", messages=turns)
    assert done.choices[0].message.content == "There are 42 lamps left."


@pytest.mark.parametrize("choice", [{"type": "function", "function": {"name": "stock"}}, "required"])
def test_a_call_that_the_client_demands_is_made(choice: Any, client: openai.OpenAI) -> None:
    other = {**STOCK, "function": {**STOCK["function"], "name": "price"}}
    tools = [STOCK, other] if choice == "required" else [STOCK]
    done: Any = client.chat.completions.create(model="agentkit", messages=LEFT, tools=tools, tool_choice=choice)
    [call] = done.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("stock", {"article": "chair"})


def test_an_answer_has_the_form_that_was_asked_for(client: openai.OpenAI) -> None:
    done = client.chat.completions.parse(model="agentkit", messages=WORDS, response_format=Letter)
    assert done.choices[0].message.parsed == Letter(topic="refund", urgent=True)
    response = client.responses.parse(model="agentkit", input="A letter came.", text_format=Letter)
    assert response.output_parsed == Letter(topic="refund", urgent=True)


def test_responses_answer_stream_and_hand_calls_over(client: openai.OpenAI, model: Provider) -> None:
    answer = client.responses.create(model="agentkit", input="Say a few words.", instructions="Be kind.")
    assert (answer.status, answer.output_text) == ("completed", "a few words, and then some")
    assert answer.usage is not None and answer.usage.total_tokens == 15
    assert client.responses.retrieve(answer.id).output_text == answer.output_text
    model.on.clear()
    with client.responses.stream(model="agentkit", input="Say a few words.") as stream:
        kinds = []
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                model.on.set()
        assert stream.get_final_response().output_text == "a few words, and then some"
    assert kinds.count("response.output_text.delta") > 1
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    asked: Any = client.responses.create(model="agentkit", input=LEFT[0]["content"], tools=[FLAT])
    [call] = asked.output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "stock", {"article": "lamp"})
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "42 pieces"}
    done = client.responses.create(model="agentkit", previous_response_id=asked.id, input=[result], tools=[FLAT])
    assert (done.id, done.output_text) == (asked.id, "There are 42 lamps left.")


def test_a_stream_of_responses_hands_calls_over(client: openai.OpenAI) -> None:
    with client.responses.stream(model="agentkit", input=LEFT[0]["content"], tools=[FLAT]) as stream:
        [call] = stream.get_final_response().output
    assert call.type == "function_call" and json.loads(call.arguments) == {"article": "lamp"}


def test_a_response_goes_on_from_an_earlier_one_with_what_that_one_read(
    client: openai.OpenAI, model: Provider, log: RunLog
) -> None:
    first = client.responses.create(model="agentkit", input="My name is Ada.", metadata={"source": "mail"})
    second = client.responses.create(model="agentkit", input="What is my name?", previous_response_id=first.id)
    sent = model.requests[-1]["messages"][-1]["content"]
    assert sent.startswith("The conversation so far:\nUser: My name is Ada.\nYou: a few words")
    assert log.get(second.id.removeprefix("resp_")).task.source == "mail"
    third = client.responses.create(model="agentkit", input="And now?", previous_response_id=second.id)
    assert model.requests[-1]["messages"][-1]["content"].count("User:") == 2
    assert third.previous_response_id == second.id


def test_a_response_in_the_background_can_be_fetched_when_it_is_there(client: openai.OpenAI) -> None:
    begun = client.responses.create(model="agentkit", input="Say a few words.", background=True)
    assert begun.status == "in_progress"
    for _ in range(600):
        found = client.responses.retrieve(begun.id)
        if found.status != "in_progress":
            break
    assert (found.status, found.output_text) == ("completed", "a few words, and then some")


def test_the_same_idempotency_key_is_the_same_run(client: openai.OpenAI) -> None:
    def ask(words: list[Any]) -> Any:
        headers = {"Idempotency-Key": "a-7"}
        return client.chat.completions.create(model="agentkit", messages=words, extra_headers=headers)

    assert ask(WORDS).id == ask(WORDS).id
    with pytest.raises(openai.BadRequestError, match="was used for another request"):
        ask(LEFT)


def test_sixty_four_clients_at_once_are_sixty_four_runs(client: openai.OpenAI, log: RunLog) -> None:
    before = len(log.runs(limit=None))

    def ask(number: int) -> str | None:
        words: list[Any] = [{"role": "user", "content": f"Say a few words about page {number}."}]
        if number % 2:
            return client.chat.completions.create(model="agentkit", messages=words).choices[0].message.content
        stream = client.chat.completions.create(model="agentkit", messages=words, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(ask, range(64)))
    assert set(answers) == {"a few words, and then some"}
    runs = log.runs(limit=None)
    assert len(runs) == before + 64
    assert {run.status for run in runs[:64]} == {"done"}


def test_feedback_is_taken_and_measured(client: openai.OpenAI, served: Served) -> None:
    done = client.chat.completions.with_raw_response.create(model="agentkit", messages=WORDS)
    run_id = done.headers["x-agentkit-run"]
    with httpx.Client(base_url=served.address, headers={"Authorization": f"Bearer {KEY}"}) as http:
        _check_feedback(http, run_id)


def _check_feedback(http: httpx.Client, run_id: str) -> None:
    taught = http.post(f"/runs/{run_id}/feedback", json={"score": 0, "answer": "other words", "by": "ada"})
    settled = {"score": 0.0, "correction": "other words", "text": "", "by": "ada", "channel": "user"}
    assert taught.json()["settled"] == settled
    assert http.get(f"/runs/{run_id}").json()["answer"] == "a few words, and then some"
    label = http.post(f"/runs/{run_id}/feedback", json={"score": 1, "by": "label"})
    assert (label.status_code, label.json()["error"]["param"]) == (400, "by")
    assert http.get("/health").json() == {"status": "ok", "runs": 0}
    counted = http.get("/metrics").text
    assert "agentkit_feedback_total 1" in counted
    assert 'agentkit_requests_total{route="/runs",status="400"} 1' in counted
    assert 'agentkit_runs_total{status="done"}' in counted and "agentkit_run_seconds_count" in counted


def test_the_model_is_listed_and_no_other_is_there(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["agentkit"]
    assert client.models.retrieve("agentkit").owned_by == "agentkit"
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-5'"):
        client.chat.completions.create(model="gpt-5", messages=WORDS)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"stop": "x"}, "stop"),
        ({"temperature": 9}, "temperature"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "no"}}}},
            "response_format",
        ),
        ({"tools": [STOCK], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages.0.content",
        ),
        ({"messages": [{"role": "system", "content": "Be kind."}]}, "messages"),
        ({"tools": [{**STOCK, "function": {"name": "calculator"}}]}, None),
    ],
)
def test_what_can_t_be_done_is_said_in_the_shape_of_openai_s_errors(
    more: dict[str, Any], param: str | None, client: openai.OpenAI, log: RunLog
) -> None:
    before = len(log.runs(limit=None))
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(**{"model": "agentkit", "messages": WORDS, **more})
    assert raised.value.param == param
    assert raised.value.type == "invalid_request_error"
    assert len(log.runs(limit=None)) == before


def test_fields_that_change_nothing_are_named(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="agentkit", messages=WORDS, max_completion_tokens=5, top_p=0.5
    )
    assert raw.headers["x-agentkit-ignored"] == "max_completion_tokens, top_p"


def test_a_wrong_key_opens_nothing(served: Served) -> None:
    other = openai.OpenAI(base_url=f"{served.address}/v1", api_key="a key of somebody else", max_retries=0)
    with other, pytest.raises(openai.AuthenticationError) as raised:
        other.models.list()
    assert raised.value.code == "invalid_api_key"
    for path in ("/metrics", "/runs/x", "/v1/models"):
        assert httpx.get(served.address + path).status_code == 401
    assert httpx.get(served.address + "/health").status_code == 200


def test_a_failing_provider_is_an_error_that_says_whether_to_ask_again(client: openai.OpenAI, model: Provider) -> None:
    model.fail = [401]
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="agentkit", messages=WORDS)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert raised.value.response.headers["x-agentkit-run"]
    model.fail = [401]
    with pytest.raises(openai.APIError, match="m"):
        list(client.chat.completions.create(model="agentkit", messages=WORDS, stream=True))


def test_langchain_s_client_asks_streams_calls_tools_and_keeps_to_a_form(served: Served, model: Provider) -> None:
    langchain_openai = pytest.importorskip("langchain_openai", reason="the package langchain-openai is not installed")
    chat = langchain_openai.ChatOpenAI(base_url=f"{served.address}/v1", api_key=KEY, model="agentkit", max_retries=0)
    assert chat.invoke("Say a few words.").content == "a few words, and then some"
    assert "".join(chunk.text for chunk in chat.stream("Say a few words.")) == "a few words, and then some"
    [*pieces] = chat.bind_tools([STOCK]).stream(LEFT)
    streamed = functools.reduce(operator.add, pieces)
    assert [(call["name"], call["args"]) for call in streamed.tool_calls] == [("stock", {"article": "lamp"})]
    called = chat.bind_tools([STOCK]).invoke(LEFT)
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [("stock", {"article": "lamp"})]
    result = {"role": "tool", "tool_call_id": called.tool_calls[0]["id"], "content": "42 pieces"}
    assert chat.bind_tools([STOCK]).invoke([*LEFT, called, result]).content == "There are 42 lamps left."
    for method in ("json_schema", "function_calling"):
        assert chat.with_structured_output(Letter, method=method).invoke("A letter came.") == Letter(
            topic="refund", urgent=True
        )
    with pytest.raises(openai.NotFoundError):
        chat.bind(model="other").invoke("Say a few words.")
    model.fail = [401]
    with pytest.raises(openai.APIError):
        list(chat.stream("Say a few words."))
    newer = langchain_openai.ChatOpenAI(
        base_url=f"{served.address}/v1",
        api_key=KEY,
        model="agentkit",
        max_retries=0,
        use_responses_api=True,
    )
    assert newer.invoke("Say a few words.").text == "a few words, and then some"
    assert asyncio.run(newer.ainvoke("Say a few words.")).text == "a few words, and then some"
