"""Every example of docs/models.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from agentkit import models
from agentkit.testing import ScriptedModel

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"


def test_the_examples_run_on_scripted_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def scripted(name: str, **options: Any) -> ScriptedModel:
        return ScriptedModel(["101"] if options else [{"name": "Prado", "country": "Spain"}])

    class Fake(DeterministicFakeEmbedding):
        dimension: int = 8

    monkeypatch.setattr(models, "load_model", scripted)
    monkeypatch.setattr(models, "load_embedder", lambda name: Fake(size=8))
    shared: dict[str, Any] = {"__name__": "example"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec", dont_inherit=True), shared)  # noqa: S102 - our own page
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "101" and second.startswith("name='Prado' country='Spain' Usage(") and third == "8 2"


def test_every_error_it_names_is_one_of_ours() -> None:
    from agentkit import errors

    section = PAGE.read_text(encoding="utf-8").split("## What goes wrong")[1]
    named = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert named and all(issubclass(getattr(errors, name), errors.AgentKitError) for name in named)
