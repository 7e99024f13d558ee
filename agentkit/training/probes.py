"""Probes of abilities that training must not harm: general instructions, given context, refusals, JSON, plain text."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from agentkit.tasks import Task

KINDS = ("instructions", "context", "refusals", "json", "text")


@cache
def general_probes() -> tuple[Task, ...]:
    """Eight probes of each kind. Answers are compared ignoring case and the final full stop, and nothing else."""
    rows = tomllib.loads((Path(__file__).parent / "probes.toml").read_text(encoding="utf-8"))["probe"]
    tasks = []
    for number, row in enumerate(rows):
        about = {"category": f"{row.pop('kind')} (probe)"}
        tasks.append(Task.model_validate({"id": f"probe-{number}", "checker": "exact", **row, "metadata": about}))
    return tuple(tasks)
