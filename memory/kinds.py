"""Kinds of task: tasks with the same instructions and the same answer form are of one kind."""

from __future__ import annotations

import json

from agentkit.embedding import text_hash
from agentkit.json_types import JsonObject
from agentkit.tasks import Task

_FORM = {"instructions", "choices", "answer_schema"}
"""The fields besides the input that say how a task is to be solved and answered."""


def kind_of(task: Task) -> str:
    """A short hash of the instructions and the answer form; empty if there are none."""
    said = asked_with(task)
    return text_hash(said)[:16] if said else ""


def asked_with(task: Task) -> str:
    """What the task says besides its input, as JSON; empty if nothing."""
    form = {name: value for name, value in _form(task).items() if value}
    return json.dumps(form, sort_keys=True) if form else ""


def choices_of(task: Task) -> tuple[str, ...]:
    """The possible answers, if they can be listed as texts."""
    form = task.answer_type
    listed = (form.choices if form is not None else None) or ()
    return tuple(listed) if all(isinstance(choice, str) for choice in listed) else ()


def _form(task: Task) -> JsonObject:
    return task.model_dump(include=_FORM)
