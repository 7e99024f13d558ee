"""SIGTERM and SIGKILL in the middle of requests: every accepted one is a run that ends or goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Semaphore
from typing import Any

import httpx
import openai
import pytest

from agentkit.settings import load_settings
from agentkit.store import Store
from agentkit.store.run_log import RunLog, RunRecord
from tests.server.conftest import Served, Start
from tests.server.provider import Provider, Say

pytestmark = pytest.mark.usefixtures("heard")

CLIENTS = 64
TOOL: Any = {"type": "function", "function": {"name": "stock", "description": "x", "parameters": {"type": "object"}}}


def say(request: dict[str, Any]) -> str | tuple[str, dict[str, Any]]:
    """A call of the client's tool first, where there is one; else words that name the question."""
    if request.get("tools") and not any(message["role"] == "tool" for message in request["messages"]):
        return "stock", {}
    return f"answer to {request['messages'][-1]['content']}"


@pytest.fixture
def model(behind: Callable[[Say], Provider]) -> Provider:
    return behind(say)


class Asking:
    """Clients that ask at once; every other one streams, and `words` is released at the first word of each."""

    def __init__(self, served: Served, count: int, *, keys: bool = False) -> None:
        self.client = openai.OpenAI(base_url=f"{served.address}/v1", api_key="none", max_retries=0, timeout=60)
        self.pool, self.words = ThreadPoolExecutor(count), Semaphore(0)
        self.answers: list[Future[str]] = [self.pool.submit(self._ask, number, keys) for number in range(count)]

    def _ask(self, number: int, keys: bool) -> str:
        words: list[Any] = [{"role": "user", "content": f"question {number}"}]
        headers = {"Idempotency-Key": f"key {number}"} if keys else {}
        if number % 2:
            done = self.client.chat.completions.create(model="agentkit", messages=words, extra_headers=headers)
            return done.choices[0].message.content or ""
        chunks = self.client.chat.completions.create(
            model="agentkit", messages=words, stream=True, extra_headers=headers
        )
        said = ""
        for chunk in chunks:
            if not said and chunk.choices[0].delta.content:
                self.words.release()
            said += chunk.choices[0].delta.content or ""
        return said

    def ended(self) -> tuple[list[str], list[BaseException]]:
        """The answers, and the errors of the others."""
        self.pool.shutdown(wait=True)
        self.client.close()
        failed = [error for answer in self.answers if (error := answer.exception()) is not None]
        return [answer.result() for answer in self.answers if answer.exception() is None], failed


Runs = Callable[[], list[RunRecord]]


@pytest.fixture
def runs(isolated: Path) -> Iterator[Runs]:
    """The runs as they stand in the test's database."""
    store = Store.open(load_settings().database_url)
    yield lambda: RunLog(store).runs(limit=None)
    store.close()


def until(there: Callable[[], bool]) -> None:
    for _ in range(5_000):
        if there():
            return
    raise AssertionError("it never came to that")


def idle(served: Served) -> bool:
    return bool(httpx.get(f"{served.address}/health").json()["runs"] == 0)


def test_requests_that_were_accepted_before_sigterm_are_answered(model: Provider, start: Start, runs: Runs) -> None:
    served = start(model)
    model.hold()
    asking = Asking(served, CLIENTS)
    until(lambda: len(runs()) == CLIENTS)
    served.stop()
    until(lambda: _refused(served))
    model.release()
    answers, failed = asking.ended()
    assert (sorted(answers), failed) == (sorted(f"answer to question {number}" for number in range(CLIENTS)), [])
    code, said = served.ended()
    assert (code, said.strip()) == (0, "stopped; no run is unfinished")
    assert {run.status for run in runs()} == {"done"}


def _refused(served: Served) -> bool:
    """Whether the server takes nothing more: it has closed its door, or says that it stops."""
    try:
        return httpx.get(f"{served.address}/health").status_code == 503
    except httpx.TransportError:
        return True


@pytest.mark.parametrize("twice", [False, True], ids=["no-grace", "second-signal"])
def test_runs_that_have_no_time_left_are_interrupted_and_go_on_at_the_next_start(
    twice: bool, model: Provider, start: Start, runs: Runs
) -> None:
    served = start(model, "--grace", "600" if twice else "0")
    model.hold()
    asking = Asking(served, 6)
    until(lambda: len(runs()) == 6)
    served.stop()
    if twice:
        until(lambda: _refused(served))
        served.stop(signal.SIGINT)
    answers, failed = asking.ended()
    assert answers == []
    assert all(isinstance(error, openai.APIError) for error in failed)
    assert "resumes when the server is back" in str(failed[0])
    code, said = served.ended()
    assert (code, said.strip()) == (0, "stopped; 6 runs continue when it starts again")
    assert {run.status for run in runs()} == {"interrupted"}
    model.release()
    again = start(model)
    until(lambda: idle(again))
    assert {run.status for run in runs()} == {"done"}


