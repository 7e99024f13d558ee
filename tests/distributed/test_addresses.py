"""What is wrong with an address, with options, or with an agent is one line, at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentkit import Agent
from agentkit.distributed.rollouts import until_left
from agentkit.distributed.shared import Purse, PurseSpent, Shared, SharedLimits, SharedMeter
from agentkit.distributed.workers import is_embedded
from agentkit.errors import BudgetExceeded, UserError
from agentkit.models import Budget
from agentkit.models.budget import Usage
from agentkit.store import Store
from agentkit.store.run_log import RunLog
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel
from tests.support.stub_server import stub_server

MODEL = ("--model", "openai/gpt-4.1-mini", "--api-base", "http://127.0.0.1:9/v1")


@pytest.fixture
def tasks() -> str:
    Path("tasks.jsonl").write_text('{"id": "a", "input": "1+1?", "target": "2"}\n', encoding="utf-8")
    return "tasks.jsonl"


@pytest.mark.parametrize("address", ["nowhere", "ray://host:1", ":1", "127.0.0.1:1", "127.0.0.1:99999"])
def test_an_address_where_no_ray_is_is_one_line(agentkit: Callable[..., Any], tasks: str, address: str) -> None:
    ended = agentkit("eval", tasks, *MODEL, "--ray", address)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: --ray {address}: ")
    assert ended.err.count("\n") == 1


def test_a_server_of_another_kind_is_told_from_ray_at_once(agentkit: Callable[..., Any], tasks: str) -> None:
    with stub_server(0) as url:
        address = url.removeprefix("http://").removesuffix("/v1")
        ended = agentkit("eval", tasks, *MODEL, "--ray", address)
    assert (ended.code, ended.err) == (2, f"error: --ray {address}: what answers there is not Ray\n")


def test_without_ray_the_extra_is_named(
    agentkit: Callable[..., Any], tasks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ended = agentkit("eval", tasks, *MODEL, "--ray", "local")
    assert (ended.code, ended.err) == (2, "error: ray is not installed: run  pip install 'agentkit-evolve[ray]'\n")


@pytest.mark.parametrize("option", ["--workers", "--per-minute", "--tokens", "--cost"])
def test_what_goes_with_ray_alone_says_so(agentkit: Callable[..., Any], tasks: str, option: str) -> None:
    ended = agentkit("eval", tasks, *MODEL, option, "1")
    assert (ended.code, ended.err) == (2, f"error: {option} goes with --ray: write  --ray local\n")


def test_models_that_live_in_a_worker_are_told_by_name() -> None:
    assert is_embedded("openai/a", ["openai/b", "local/c"])
    assert not is_embedded("openai/a", None)


async def test_the_purse_spreads_starts_and_ends_at_its_budget() -> None:
    purse = Purse(Shared(per_minute=600, budget=Budget(tokens=10)))
    waits = [(await purse.enter())[0] for _ in range(3)]
    assert waits == pytest.approx([0.0, 0.1, 0.2], abs=0.02)
    await purse.charge(1, 10, 0.0)
    assert "the budget of 10 tokens is used up" in (await purse.enter())[1]


class Handle:
    """A purse as workers hold it, without Ray between."""

    def __init__(self, purse: Purse) -> None:
        self.enter = SimpleNamespace(remote=purse.enter)
        self.charge = SimpleNamespace(remote=lambda *used: asyncio.ensure_future(purse.charge(*used)))


async def test_workers_share_one_rate_and_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    handle = Handle(Purse(Shared(per_minute=60, budget=Budget(calls=6))))
    first, second = SharedLimits(handle, 4), SharedLimits(handle, 4, error=BudgetExceeded)
    monkeypatch.setattr("agentkit.distributed.shared.asyncio.sleep", sleep)

    async def call(limits: SharedLimits) -> None:
        async with limits.slot():
            SharedMeter(handle, Budget()).charge(Usage(input_tokens=1))

    await asyncio.gather(*(call(limits) for limits in (first, second) for _ in range(3)))
    assert sorted(filter(None, slept)) == pytest.approx([1, 2, 3, 4, 5], abs=0.9)
    with pytest.raises(PurseSpent, match="shared by all workers, the budget of 6 calls is used up"):
        await call(first)
    with pytest.raises(BudgetExceeded, match="the budget of 6 calls is used up"):
        await call(second)


async def test_a_run_that_another_process_is_at_is_left_to_it(store: Store) -> None:
    """This process lives, so that its own run counts as one at which somebody is."""
    log = RunLog(store)
    await until_left(log, "r1")
    log.start("r1", Task(id="t", input="x"), model="m", options={})
    waiting = asyncio.create_task(until_left(log, "r1"))
    await asyncio.sleep(0.7)
    assert not waiting.done()
    log.finish("r1", "done", answer="1")
    await asyncio.wait_for(waiting, 5)


def test_an_agent_of_objects_is_refused(store: Store) -> None:
    from agentkit.distributed.rollouts import RolloutCrew

    agent = Agent(ScriptedModel(["1"]), store=store, tools=[])
    with agent, pytest.raises(UserError, match="can't rebuild this agent: its model"):
        RolloutCrew(None, agent, 1, Shared())  # type: ignore[arg-type]  # it is refused before a cluster is asked
