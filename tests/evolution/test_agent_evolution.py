"""An agent evolves: its playbook, its memory, from Python and from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from agentkit.agent import Agent
from agentkit.errors import UserError
from agentkit.evolution.config import EvolveConfig
from agentkit.evolution.run import EvolutionReport, aevolve, parts_of, prepare
from agentkit.evolution.stream import Probes, Stream
from agentkit.ledger import Ledger
from agentkit.playbooks.storage import PlaybookStore
from agentkit.settings import Settings
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel

RULE = "Answer with the sum doubled."


class Learner:
    """A model that is right only where its prompt holds the rule, and finds the rule when it reflects."""

    def __init__(self, rule: str = RULE) -> None:
        self.rule, self.prompts = rule, list[str]()

    def __call__(self, messages: list[BaseMessage], names: list[str]) -> Any:
        text = "\n".join(str(message.content) for message in messages)
        self.prompts.append(text)
        if "You improve a playbook" in text:
            return {"lessons": [{"cause": "not doubled", "scope": "sums", "content": self.rule}]}
        if "You check" in text:
            return {"reason": "it looks wrong", "verdict": "abstain" if RULE in text else "revise", "confidence": 0.9}
        number = int(text.rsplit("sum of ", 1)[1].split()[0])
        answer = 4 * number if RULE in text else 2 * number
        return {"reasoning": "", "answer": str(answer), "used": []}


def tasks(first: int, count: int) -> list[Task]:
    return [
        Task(id=str(n), input=f"sum of {n} and {n}", target=str(4 * n), checker="numeric")
        for n in range(first, first + count)
    ]


def agent_of(home: Path, brain: Any, **options: Any) -> Agent:
    settings = Settings(home=home, concurrency=options.pop("concurrency", 4))
    model = ScriptedModel(brain, name="scripted")
    options = {"max_rounds": 1, "evaluate": False, "tools": [], **options}
    return Agent(model, settings=settings, store=f"sqlite:///{home}/a.db", **options)


CONFIG = EvolveConfig(batch=4, selection=0.4)


async def test_a_playbook_learns_the_rule_and_the_report_shows_it(tmp_path: Path) -> None:
    with agent_of(tmp_path, Learner()) as agent:
        done = await aevolve(agent, tasks(10, 8), val=tasks(100, 20), test=tasks(200, 12), playbook="p", config=CONFIG)
        book = PlaybookStore(agent.store, "p").current()
    assert [bullet.content for bullet in book] == [RULE]
    before, after = done.report["arms"][0], done.report["arms"][1]
    assert before["accuracy"]["value"] == 0 and after["accuracy"]["value"] == 1
    control = next(arm for arm in done.report["arms"] if arm["name"] == "random_bullets")
    assert control["accuracy"]["value"] == 0
    assert after["per_task"]["calls"] == 1 and done.paths["html"].exists()


async def test_a_useless_lesson_never_enters_the_playbook(tmp_path: Path) -> None:
    with agent_of(tmp_path, Learner("Be careful.")) as agent:
        done = await aevolve(agent, tasks(10, 8), val=tasks(100, 20), playbook="p", config=CONFIG)
        assert len(PlaybookStore(agent.store, "p").current()) == 0
    assert {change["decision"] for change in done.report["changes"]} <= {"reject", "quarantine"}


async def test_one_call_a_batch_reflects_and_none_where_all_was_right(tmp_path: Path) -> None:
    brain = Learner()
    with agent_of(tmp_path, brain) as agent:
        await aevolve(agent, tasks(10, 16), val=tasks(100, 20), playbook="p", config=CONFIG)
    assert sum("You improve a playbook" in prompt for prompt in brain.prompts) == 1


PARENTHESES = "Put the difference in parentheses."


class Ratios:
    """A model that forgets the parentheses of (a - b) / c unless a bullet reminds it or it is told the answer; it finds
    the bullet only where it is shown work that came out right."""

    def __init__(self, *, cheat: bool = False) -> None:
        self.cheat, self.prompts = cheat, list[str]()

    def __call__(self, messages: list[BaseMessage], names: list[str]) -> Any:
        text = "\n".join(str(message.content) for message in messages)
        self.prompts.append(text)
        if "You improve a playbook" in text:
            found = [{"cause": "no parentheses", "scope": "ratios", "content": PARENTHESES}]
            return {"lessons": found if "<right_work>" in text else []}
        a, b, c = re.findall(r"ratio of (\d+), (\d+), (\d+)", text)[-1]
        told = re.search(r"right answer[^:]*: (?:it is )?([\d.]+\d)", text)
        expression = f"({a} - {b}) / {c}" if told or PARENTHESES in text else f"{a} - {b} / {c}"
        if told and self.cheat:
            expression = told[1]
        return {"tool": "calculate_answer", "arguments": {"expression": expression, "decimals": 2}}


def ratios(first: int, count: int) -> list[Task]:
    numbers = ((100 + number, 50, 4) for number in range(first, first + count))
    return [
        Task(id=str(a), input=f"ratio of {a}, {b}, {c}?", target=f"{(a - b) / c:.2f}", checker="numeric")
        for a, b, c in numbers
    ]


async def evolve_ratios(home: Path, brain: Ratios, hints: int, **options: Any) -> EvolutionReport:
    config = EvolveConfig(batch=4, selection=0.4, hints=hints)
    with agent_of(home, brain, tools=["calculate_answer"], **options) as agent:
        return await aevolve(
            agent, ratios(3, 8), val=ratios(21, 30), test=ratios(61, 8), playbook="p", config=config, controls=False
        )


async def test_what_was_never_solved_is_learned_from_attempts_with_a_hint(tmp_path: Path) -> None:
    brain = Ratios()
    done = await evolve_ratios(tmp_path, brain, hints=1)
    after = next(arm for arm in done.report["arms"] if arm["name"] == "learned")
    assert after["accuracy"]["value"] == 1 and done.report["arms"][0]["accuracy"]["value"] == 0
    assert len(done.evolved.batches[0].learned.hinted) == 4
    hinted = [prompt for prompt in brain.prompts if "right answer" in prompt and "You improve" not in prompt]
    assert len(hinted) == 4 and not any(PARENTHESES in prompt for prompt in hinted)


@pytest.mark.parametrize(("cheat", "hints"), [(True, 2), (False, 0)])
async def test_a_copied_answer_teaches_nothing_and_neither_does_failure_alone(
    tmp_path: Path, cheat: bool, hints: int
) -> None:
    brain = Ratios(cheat=cheat)
    done = await evolve_ratios(tmp_path, brain, hints=hints)
    assert done.report["changes"] == [] and not done.evolved.batches[0].learned.hinted
    hinted = [prompt for prompt in brain.prompts if "right answer" in prompt and "You improve" not in prompt]
    assert len(hinted) == 8 * hints


async def test_hinted_evolutions_are_identical_whatever_the_concurrency(tmp_path: Path) -> None:
    done = [await evolve_ratios(tmp_path / str(n), Ratios(), hints=2, concurrency=n) for n in (1, 8)]
    first, second = (
        [[batch.learned.hinted, batch.learned.proposals, batch.settled.versions] for batch in item.evolved.batches]
        for item in done
    )
    assert first == second


def test_hints_and_hidden_labels_exclude_each_other(tmp_path: Path) -> None:
    with (
        agent_of(tmp_path, Ratios(), tools=["calculate_answer"]) as agent,
        pytest.raises(UserError, match="hints reveal"),
    ):
        evolvables, learners = parts_of(agent, playbook="p")
        config = EvolveConfig(hints=1, labels="check")
        prepare(agent, ratios(3, 2), val=ratios(21, 4), evolvables=evolvables, learners=learners, config=config)


async def test_many_wrong_answers_are_looked_at_a_few_in_a_call_and_by_category(tmp_path: Path) -> None:
    brain = Learner()
    mixed = [task.model_copy(update={"metadata": {"category": "ab"[n % 2]}}) for n, task in enumerate(tasks(10, 8))]
    with agent_of(tmp_path, brain) as agent:
        config = EvolveConfig(batch=8, selection=0.4)
        await aevolve(agent, mixed, val=tasks(100, 20), playbook="p", config=config, controls=False)
    asked = [prompt for prompt in brain.prompts if "You improve a playbook" in prompt]
    shown = [[int(found) for found in re.findall(r"sum of (\d+) and", prompt)] for prompt in asked]
    assert sorted(map(len, shown)) == [2, 6]
    assert {number % 2 for number in shown[0][:4]} == {0} and {number % 2 for number in shown[0][4:] + shown[1]} == {1}


@pytest.mark.parametrize("labels", ["check", "none"])
async def test_learners_see_no_more_of_a_target_than_the_labels_allow(tmp_path: Path, labels: Any) -> None:
    brain = Learner()
    config = EvolveConfig(batch=4, labels=labels, selection=0.4)
    with agent_of(tmp_path, brain) as agent:
        await aevolve(agent, tasks(1001, 8), val=tasks(2001, 12), playbook="p", config=config, controls=False)
    assert not any(str(4 * n) in prompt for prompt in brain.prompts for n in range(1001, 1009) if RULE not in prompt)


async def test_label_free_prompts_of_an_agent_are_identical_when_targets_are_noise(tmp_path: Path) -> None:
    seen = []
    for name, shift in (("true", 0), ("noise", 77)):
        brain = Learner()
        noisy = [task.model_copy(update={"target": str(int(task.target or 0) + shift)}) for task in tasks(10, 8)]
        held = [task.model_copy(update={"target": str(int(task.target or 0) + shift)}) for task in tasks(100, 12)]
        home = tmp_path / name
        home.mkdir()
        with agent_of(home, brain, concurrency=1, evaluate=True) as agent:
            config = EvolveConfig(batch=4, labels="none")
            await aevolve(agent, noisy, val=held, playbook="p", config=config)
        seen.append(brain.prompts)
    assert seen[0] == seen[1]
    assert any("You improve a playbook" in prompt and "<answer>" in prompt for prompt in seen[0]), "nothing was learned"


async def test_ledgers_of_an_agent_are_identical_whatever_the_concurrency(tmp_path: Path) -> None:
    ledgers = []
    for concurrency in (1, 8):
        home = tmp_path / str(concurrency)
        home.mkdir()
        with agent_of(home, Learner(), concurrency=concurrency) as agent:
            await aevolve(agent, tasks(10, 8), val=tasks(100, 20), playbook="p", config=CONFIG)
            ledger = Ledger(agent.store)
            ledgers.append([(change.id, change.hash, change.status) for change in ledger.history()])
    assert ledgers[0] == ledgers[1] and ledgers[0]


def test_evolve_on_the_command_line_says_what_is_missing(run_cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"input": "1+1", "target": "2"}) + "\n", encoding="utf-8")
    recording = tmp_path / "r.jsonl"
    recording.write_text("", encoding="utf-8")
    done = run_cli("evolve", str(path), "--model", f"replay/{recording}", "--playbook", "p", code=2)
    assert "--val" in done.stderr and "Traceback" not in done.stderr
    done = run_cli("evolve", str(path), "--labels", "some", code=2)
    assert "--labels must be one of" in done.stderr


async def test_an_agent_streams_with_frozen_probes(tmp_path: Path) -> None:
    config = EvolveConfig(batch=4, online=True)
    with agent_of(tmp_path, Learner()) as agent:
        evolvables, learners = parts_of(agent, playbook="p")
        evolution = prepare(agent, tasks(10, 12), evolvables=evolvables, learners=learners, config=config)
        report = await Stream(evolution, Probes(retention=tasks(300, 6), replay=1), block=4).run()
    assert [round(point["value"]) for point in report["retention"]["curve"]] == [0, 1, 1, 1]
    assert report["success"]["final"]["value"] == 1 and report["tokens"]["with_learning"]


class Reflecting(Learner):
    """Gives its lesson in the form of the reflector that looks at every failed run."""

    def __call__(self, messages: list[BaseMessage], names: list[str]) -> Any:
        instructions = str(messages[0].content).split("<playbook>")[0].lower()
        if "lesson" in instructions:
            return {"error": "e", "cause": "c", "approach": "a", "lessons": [{"content": self.rule}], "judgements": []}
        return super().__call__(messages, names)


async def test_lessons_of_single_runs_go_through_the_same_gate(tmp_path: Path) -> None:
    with agent_of(tmp_path, Reflecting()) as agent:
        done = await aevolve(
            agent, tasks(10, 8), val=tasks(100, 20), playbook="p", learner="each", config=CONFIG, controls=False
        )
    assert [arm.estimate.value for arm in done.arms] == [0, 1]
    assert [change["decision"] for change in done.report["changes"]].count("accept") == 1
