"""An agent is a LangChain Runnable: a step of a chain, a node of a graph, one run one nested trace."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypedDict
from unittest import mock
from uuid import UUID

import pytest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from langgraph.graph import END, START, StateGraph

from agentkit.agent import Agent, RunArguments, StreamArguments
from agentkit.aio import run_sync
from agentkit.confidence import Assessor
from agentkit.errors import DataError
from agentkit.graph.events import RunEnded, Words
from agentkit.models.base import atell
from agentkit.models.streams import StreamReader
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel


class Trace(BaseCallbackHandler):
    """Who was started by whom."""

    def __init__(self) -> None:
        self.parents: dict[UUID, UUID | None] = {}
        self.kinds: dict[UUID, str] = {}

    def on_chain_start(self, *args: Any, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        self.parents[run_id], self.kinds[run_id] = parent_run_id, str(kwargs.get("name"))

    def on_chat_model_start(self, *args: Any, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        self.parents[run_id], self.kinds[run_id] = parent_run_id, "model"

    def root_of(self, run: UUID) -> UUID:
        while (parent := self.parents.get(run)) is not None:
            run = parent
        return run


@pytest.fixture
def agent(store: Store) -> Iterator[Agent]:
    with Agent(ScriptedModel(["four"]), tools=[], store=store) as opened:
        yield opened


def roots(trace: Trace) -> set[UUID]:
    return {trace.root_of(run) for run in trace.parents}


def test_a_run_is_one_nested_trace_with_the_model_in_it(agent: Agent) -> None:
    assert isinstance(agent, Runnable)
    trace = Trace()
    result = agent.invoke("two and two?", {"callbacks": [trace], "run_name": "sum"})
    assert result.answer == "four"
    [root] = roots(trace)
    assert trace.kinds[root] == "sum"
    assert "model" in trace.kinds.values()


async def test_so_is_one_that_is_awaited_or_streamed(agent: Agent) -> None:
    awaited, streamed = Trace(), Trace()
    assert (await agent.ainvoke({"input": "?"}, {"callbacks": [awaited]})).answer == "four"
    events = [event async for event in agent.astream("?", {"callbacks": [streamed]})]
    assert isinstance(events[-1], RunEnded)
    for trace in (awaited, streamed):
        assert len(roots(trace)) == 1 and "model" in trace.kinds.values()


class Written(ScriptedModel):
    """Writes its answer word by word, and tells how sure it was."""

    tells_logprobs: bool = True

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        reader = StreamReader("test/written")
        for number, piece in enumerate(self.replies):
            told = {"token": piece, "logprob": -0.1 * (number + 1), "top_logprobs": []}
            choice = {"delta": {"content": piece}, "finish_reason": None, "logprobs": {"content": [told]}}
            chunk = reader.read({"choices": [choice]})
            assert chunk is not None
            await atell(run_manager, chunk)
            yield chunk
        yield reader.end(None)


@pytest.fixture
def writer(store: Store) -> Iterator[Agent]:
    with Agent(Written(["two", " and", " two"]), tools=[], store=store) as opened:
        yield opened


def test_a_stream_gives_words_as_they_are_written_and_every_event_is_json(writer: Agent) -> None:
    events = [json.loads(json.dumps(event.to_json())) for event in writer.stream("?")]
    answer = ""
    for event in events:
        if event["type"] == "words":
            answer = answer[: event["at"]] + event["text"]
    assert answer == events[-1]["answer"] == "two and two"
    assert sum(event["type"] == "words" for event in events) == 3


def test_a_streamed_answer_s_log_probabilities_are_kept(writer: Agent) -> None:
    list(writer.stream("?"))
    [call] = writer.log.steps(writer.log.runs()[0].id).model_calls
    assert call["response"]["logprobs"]["fields"][""]["total"] == pytest.approx(-0.6)


def test_an_answer_that_may_be_declined_is_not_told_before_it_is_judged(writer: Agent) -> None:
    told: list[str] = []
    with mock.patch.object(Agent, "assessor", return_value=Assessor(floor=0.9)):
        run_sync(writer.arun("?", on_words=told.append))
    assert told == []


async def test_langchain_s_and_langgraph_s_streams_reach_the_tokens(writer: Agent) -> None:
    events = [event async for event in writer.astream_events("?", version="v2")]
    pieces = [event["data"]["chunk"].text for event in events if event["event"] == "on_chat_model_stream"]
    assert [piece for piece in pieces if piece] == ["two", " and", " two"]
    assert any(isinstance(event["data"].get("chunk"), Words) for event in events)

    class State(TypedDict):
        said: str

    async def node(state: State) -> State:
        return {"said": (await writer.ainvoke(state["said"])).answer or ""}

    graph = StateGraph(State).add_node("ask", node).add_edge(START, "ask").add_edge("ask", END).compile()
    stream = graph.astream({"said": "?"}, stream_mode="messages", subgraphs=True)
    told = [message.text async for _place, (message, _about) in stream]
    assert [piece for piece in told if piece] == ["two", " and", " two"]


def test_it_is_a_step_of_a_chain_whether_called_or_streamed(agent: Agent) -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Count."), ("human", "{what}?")])
    chain = prompt | agent | (lambda result: result.answer.upper())
    assert chain.invoke({"what": "two"}) == "FOUR"
    assert list(chain.stream({"what": "two"})) == ["FOUR"]
    [first, _] = agent.log.runs()
    assert (first.task.input, first.task.instructions) == ("two?", "Count.")


def test_several_at_once_come_in_their_order(agent: Agent) -> None:
    results = agent.batch(["a", Task(id="b", input="b")])
    assert [result.task_id for result in results] == ["task", "b"]


def test_it_is_a_node_of_a_graph_that_has_a_thread_of_its_own(agent: Agent) -> None:
    class State(TypedDict):
        said: str

    async def node(state: State) -> State:
        return {"said": (await agent.ainvoke(state["said"])).answer or ""}

    graph = StateGraph(State).add_node("ask", node).add_edge(START, "ask").add_edge("ask", END).compile()
    import asyncio

    assert asyncio.run(graph.ainvoke({"said": "?"}, {"configurable": {"thread_id": "theirs"}})) == {"said": "four"}
    [run] = agent.log.runs()
    assert run.status == "done" and run.id != "theirs"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"question": "?"}, "not a task: input"),
        ([HumanMessage("a"), AIMessage("b"), HumanMessage("c")], "runs have no memory of a conversation"),
        ([SystemMessage("a")], "one user message"),
    ],
)
def test_what_is_no_task_is_one_line(agent: Agent, asked: Any, why: str) -> None:
    with pytest.raises(DataError, match=why):
        agent.invoke(asked)


def test_every_way_of_calling_an_agent_takes_what_arun_takes() -> None:
    taken = set(inspect.signature(Agent.arun).parameters) - {"self", "task"}
    assert taken == set(RunArguments.__optional_keys__)
    assert taken - {"on_event", "on_words"} == set(StreamArguments.__optional_keys__)


def test_an_argument_that_is_not_there_is_refused(store: Store) -> None:
    with Agent(ScriptedModel([]), store=store) as agent, pytest.raises(TypeError, match="lables"):
        agent.run("Hello?", lables="gold")  # type: ignore[call-arg]
