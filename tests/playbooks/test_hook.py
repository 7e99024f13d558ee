"""A playbook in a model or graph that AgentKit did not write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from agentkit.playbooks import Add, Delta, PlaybookHook
from agentkit.store import Store
from agentkit.testing import ScriptedModel


def echo(messages: list[Any], tools: list[str]) -> str:
    return "\n".join(message.text for message in messages)


def hook(store: Store) -> PlaybookHook:
    made = PlaybookHook.open(store, "support", gate="off")
    operations = (Add(content="Greet people by name."), Add(content="Say when a parcel left."))
    made.book.apply(Delta(key="k", base=0, operations=operations))
    return made


def test_a_model_reads_the_playbook_before_the_question(store: Store) -> None:
    text = hook(store).attach(ScriptedModel(echo)).invoke("Where is my parcel?").text
    assert "Greet people by name." in text and text.endswith("Where is my parcel?")


def test_it_joins_an_existing_system_message_and_takes_prompts(store: Store) -> None:
    made = hook(store)
    found = made.add([SystemMessage("You help."), HumanMessage("Hi")])
    assert found[0].text.startswith("You help.\n\n<playbook>\n") and len(found) == 2
    prompt = ChatPromptTemplate.from_messages([("system", "You help {who}."), ("human", "{question}")])
    chain = prompt | made.prompt() | ScriptedModel(echo)
    assert "Say when a parcel left." in chain.invoke({"who": "Ada", "question": "Hello?"}).text


def test_an_empty_playbook_changes_nothing(tmp_path: Path) -> None:
    made = PlaybookHook.open(tmp_path / "x.db")
    assert made.add("Hi") == [HumanMessage("Hi")]
    made.book.store.close()


async def test_it_grows_from_feedback_once_a_run(store: Store) -> None:
    made = hook(store)
    reflection = {
        "error": "no date",
        "cause": "c",
        "approach": "a",
        "lessons": [{"content": "Name the day on which a parcel arrives."}],
        "judgements": [],
    }
    model = ScriptedModel([reflection])
    for _ in range(2):
        learnt = await made.learn(
            "Where is it?", "Soon.", score=0.0, text="no date", model=model, run_id="r1", untrusted=False
        )
    assert learnt.status == "applied" and model.calls == 1
    assert "Name the day" in made.add("Where is my parcel?")[0].text


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


async def test_a_langgraph_node_uses_it(store: Store) -> None:
    model = hook(store).attach(ScriptedModel(echo))
    graph: Any = StateGraph(State)
    graph.add_node("answer", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    done = graph.compile().invoke({"messages": [HumanMessage("Where is my parcel?")]})
    assert "Greet people by name." in done["messages"][-1].text
