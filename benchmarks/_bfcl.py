"""Single-turn tool calls of the Berkeley Function Calling Leaderboard: its questions, its tools, and its rule.

The data come from the published wheel `bfcl-eval` (Apache-2.0), which is read as a file, never installed or imported.
The rule is that of its `ast_checker.py` for Python, rewritten for calls that are already data: nothing that a model
says is evaluated. Left out are questions that want several calls in one reply, which the grammar of local models
doesn't allow, and questions in Java and JavaScript.
"""

from __future__ import annotations

import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentkit.ledger import digest
from agentkit.models.wheels import pip_download
from agentkit.tasks import Task
from agentkit.tools.client import client_tools

WHEEL = "bfcl-eval==2026.3.23"
CATEGORIES = ("simple_python", "multiple", "live_simple", "live_multiple", "irrelevance")
"""`irrelevance` offers a tool that doesn't fit: no call is right."""

_SCHEMA_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
"""Types of the data that JSON schema does not have."""
_TYPES: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": str,
}


def wheel(folder: Path | None) -> Path:
    """The wheel: in the data folder or the given one, below `bfcl`, else downloaded with pip into build/bfcl."""
    root = os.environ.get("AGENTKIT_DATA")
    own = Path("build/bfcl")
    for place in (folder and folder / "bfcl", root and Path(root) / "bfcl", own):
        if place and (found := sorted(place.glob("bfcl_eval-*.whl"))):
            return found[0]
    if complaint := pip_download(WHEEL, own):
        sys.exit(f"error: {WHEEL} can't be downloaded ({complaint.strip().splitlines()[-1]}): put its wheel into {own}")
    return sorted(own.glob("bfcl_eval-*.whl"))[0]


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """The questions, with the right calls as `answers`: none if no tool fits."""
    with zipfile.ZipFile(path) as archive:
        for category in CATEGORIES:
            name = f"BFCL_v4_{category}.json"
            right = {}
            if category != "irrelevance":
                known = _lines(archive, f"bfcl_eval/data/possible_answer/{name}")
                right = {row["id"]: row["ground_truth"] for row in known}
            for row in _lines(archive, f"bfcl_eval/data/{name}"):
                yield {**row, "category": category, "answers": right.get(row["id"], [])}


def _lines(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read(name).decode().split("\n") if line.strip()]


def task_of(row: Mapping[str, Any]) -> Task:
    """A question as a user would ask it, with its tools in the metadata, in the form of `Agent.run(client_tools=…)`."""
    [turn] = row["question"]
    told = "\n\n".join(message["content"] for message in turn if message["role"] == "system")
    return Task(
        id=f"bfcl-{row['id']}",
        input="\n\n".join(message["content"] for message in turn if message["role"] == "user"),
        instructions=told or None,
        target=json.dumps(row["answers"]),
        metadata={
            "category": row["category"],
            "functions": row["function"],
            "tools": [_tool(function) for function in row["function"]],
        },
    )


def tool_name(name: str) -> str:
    """A function's name in a form that providers accept: like the leaderboard, with `_` for a dot."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64]


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    spec = {
        "name": tool_name(function["name"]),
        "description": function.get("description", ""),
        "parameters": _schema(function["parameters"]),
    }
    client_tools([spec])  # reports errors at once
    return spec


def _schema(given: Any) -> Any:
    """Parameters as JSON schema."""
    if isinstance(given, list):
        return [_schema(item) for item in given]
    if not isinstance(given, Mapping):
        return given
    kind = given.get("type")
    named = {"type": _SCHEMA_TYPES.get(kind, kind)} if isinstance(kind, str) else {}
    return {key: _schema(value) for key, value in given.items()} | named


def score(task: Task, text: str | None) -> float:
    """Whether the calls, as JSON, are the right ones."""
    calls = json.loads(text) if text else []
    answers = json.loads(task.target or "[]")
    if len(calls) != len(answers):
        return 0.0
    functions = {function["name"]: function for function in task.metadata["functions"]}
    return float(all(fits(call, functions, answer) for call, answer in zip(calls, answers, strict=True)))


def fits(call: Mapping[str, Any], functions: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    """Whether a call is the right one: the function, every required parameter, no other parameter, and right values.

    Args:
        call: `{"name", "arguments"}`.
        answer: `{function: {parameter: [right values]}}`; "" among the values means that the parameter may be left out.
    """
    [(name, wanted)] = answer.items()
    details, given = functions[name]["parameters"], call["arguments"]
    if call["name"] != tool_name(name) or not set(details.get("required", ())) <= given.keys():
        return False
    if any(parameter not in given and "" not in values for parameter, values in wanted.items()):
        return False
    known = details["properties"]
    return all(
        parameter in known and parameter in wanted and _right(known[parameter], value, wanted[parameter])
        for parameter, value in given.items()
    )


def _right(detail: Mapping[str, Any], value: Any, possible: Sequence[Any]) -> bool:
    kind = detail["type"]
    expected = _TYPES[kind]
    inner = detail.get("items", {}).get("type") if expected is list else None
    nested = None if inner is None else _TYPES[inner]
    if kind == "float" and type(value) is int:
        value = float(value)
    typed, variable = _typed(value, possible, expected, nested)
    if not typed:
        return False
    if variable:  # the name of a variable stands for the value
        return value in possible
    if expected is dict:
        return any(_same_object(value, item) for item in possible if item != "")
    if expected is list and nested is dict:
        return any(_same_objects(value, item) for item in possible)
    return _plain(value) in [_plain(item) for item in possible]


def _typed(value: Any, possible: Sequence[Any], expected: type, nested: type | None) -> tuple[bool, bool]:
    """Whether the value has a right type, and whether it is a variable's name instead."""
    known = next((type(item) for item in possible if item != ""), None)
    if type(value) is not expected:
        return (True, True) if known is not None and type(value) is known else (False, False)
    if nested is not None and not any(
        not isinstance(item, list) or all(_typed(part, item, nested, None)[0] for part in value) for item in possible
    ):
        return False, False
    return True, known is not None and known is not expected


def _plain(value: Any) -> Any:
    """A text without spaces, case and most punctuation, which don't matter here; likewise for the texts of a list."""
    if isinstance(value, str):
        return re.sub(r"[ ,./\-_*^]", "", value).lower().replace("'", '"')
    return [_plain(item) if isinstance(item, str) else item for item in value] if isinstance(value, list) else value


def _same_object(value: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    if any("" not in items for key, items in answer.items() if key not in value):
        return False
    return all(
        key in answer and _plain_text(item) in [_plain_text(other) for other in answer[key]]
        for key, item in value.items()
    )


def _plain_text(value: Any) -> Any:
    return _plain(value) if isinstance(value, str) else value


def _same_objects(values: Sequence[Any], answers: Sequence[Any]) -> bool:
    return len(values) == len(answers) and all(
        isinstance(value, dict) and isinstance(answer, dict) and _same_object(value, answer)
        for value, answer in zip(values, answers, strict=True)
    )


def tasks(folder: Path | None, limit: int, seed: int) -> list[Task]:
    rows = sorted(rows_of(wheel(folder)), key=lambda row: digest([seed, row]))
    return [task_of(row) for row in rows[:limit]]
