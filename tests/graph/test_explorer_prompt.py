"""What changes least stands first in the explorer's prompt, so that prefix caches keep it."""

from __future__ import annotations

from agentkit.protocols import Block
from agentkit.roles.explorer import explorer_messages
from agentkit.tasks import Task


def test_the_system_message_is_the_same_for_every_task_whatever_cases_it_is_given() -> None:
    playbook = Block(kind="playbook", target="playbook:p", version=1, text="[b1] Mind the units.")
    prompts = [
        explorer_messages(
            Task(id=name, input=f"task {name}"),
            [playbook, Block(kind="cases", target="policy:m", version=1, text=f"case {name}")],
        )
        for name in ("one", "two")
    ]
    assert prompts[0][0].text == prompts[1][0].text and "Mind the units." in prompts[0][0].text
    assert prompts[0][1].text == "<cases>\ncase one\n</cases>\n\n<task>\ntask one\n</task>"


def test_two_blocks_of_one_kind_are_both_shown() -> None:
    books = [Block(kind="playbook", target=f"playbook:{name}", version=1, text=name) for name in ("first", "second")]
    system = explorer_messages(Task(id="t", input="task"), books)[0].text
    assert "<playbook>\nfirst\n</playbook>\n\n<playbook>\nsecond\n</playbook>" in system


def test_solved_tasks_are_turns_of_the_chat_before_the_task() -> None:
    shown = Block(kind="cases", target="policy:m", version=1, text="", turns=(("two?", "2"), ("three?", "3")))
    messages = explorer_messages(Task(id="t", input="four?", instructions="Count."), [shown])
    assert [message.type for message in messages] == ["system", "human", "ai", "human", "ai", "human"]
    assert [message.text for message in messages] == ["Count.", "two?", "2", "three?", "3", "four?"]


def test_a_solved_task_before_one_with_choices_is_answered_in_the_form_of_its_answer() -> None:
    shown = Block(kind="cases", target="memory:m", version=1, text="", turns=(("red?", "no"),))
    task = Task(id="t", input="blue?", choices=("yes", "no"))
    assert [message.text for message in explorer_messages(task, [shown])] == ["red?", '{"answer": "no"}', "blue?"]
    free = task.model_copy(update={"choices": None})
    assert explorer_messages(free, [shown])[1].text == "no"
