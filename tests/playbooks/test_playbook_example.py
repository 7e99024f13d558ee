"""The example runs and learns."""

from __future__ import annotations

import importlib.util
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "playbook_in_langgraph.py"


async def test_the_graph_answers_better_after_one_lesson(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("playbook_in_langgraph", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert await module.main(tmp_path) == ["It is on its way.", "It arrives on Tuesday."]
