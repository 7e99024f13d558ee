"""What examples are made of, by which recipe, and what never becomes one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from agentkit.agent import Agent
from agentkit.errors import DataError, UserError
from agentkit.models.llamacpp import LlamaCppChat
from agentkit.settings import Settings
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel
from agentkit.training.collecting import Collector, of_daily_runs
from agentkit.training.examples import Attempt, in_form, read_examples, without_tasks, write_examples
from agentkit.training.recipes import (
    RECIPES,
    Calls,
    Edits,
    Hints,
    Own,
    Refine,
    Refinement,
    Tree,
    control_of,
    known_control,
    known_recipe,
)
from tests.models.tiny_gguf import make_tiny_gguf
from tests.training.small import example


def scripted(home: Path, said: Any, **options: Any) -> Agent:
    model = ScriptedModel(said, name="scripted")
    options = {"tools": [], "max_rounds": 1, "evaluate": False, **options}
    return Agent(model, settings=Settings(home=home, concurrency=1), store=f"sqlite:///{home}/a.db", **options)


def parity(messages: list[Any], names: list[str]) -> Any:
    """Right on even numbers alone."""
    return "even"


def questions(count: int, **more: Any) -> list[Task]:
    return [
        Task(id=str(n), input=f"even or odd: {n}", target="odd" if n % 2 else "even", checker="exact", **more)
        for n in range(count)
    ]


async def attempts_of(agent: Agent, tasks: list[Task], recipe: Any = RECIPES["edits"]) -> Any:
    return await Collector(agent, [], key="k").collect(tasks, recipe)


async def test_a_wrong_answer_is_corrected_by_the_target_and_a_right_one_is_kept(tmp_path: Path) -> None:
    with scripted(tmp_path, parity) as agent:
        found = await attempts_of(agent, questions(6))
    made = Edits().examples(found.attempts, [])
    assert [(item.answer, item.rejected, item.trust) for item in made] == [
        *[("odd", "even", "corrected")] * 3,
        *[("even", None, "own")] * 3,
    ]
    assert made[0].chat == (("user", "even or odd: 1"),) and made[0].source == "label" and made[0].run_id


async def test_own_right_answers_are_taken_and_wrong_ones_never(tmp_path: Path) -> None:
    with scripted(tmp_path, parity) as agent:
        found = await attempts_of(agent, questions(6))
    made = Own(attempts=1).examples(found.attempts, [])
    assert {item.answer for item in made} == {"even"} and len(made) == 3


async def test_runs_that_text_from_outside_could_have_shaped_become_no_examples(tmp_path: Path) -> None:
    with scripted(tmp_path, parity) as agent:
        found = await attempts_of(agent, questions(4, source="https://example.org/page"))
    assert found.attempts == [] and sum(found.skipped.values()) == 4
    assert "text from outside" in next(iter(found.skipped))


async def test_a_judging_model_s_word_makes_no_example(tmp_path: Path) -> None:
    def graded(messages: list[Any], names: list[str]) -> Any:
        return {"reason": "so it is", "score": 1.0} if "You grade answers" in messages[0].text else "even"

    tasks = [task.model_copy(update={"checker": "judge"}) for task in questions(3)]
    with scripted(tmp_path, graded) as agent:
        found = await attempts_of(agent, tasks)
    assert [(item.score, item.right, item.wrong) for (item,) in found.attempts] == [(None, False, False)] * 3
    assert Own(attempts=1).examples(found.attempts, []) == Edits().examples(found.attempts, []) == []


async def test_a_reply_that_was_cut_off_is_corrected_and_never_learnt(tmp_path: Path) -> None:
    cut = AIMessage("even", response_metadata={"finish_reason": "length"})
    with scripted(tmp_path, [cut]) as agent:
        found = await attempts_of(agent, questions(2))
    assert [(item.said, item.answer) for (item,) in found.attempts] == [("", "even")] * 2
    assert Own(attempts=1).examples(found.attempts, []) == []
    assert [(item.answer, item.rejected) for item in Edits().examples(found.attempts, [])] == [("odd", None)]


async def test_the_prompt_of_an_example_is_what_the_model_read(tmp_path: Path) -> None:
    seen: list[Any] = []

    def watch(messages: list[Any], names: list[str]) -> Any:
        seen.append([(message.type, message.content) for message in messages])
        return "even"

    with scripted(tmp_path, watch, instructions="Say which it is.") as agent:
        found = await attempts_of(agent, questions(1))
    assert found.attempts[0][0].chat == (("system", "Say which it is."), ("user", "even or odd: 0"))
    assert seen[0] == [("system", "Say which it is."), ("human", "even or odd: 0")]


async def test_daily_runs_that_a_person_corrected_are_examples(tmp_path: Path) -> None:
    with scripted(tmp_path, parity) as agent:
        runs = [await agent.arun(f"even or odd: {n}") for n in range(4)]
    with scripted(tmp_path, parity) as agent:
        agent.feedback(runs[1].run_id, answer="odd")
        agent.feedback(runs[2].run_id, score=1.0)
        made = Edits().examples(of_daily_runs(agent, agent.model_name).attempts, [])
    assert sorted((item.answer, item.source, item.trust) for item in made) == [
        ("even", "user", "own"),
        ("odd", "user", "corrected"),
    ]


def test_examples_of_held_out_tasks_are_left_out_and_each_content_is_there_once() -> None:
    task = Task(id="x", input="say 1")
    mine = [example(1), example(1), example(2)]
    assert [item.chat for item in without_tasks(mine, [])] == [example(1).chat, example(2).chat]
    attempt = Attempt(task=task, chat=(), said="a", answer="a", run_id="r", score=1.0, source="check")
    assert without_tasks([attempt.own()], [task.model_copy(update={"id": "other"})]) == []


def test_a_right_answer_is_written_as_the_model_would_have_to_write_it() -> None:
    assert in_form(Task(id="a", input="q", choices=("red", "blue")), "red") == '{"answer": "red"}'
    assert in_form(Task(id="a", input="q", schema={"type": "integer"}), "7") == "7"
    assert in_form(Task(id="a", input="q"), "seven") == "seven"


def test_tasks_that_are_always_solved_make_no_more_than_a_share() -> None:
    def tries(n: int, scores: list[float]) -> list[Attempt]:
        task = Task(id=str(n), input=str(n))
        return [
            Attempt(task=task, chat=(("user", str(n)),), said=f"{n}.{k}", answer="", run_id="", score=s, source="check")
            for k, s in enumerate(scores)
        ]

    given = [tries(1, [0, 1]), tries(2, [1, 1]), tries(3, [1, 1]), tries(4, [0, 0])]
    assert [item.answer for item in Own(easy=0.5).examples(given, [])] == ["1.1", "2.0"]


def test_controls_are_of_equal_size_and_hold_no_lesson() -> None:
    task = Task(id="t", input="t")
    rows = [
        [Attempt(task=task, chat=(("user", str(n)),), said=f"a{n}", answer="", run_id="", score=n % 2, source="check")]
        for n in range(40)
    ]
    mine = Own(attempts=1).examples(rows, [])
    mixed = control_of("shuffled", mine, rows, seed=1)
    assert [item.chat for item in mixed] == [item.chat for item in mine]
    assert all(one.answer != other.answer for one, other in zip(mixed, mine, strict=True))
    assert sorted(item.answer for item in mixed) == sorted(item.answer for item in mine)
    raw = control_of("unfiltered", mine, rows, seed=1)
    assert len(raw) == len(mine) and {int(item.answer[1:]) % 2 for item in raw} == {0, 1}
    assert raw == control_of("unfiltered", mine, rows, seed=1)
    with pytest.raises(UserError, match="needs 20 answers"):
        control_of("unfiltered", mine, rows[:3], seed=1)


async def test_a_hinted_answer_is_learnt_with_its_reasoning_and_without_the_hint(tmp_path: Path) -> None:
    def reasons(messages: list[Any], names: list[str]) -> Any:
        text = str(messages[-1].content)
        number = int(text.split("\n")[0].split()[-1])
        if "right answer is known" in text:
            return f"{number} leaves 1 when halved.\nAnswer: odd" if number != 3 else "It is known.\nAnswer: odd"
        return "It looks so.\nAnswer: even"

    with scripted(tmp_path, reasons, effort="reasoning") as agent:
        found = await attempts_of(agent, questions(6), Hints())
    made = Hints().examples(found.attempts, found.second)
    hinted = [item for item in made if "leaves 1" in item.answer]
    assert len(hinted) == 2 and len(made) == 5 and not any("known" in turn for item in made for _, turn in item.chat)
    assert found.skipped == {"its reasoning mentions the hint": 1}


def mends(messages: list[Any], names: list[str]) -> Any:
    """Says "even" to all; told of it, it finds what is wrong, and mends one part of an answer at a time."""
    text = str(messages[-1].content)
    number = int(text.split("\n")[0].split()[-1])
    if "what is wrong with it" in text:
        return "An odd number was taken for an even one."
    if "was not accepted" not in text:
        return "even"
    before = text.split("<answer>\n")[1].split("\n")[0]
    return {"even": "odd" if number != 5 else "eve", "eve": "od", "od": "odd"}[before]


async def test_a_refinement_that_passes_the_check_is_learnt_to_the_task_and_to_the_critique(tmp_path: Path) -> None:
    with scripted(tmp_path, mends) as agent:
        found = await attempts_of(agent, questions(6), Refine())
    assert str(found) == "of 6 answers 3 were right and 3 corrected, 2 found at a second attempt"
    made = Refine().examples(found.attempts, found.second)
    plain, told = made[0], made[1]
    assert (plain.chat, plain.answer, plain.trust) == ((("user", "even or odd: 1"),), "odd", "own")
    assert told.answer == "odd" and "An odd number was taken" in told.chat[-1][1] and "target" not in told.chat[-1][1]
    assert [item.answer for item in made[4:]] == ["even", "even"] and len(made) == 6


async def test_a_tree_goes_on_from_wrong_refinements_and_pairs_the_right_leaf_with_the_root(tmp_path: Path) -> None:
    near = Tree(attempts=1, refined=Refinement(branching=2, width=1, depth=3, most_changed=1))
    with scripted(tmp_path, mends) as agent:
        found = await attempts_of(agent, questions(6), near)
        made = near.examples(found.attempts, found.second)
        assert [(item.answer, item.rejected) for item in made[:3]] == [("odd", "even")] * 3
        assert made[2].chat == (("user", "even or odd: 5"),) and made[2].run_id != made[0].run_id
        assert "<answer>\nod\n</answer>" in made[5].chat[-1][1] and made[5].rejected is None
        swapped = control_of("swapped", made, found.attempts, seed=1)
        assert sum(item.answer == "even" for item in swapped) == 1 and len(swapped) == len(made)
        strict = Tree(attempts=1, refined=Refinement(branching=2, width=1, depth=3, most_changed=0.9))
        collector = Collector(agent, [], key="k")
        assert (await collector.collect(questions(6), strict)).second == []
    assert collector.skipped == {"its refinement changed too much": 3}


def test_pairs_that_do_not_come_of_each_other_are_a_control(tmp_path: Path) -> None:
    task = Task(id="t", input="t")

    def tries(n: int) -> list[Attempt]:
        one = Attempt(task=task, chat=(("user", str(n)),), said="", answer="", run_id="r", score=0, source="check")
        return [replace(one, said=f"{n}{score}", score=score) for score in (1, 0)]

    pairs = [example(n, rejected="no") for n in range(2)]
    made = control_of("independent", [*pairs, example(9)], [tries(1), tries(2), tries(3)], seed=0)
    assert [item.rejected == item.answer[0] + "0" for item in made[:2]] == [True, True] and made[2] == example(9)
    with pytest.raises(UserError, match="needs 2 pairs, and 1 tasks have both right and wrong answers"):
        control_of("independent", pairs, [tries(1)], seed=0)
    with pytest.raises(UserError, match="for recipes that make pairs"):
        control_of("swapped", [example(1)], [], seed=0)


def test_examples_are_kept_in_a_file_that_shows_when_it_was_altered(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    kept = [example(1), replace(example(2, rejected="no"), bare=(("user", "say 2"),), by="ann")]
    write_examples(kept, path)
    assert read_examples(path) == kept
    path.write_text(path.read_text().replace('"ok"', '"ko"', 1))
    with pytest.raises(DataError, match="does not match its hash"):
        read_examples(path)


def test_unknown_names_are_told_in_one_line() -> None:
    with pytest.raises(UserError, match="there are own, edits, hints, refine, tree, calls"):
        known_recipe("magic")
    with pytest.raises(UserError, match="there are unfiltered, shuffled, swapped, independent"):
        known_control("magic")


TOOL = {
    "name": "book",
    "description": "Book a room.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "nights": {"type": "integer"}},
        "required": ["city", "nights"],
    },
}


def booked(number: int) -> Task:
    right = [{"name": "book", "arguments": {"city": "Oslo", "nights": number}}]
    about = {"client_tools": [TOOL]}
    return Task(
        id=f"b{number}", input=f"Oslo, {number} nights", target=json.dumps(right), metadata=about, checker="exact"
    )


async def test_a_wrong_call_is_paired_with_the_right_one_argument_by_argument(tmp_path: Path) -> None:
    def calls(messages: list[Any], names: list[str]) -> Any:
        number = int(str(messages[-1].content).split()[1])
        city, nights = ("Oslo", number) if number == 2 else ("Bergen", number + (number == 4))
        return AIMessage("", tool_calls=[{"name": "book", "args": {"city": city, "nights": nights}, "id": "c"}])

    with scripted(tmp_path, calls) as agent:
        recipe = Calls(attempts=2)
        found = await attempts_of(agent, [booked(n) for n in (2, 3, 4)], recipe)
        again = await attempts_of(agent, [booked(n) for n in (2, 3, 4)], recipe)
    assert str(found) == str(again) == "of 3 answers 1 were right and 2 corrected" and not found.skipped
    made = recipe.examples(found.attempts, [])
    right = '{"name": "book", "arguments": {"city": "Oslo", "nights": %d}}'
    other = '{"name": "book", "arguments": {"city": "%s", "nights": %d}}'
    assert [(item.answer, item.rejected) for item in made] == [
        (right % 3, other % ("Bergen", 3)),
        (right % 4, other % ("Bergen", 4)),
        (right % 4, other % ("Oslo", 5)),
        (right % 3, None),
        (right % 4, None),
        (right % 2, None),
    ]
    system, user = made[0].chat
    assert system[1].startswith("# Tools\n- book: Book a room.") and user == ("user", "Oslo, 3 nights")


async def test_the_prompt_of_a_call_is_what_a_local_model_reads(tiny: Path, tmp_path: Path) -> None:
    make_tiny_gguf(tmp_path / "wide.gguf", context=2048)
    few = {"city": {"enum": ["Oslo", "Bergen"]}, "nights": {"enum": [3, 4]}}
    tool = {**TOOL, "parameters": {"type": "object", "properties": few, "required": [*few]}}
    task = booked(3).model_copy(update={"metadata": {"client_tools": [tool]}})
    bodies: list[Any] = []
    asks = LlamaCppChat._body

    def body(self: Any, *given: Any) -> Any:
        bodies.append(asks(self, *given))
        return bodies[-1]

    options: Any = {"n_ctx": 2048, "n_threads": 1, "max_tokens": 120}
    settings = Settings(home=tmp_path, concurrency=1)
    model = f"local/{tmp_path / 'wide.gguf'}"
    with (
        pytest.MonkeyPatch.context() as patch,
        Agent(model, tools=[], settings=settings, model_options=options, max_rounds=1, evaluate=False) as agent,
    ):
        patch.setattr(LlamaCppChat, "_body", body)
        found = await attempts_of(agent, [task], Calls(attempts=1))
    ((attempt,),) = found.attempts
    assert attempt.chat == tuple((turn["role"], turn["content"]) for turn in bodies[0]["messages"])
