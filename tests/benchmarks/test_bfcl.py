"""Single-turn tool calls as a benchmark: the wheel as data, the leaderboard's rule, both arms on the same tools."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from agentkit.agent import Agent
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.testing import ScriptedModel
from benchmarks import _bfcl, _families, bare

PARAMETERS = {
    "type": "dict",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "limit": {"type": "float"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "sort": {"type": "dict", "properties": {"by": {"type": "string"}}},
        "stops": {"type": "array", "items": {"type": "dict"}},
        "zone": {"type": "any"},
    },
    "required": ["city"],
}
FUNCTION = {"name": "trip.plan", "description": "Plan a trip.", "parameters": PARAMETERS}
ANSWER = {
    "trip.plan": {
        "city": ["New York, NY", "NYC"],
        "days": [3, ""],
        "limit": [100.0, ""],
        "tags": [["Art", "food"], ""],
        "sort": [{"by": ["price", ""]}, ""],
        "stops": [[{"at": ["noon"]}], ""],
        "zone": ["utc", ""],
    }
}
SIMPLE = {
    "id": "simple_python_0",
    "question": [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Three days in New York."}]],
    "function": [FUNCTION],
}
UNFIT = {"id": "irrelevance_0", "question": [[{"role": "user", "content": "What is love?"}]], "function": [FUNCTION]}
RIGHT = {"city": "new york ny", "days": 3}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "bfcl").mkdir()
    with zipfile.ZipFile(tmp_path / "bfcl" / "bfcl_eval-1-py3-none-any.whl", "w") as archive:
        for category in _bfcl.CATEGORIES:
            rows = {"simple_python": [SIMPLE], "irrelevance": [UNFIT]}.get(category, [])
            answers = [{"id": row["id"], "ground_truth": [ANSWER]} for row in rows if row is SIMPLE]
            for name, lines in ((f"BFCL_v4_{category}", rows), (f"possible_answer/BFCL_v4_{category}", answers)):
                archive.writestr(f"bfcl_eval/data/{name}.json", "\n".join(map(json.dumps, lines)) + "\n")
    return tmp_path


@pytest.fixture
def tasks(data: Path) -> dict[str, Task]:
    return {task.metadata["category"]: task for task in _families.load("bfcl", data, 10)}


def calls(**arguments: Any) -> str:
    return json.dumps([{"name": "trip_plan", "arguments": arguments}])


def test_questions_come_with_tools_in_the_form_that_models_take(tasks: dict[str, Task]) -> None:
    task = tasks["simple_python"]
    assert (task.input, task.instructions) == ("Three days in New York.", "Be brief.")
    [tool] = task.metadata["tools"]
    assert tool["name"] == "trip_plan" and tool["parameters"]["type"] == "object"
    kinds = {name: part["type"] for name, part in tool["parameters"]["properties"].items()}
    assert (kinds["limit"], kinds["sort"], kinds["zone"]) == ("number", "object", "string")


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (RIGHT, True),
        (RIGHT | {"limit": 100, "tags": ["ART", "Food"], "sort": {"by": "Price"}, "stops": [{"at": "noon"}]}, True),
        (RIGHT | {"sort": {}, "zone": "UTC"}, True),
        ({"city": "NYC"}, True),
        ({"days": 3}, False),
        (RIGHT | {"city": "Boston"}, False),
        (RIGHT | {"days": 3.0}, False),
        (RIGHT | {"days": "3"}, False),
        (RIGHT | {"colour": "red"}, False),
        (RIGHT | {"limit": 99}, False),
        (RIGHT | {"tags": ["food", "Art"]}, False),
        (RIGHT | {"tags": [1]}, False),
        (RIGHT | {"sort": {"by": "name"}}, False),
        (RIGHT | {"sort": {"with": "price"}}, False),
        (RIGHT | {"stops": [{"at": "noon"}, {"at": "noon"}]}, False),
        (RIGHT | {"stops": [{"at": "dusk"}]}, False),
    ],
)
def test_a_call_is_right_by_the_leaderboard_s_rule(
    tasks: dict[str, Task], arguments: dict[str, Any], right: bool
) -> None:
    assert bare._score(tasks["simple_python"], calls(**arguments)) == float(right)


def test_how_many_calls_there_are_counts_and_none_is_right_where_no_tool_fits(tasks: dict[str, Task]) -> None:
    two = json.loads(calls(**RIGHT)) * 2
    assert bare._score(tasks["simple_python"], json.dumps(two)) == 0.0
    assert bare._score(tasks["simple_python"], "[]") == 0.0
    assert bare._score(tasks["simple_python"], calls(**RIGHT).replace("trip_plan", "trip")) == 0.0
    assert bare._score(tasks["irrelevance"], "[]") == 1.0
    assert bare._score(tasks["irrelevance"], calls(**RIGHT)) == 0.0


def test_both_arms_answer_with_their_first_calls_of_the_same_tools(store: Store, tasks: dict[str, Task]) -> None:
    offered: list[list[str]] = []

    def script(messages: list[Any], names: list[str]) -> Any:
        offered.append(names)
        return {"tool": "trip_plan", "arguments": RIGHT} if "New York" in messages[-1].text else "A feeling."

    model = ScriptedModel(script)
    with Agent(model, tools=[], store=store) as agent:
        for task in tasks.values():
            for row in (bare._bare(model, task), bare._agent(agent, task)):
                assert bare._score(task, row["answer"]) == 1.0 and row["calls"] == 1
    assert offered == [["trip_plan"]] * 4


def test_a_wheel_that_can_t_be_had_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTKIT_DATA", raising=False)
    monkeypatch.setattr(_bfcl, "pip_download", lambda requirement, folder: "ERROR: no index\nERROR: none at all\n")
    with pytest.raises(SystemExit, match=r"bfcl-eval==.* can't be downloaded \(ERROR: none at all\)"):
        _bfcl.wheel(tmp_path)
