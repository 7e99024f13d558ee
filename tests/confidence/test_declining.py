"""Runs that say how sure they are, and decline where that is not enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from agentkit.agent import Agent
from agentkit.calibrating import calibrate
from agentkit.confidence import CalibrationStore
from agentkit.errors import DataError, UserError
from agentkit.evaluation import evaluate_tasks
from agentkit.ledger import Ledger
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel


class Doubting(ScriptedModel):
    """Says "yes", as sure of it as the number in the task says."""

    tells_logprobs: bool = True

    def _answer(self, messages: list[BaseMessage], **kwargs: Any) -> AIMessage:
        message = super()._answer(messages, **kwargs)
        share = int(messages[-1].text.split()[-1]) / 100
        alternatives = [{"token": "yes", "logprob": math.log(share)}, {"token": "no", "logprob": math.log(1 - share)}]
        message.response_metadata["logprobs"] = {"content": [alternatives[0] | {"top_logprobs": alternatives}]}
        return message


def task(share: int, target: str, *, number: int = 0) -> Task:
    return Task(id=f"{number}-{share}-{target}", input=f"Sure at {share}", target=target, choices=("yes", "no"))


TASKS = [
    task(share, "no" if number % 100 >= share else "yes", number=number)
    for share in (15, 35, 55, 75, 95)
    for number in range(0, 100, 10)
]


@pytest.fixture
def agent(store: Store) -> Any:
    opened: list[Agent] = []

    def build(**options: Any) -> Agent:
        opened.append(Agent(Doubting(["yes"]), tools=[], store=store, **options))
        return opened[-1]

    yield build
    for item in opened:
        item.close()


async def test_without_a_calibration_confidence_is_not_known(agent: Callable[..., Agent]) -> None:
    result = await agent().arun(task(90, "yes"))
    assert (result.status, result.confidence) == ("done", None)


async def test_a_calibrated_agent_says_how_sure_it_is_and_declines_below_the_floor(
    agent: Callable[..., Agent], store: Store
) -> None:
    made = await calibrate(agent(), TASKS)
    assert (made.target, made.version, made.outcomes, made.right) == ("calibration:default", 1, 50, 30)
    assert made.risk.auroc is not None and made.risk.auroc > 0.7
    [change] = Ledger(store).applied("calibration:default", after=0, upto=1)
    assert change.kind == "calibration"
    strict = agent(decline_below=0.5)
    sure, unsure = await strict.arun(task(96, "yes")), await strict.arun(task(12, "yes"))
    assert sure.confidence is not None and sure.confidence > 0.7 and sure.status == "done"
    assert unsure.confidence is not None and unsure.confidence < 0.4
    assert (unsure.status, unsure.answer, unsure.accepted) == ("declined", "yes", False)
    stored = RunLog(store).get(unsure.run_id)
    assert (stored.status, stored.confidence) == ("declined", unsure.confidence)
    assert strict.result(unsure.run_id).confidence == unsure.confidence


async def test_calibrating_again_repeats_no_run_and_changes_nothing(agent: Callable[..., Agent], store: Store) -> None:
    first, again = await calibrate(agent(), TASKS), await calibrate(agent(), TASKS)
    assert (first.version, again.version) == (1, 1)
    assert len(RunLog(store).runs(limit=None)) == len(TASKS)


async def test_a_largest_error_is_kept_by_the_threshold_that_was_shown_to_keep_it(
    agent: Callable[..., Agent], store: Store
) -> None:
    sure = [task(99, "yes", number=number) for number in range(60)]
    await calibrate(agent(), [*TASKS, *sure])
    stored = CalibrationStore(store, "default").current()
    assert stored is not None and set(stored.thresholds) >= {"0.1"}
    strict = agent(max_error=0.1)
    assert (await strict.arun(task(99, "yes", number=100))).status == "done"
    assert (await strict.arun(task(20, "yes", number=101))).status == "declined"
    with pytest.raises(
        UserError, match=r"no threshold could be shown to keep errors under 0\.005 \(the lowest possible is"
    ):
        agent(max_error=0.005)


async def test_an_evaluation_tells_what_was_declined_and_what_more_of_it_would_buy(
    agent: Callable[..., Agent],
) -> None:
    plain = await evaluate_tasks(agent(), TASKS)
    assert (plain.declined, plain.calibrated, plain.accuracy) == (0, False, pytest.approx(30 / 50))
    assert plain.risk is not None and plain.risk.half > plain.accuracy
    await calibrate(agent(), TASKS)
    strict = await evaluate_tasks(agent(decline_below=0.5), TASKS)
    assert strict.calibrated
    assert 0 < strict.declined < 50
    assert strict.answered is not None and strict.answered > plain.accuracy
    given = sum(row.score or 0 for row in strict.results if row.status == "done")
    assert strict.accuracy == pytest.approx(given / 50)


def test_declining_needs_a_calibration_of_this_model(agent: Callable[..., Agent], store: Store) -> None:
    with pytest.raises(UserError, match="declining needs a calibration: make one with  agentkit calibrate"):
        agent(decline_below=0.5)
    with pytest.raises(UserError, match="tells no log-probabilities"):
        Agent(ScriptedModel(["x"]), store=store, max_error=0.1)


@pytest.mark.parametrize("value", [0.0, 1.0, 1.5, -0.1, float("nan")])
def test_a_threshold_lies_between_0_and_1(agent: Callable[..., Agent], value: float) -> None:
    with pytest.raises(UserError, match="decline_below must lie between 0 and 1"):
        agent(decline_below=value)


async def test_a_calibration_of_another_model_is_not_taken(agent: Callable[..., Agent], store: Store) -> None:
    await calibrate(agent(), TASKS)
    with Agent(Doubting(["yes"], name="test/other"), tools=[], store=store) as other:
        assert (await other.arun(task(90, "yes"))).confidence is None
    with pytest.raises(UserError, match="was fitted on answers of test/Doubting, not of test/other"):
        Agent(Doubting(["yes"], name="test/other"), store=store, decline_below=0.5)


async def test_too_few_tasks_are_refused_before_anything_is_run(agent: Callable[..., Agent], store: Store) -> None:
    with pytest.raises(DataError, match="too few tasks to calibrate on: 3; 40 are needed"):
        await calibrate(agent(), TASKS[:3])
    assert not RunLog(store).runs()
