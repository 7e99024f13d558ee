"""An existing LangGraph graph that starts to use a playbook: only three lines are new, and they are marked.

Run it with  python examples/playbook_in_langgraph.py . It needs no model: a scripted one stands in for yours.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from agentkit.playbooks import PlaybookHook
from agentkit.testing import ScriptedModel


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def script(messages: list[Any], tools: list[str]) -> Any:
    """A scripted model: it answers well once the playbook says how, and as a reflector it finds the lesson."""
    text = "\n".join(message.text for message in messages)
    if "You study how an agent solved a task" in text:
        lesson = {"content": "When asked for a parcel, name the day on which it arrives.", "scope": "parcels"}
        return {"error": "no day", "cause": "vague", "approach": "name the day", "lessons": [lesson], "judgements": []}
    return "It arrives on Tuesday." if "name the day" in text else "It is on its way."


async def main(folder: Path) -> list[str]:
    """Answer, learn from the feedback, answer again; returns both answers."""
    model: Any = ScriptedModel(script)
    hook = PlaybookHook.open(folder / "agentkit.db", "support", gate="off")  # new; untested, to be quick
    answering = hook.attach(model)  # new

    graph: Any = StateGraph(State)
    graph.add_node("answer", lambda state: {"messages": [answering.invoke(state["messages"])]})
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    app = graph.compile()

    question, answers = "Where is my parcel?", []
    for _ in range(2):
        answer = app.invoke({"messages": [HumanMessage(question)]})["messages"][-1].text
        answers.append(answer)
        good = 1.0 if "Tuesday" in answer else 0.0
        await hook.learn(question, answer, score=good, model=model, text="says no day", untrusted=False)  # new
    hook.book.store.close()
    return answers


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print("\n".join(asyncio.run(main(Path(folder)))))
