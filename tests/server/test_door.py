"""Who gets in, with what; what is counted."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics as telemetry
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from starlette.testclient import TestClient

from agentkit import Agent
from agentkit.errors import SettingsError
from agentkit.server import ServerOptions, create_app
from agentkit.testing import ScriptedModel
from tests.server.conftest import KEY

BODY = {"model": "agentkit", "messages": [{"role": "user", "content": "Say something."}]}
CHAT = "/v1/chat/completions"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """A client of an application with a scripted model."""
    opened: list[Any] = []

    def make(replies: Any = ("something",), agent: dict[str, Any] | None = None, **options: Any) -> TestClient:
        made = Agent(ScriptedModel(replies), store=str(tmp_path / "a.db"), **(agent or {}))
        app = create_app(made, ServerOptions(**options))
        client = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
        client.__enter__()
        opened.extend((made, client))
        return client

    yield make
    for thing in reversed(opened):
        thing.__exit__(None, None, None)


def test_pages_of_other_sites_can_t_call_a_server_without_a_key(client: Callable[..., TestClient]) -> None:
    http = client()
    assert http.post(CHAT, json=BODY).status_code == 200
    assert http.post(CHAT, json=BODY, headers={"Origin": "http://localhost:3000"}).status_code == 200
    assert http.post(CHAT, json=BODY, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert http.post(CHAT, json=BODY, headers={"Origin": "null"}).status_code == 403
    assert http.post(CHAT, json=BODY, headers={"Host": "elsewhere.example"}).status_code == 403
    simple = http.post(CHAT, content=json.dumps(BODY), headers={"Content-Type": "text/plain"})
    assert (simple.status_code, simple.json()["error"]["code"]) == (415, "wrong_content_type")


def test_a_key_opens_the_door_whatever_the_host(client: Callable[..., TestClient]) -> None:
    http = client(host="0.0.0.0", keys=("another key, longer", KEY))
    opens = {"Authorization": f"Bearer {KEY}", "Host": "agents.example"}
    assert http.post(CHAT, json=BODY, headers=opens).status_code == 200
    for wrong in ("", KEY, f"Bearer {KEY}x", "Bearer ", f"Basic {KEY}"):
        assert http.post(CHAT, json=BODY, headers={"Authorization": wrong}).status_code == 401


def test_off_loopback_a_key_is_needed_and_none_that_can_be_guessed() -> None:
    with pytest.raises(SettingsError, match="can be reached from other machines: set AGENTKIT_SERVE_KEY"):
        ServerOptions(host="0.0.0.0")
    with pytest.raises(SettingsError, match="can be guessed"):
        ServerOptions(keys=("secret",))


@pytest.mark.parametrize("told", [True, False], ids=["declared", "in-pieces"])
def test_a_body_that_is_too_long_is_refused_before_it_is_read(told: bool, client: Callable[..., TestClient]) -> None:
    http = client(max_body=1_000)
    long = json.dumps({**BODY, "user": "x" * 2_000}).encode()
    content: Any = long if told else iter([long[:600], long[600:]])
    answer = http.post(CHAT, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("body", ["{", "[]", "[" * 100_000, '{"model": 7}', "{}"])
def test_a_body_that_is_no_request_is_one_clear_error(body: str, client: Callable[..., TestClient]) -> None:
    for path in (CHAT, "/v1/responses"):
        answer = client().post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_unknown_addresses_and_methods_have_the_same_shape(client: Callable[..., TestClient]) -> None:
    http = client()
    assert http.get("/v1/nothing").json()["error"]["code"] == "not_found"
    assert http.get(CHAT).status_code == 405
    assert http.get("/runs/none").json()["error"]["code"] == "run_not_found"
    assert http.get("/v1/responses/resp_none").status_code == 404


def test_a_fault_of_the_server_tells_clients_nothing_of_it(client: Callable[..., TestClient]) -> None:
    http = client(replies=[RuntimeError("/home/secret")])
    answer = http.post(CHAT, json=BODY)
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "the server failed; its log says why"


def test_a_run_that_waits_for_a_person_says_so_and_is_answered_when_they_have_replied(
    client: Callable[..., TestClient],
) -> None:
    http = client(agent={"approve": ["answer"]})
    answer = http.post(CHAT, json=BODY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "waiting_for_person")
    run_id = answer.headers["x-agentkit-run"]
    api = http.app.state.api  # type: ignore[attr-defined]
    api.agent.resume(run_id, True)
    found = http.get(f"/v1/responses/resp_{run_id}").json()
    assert (found["status"], found["output"][0]["content"][0]["text"]) == ("completed", "something")


def test_what_clients_send_is_text_of_others_where_the_server_is_told_so(client: Callable[..., TestClient]) -> None:
    def sources(http: TestClient, *turns: tuple[str, str]) -> list[str]:
        messages = [{"role": role, "content": text} for role, text in turns]
        run_id = http.post(CHAT, json={**BODY, "messages": messages}).headers["x-agentkit-run"]
        return list(http.get(f"/runs/{run_id}").json()["sources"])

    assert sources(client(), ("user", "Say something.")) == []
    assert sources(client(untrusted=True), ("user", "Say something.")) == ["client"]
    talk = (("user", "Say something."), ("assistant", "something"), ("user", "And more."))
    assert sources(client(), *talk) == ["conversation"]


def test_runs_recall_and_feedback_teaches(client: Callable[..., TestClient]) -> None:
    http = client(agent={"playbook": "p"})
    agent = http.app.state.api.agent  # type: ignore[attr-defined]
    run_id = http.post(CHAT, json=BODY).headers["x-agentkit-run"]
    assert agent.log.blocks(run_id) is not None
    taught = http.post(f"/runs/{run_id}/feedback", json={"score": 1.0}).json()
    assert list(taught["changes"]) == ["credit:p", "effort:default"]


def test_measurements_go_to_opentelemetry_too(
    monkeypatch: pytest.MonkeyPatch, client: Callable[..., TestClient]
) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr(telemetry, "get_meter", provider.get_meter)
    client().post(CHAT, json=BODY)
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        metric.name: metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {"agentkit.runs", "agentkit.requests", "agentkit.tokens", "agentkit.run.seconds"} <= set(found)
    [point] = found["agentkit.runs"].data.data_points
    assert dict(point.attributes or {}) == {"status": "done"}
    provider.shutdown()


def test_measurements_read_as_prometheus_reads_them(client: Callable[..., TestClient]) -> None:
    http = client()
    http.post(CHAT, json=BODY)
    answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = set()
    for line in answer.text.splitlines():
        if line.startswith("#"):
            assert line.split()[1] in ("HELP", "TYPE")
            continue
        series, value = line.rsplit(" ", 1)
        float(value)
        names.add(series.split("{")[0])
    assert "agentkit_runs_in_flight" in names
    assert 'agentkit_run_seconds_bucket{le="+Inf"} 1' in answer.text


def test_bad_options_are_one_line(agentkit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    off = agentkit("serve", "--host", "0.0.0.0")
    assert (off.code, off.err.count("\n")) == (2, 1)
    assert "AGENTKIT_SERVE_KEY" in off.err
    monkeypatch.setenv("AGENTKIT_SERVE_KEY", "short")
    assert "can be guessed" in agentkit("serve").err


def test_a_port_that_is_taken_is_one_line(
    agentkit: Callable[..., Any],
    recording: Callable[..., str],
) -> None:
    model = recording("Say something.", ["something"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = agentkit("serve", "--model", model, "--port", str(port))
    assert done.code == 2
    assert f"127.0.0.1:{port} can't be used" in done.err
