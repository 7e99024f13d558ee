"""A model that is made here, and a job that it can be taught in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agentkit.agent import Agent
from agentkit.settings import Settings
from agentkit.tasks import Task
from agentkit.training.examples import Example
from agentkit.training.lora import LoraSettings

LORA = LoraSettings(rank=4, alpha=8, rate=1e-2, epochs=6, threads=1)
"""What teaches the small model one answer."""


CHOICES = ("ok", "no", "red", "blue", "green", "five")


def question(number: int) -> Task:
    """What is asked, without the answer."""
    return Task(id=f"t{number}", input=f"say {number}", choices=CHOICES)


def tasks(first: int, count: int, *, target: str = "ok") -> list[Task]:
    known = {"target": target, "checker": "exact"}
    return [question(number).model_copy(update=known) for number in range(first, first + count)]


def example(number: int, *, answer: str = "ok", rejected: str | None = None) -> Example:
    chat = (("system", "The beginning that all share."), ("user", f"say {number}"))
    return Example(
        chat=chat, answer=answer, rejected=rejected, run_id=f"r{number}", task=str(number), source="label", trust="own"
    )


def agent_of(home: Path, model: Path, **options: Any) -> Agent:
    settings = Settings(home=home, concurrency=2)
    limits = {"n_ctx": 512, "n_threads": 1, "max_tokens": 24}
    return Agent(
        f"local/{model}",
        tools=[],
        settings=settings,
        store=f"sqlite:///{home}/a.db",
        model_options=limits,
        max_rounds=1,
        evaluate=False,
        **options,
    )