@pytest.mark.kill
def test_sixty_four_requests_outlive_a_kill(model: Provider, start: Start, runs: Runs) -> None:
    served = start(model)
    model.hold()
    asking = Asking(served, CLIENTS, keys=True)
    until(lambda: len(runs()) == CLIENTS)
    served.kill()
    answers, failed = asking.ended()
    assert (answers, len(failed)) == ([], CLIENTS)
    assert {run.status for run in runs()} == {"interrupted"}
    model.release()
    again = start(model)
    answers, failed = Asking(again, CLIENTS, keys=True).ended()
    assert (sorted(answers), failed) == (sorted(f"answer to question {number}" for number in range(CLIENTS)), [])
    done = runs()
    assert (len(done), {run.status for run in done}) == (CLIENTS, {"done"})


@pytest.mark.kill
def test_streams_that_are_cut_off_by_a_kill_are_told_whole_by_the_next_server(
    model: Provider, start: Start, runs: Runs
) -> None:
    served = start(model)
    model.on.clear()
    asking = Asking(served, 8, keys=True)
    for _ in range(4):
        assert asking.words.acquire()
    until(lambda: len(runs()) == 8)
    served.kill()
    _, failed = asking.ended()
    assert len(failed) >= 4
    model.on.set()
    answers, failed = Asking(start(model), 8, keys=True).ended()
    assert (sorted(answers), failed) == (sorted(f"answer to question {number}" for number in range(8)), [])
    assert len(runs()) == 8


@pytest.mark.kill
def test_a_run_that_waits_for_its_client_outlives_a_kill(model: Provider, start: Start) -> None:
    served = start(model)
    question: Any = {"role": "user", "content": "question"}

    def ask(where: Served, turns: list[Any]) -> Any:
        with openai.OpenAI(base_url=f"{where.address}/v1", api_key="none", max_retries=0) as client:
            return client.chat.completions.create(model="agentkit", messages=turns, tools=[TOOL])

    asked = ask(served, [question])
    served.kill()
    call = asked.choices[0].message.tool_calls[0]
    result = {"role": "tool", "tool_call_id": call.id, "content": "7"}
    done = ask(start(model), [question, asked.choices[0].message.model_dump(exclude_none=True), result])
    assert (done.id, done.choices[0].finish_reason) == (asked.id, "stop")
    assert len(model.requests) == 2


def test_a_run_goes_on_when_nobody_waits_for_it_any_more(model: Provider, start: Start) -> None:
    served = start(model)
    model.hold()
    body = {"model": "agentkit", "messages": [{"role": "user", "content": "question"}], "stream": True}
    with httpx.stream("POST", f"{served.address}/v1/chat/completions", json=body) as response:
        run_id = response.headers["x-agentkit-run"]
    model.release()
    until(lambda: idle(served))
    assert httpx.get(f"{served.address}/runs/{run_id}").json()["answer"] == "answer to question"


def test_a_run_of_another_agent_is_left_alone(model: Provider, start: Start, runs: Runs) -> None:
    served = start(model)
    model.hold()
    asking = Asking(served, 1)
    until(lambda: len(runs()) == 1)
    served.kill()
    asking.ended()
    model.release()
    until(lambda: idle(start(model, "--name", "other")))
    assert [run.status for run in runs()] == ["interrupted"]


def test_requests_that_there_is_no_room_for_are_to_come_again(model: Provider, start: Start, runs: Runs) -> None:
    served = start(model, "--concurrency", "1")
    model.hold()
    asking = Asking(served, 1)
    until(lambda: len(runs()) == 1)
    body = {"model": "agentkit", "messages": [{"role": "user", "content": "another question"}]}
    full = httpx.post(f"{served.address}/v1/chat/completions", json=body)
    assert (full.status_code, full.headers["retry-after"], full.headers["x-should-retry"]) == (429, "1", "true")
    assert full.json()["error"]["code"] == "rate_limit_exceeded"
    model.release()
    assert asking.ended() == (["answer to question 0"], [])


def test_a_stream_that_the_provider_breaks_off_is_asked_for_again_and_never_garbled(
    model: Provider, start: Start
) -> None:
    served = start(model)
    model.cut = 1
    assert Asking(served, 1).ended() == (["answer to question 0"], [])
    assert len(model.requests) == 2
