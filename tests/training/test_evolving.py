"""An adapter in `evolve`: trained on a batch's runs, through the same gates, with the same way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentkit.adapters import AdapterStore
from agentkit.evolution.config import EvolveConfig
from agentkit.evolution.gate import GatePolicy
from agentkit.evolution.probation import ProbationPolicy
from agentkit.evolution.run import EvolutionReport, evolve
from agentkit.training import adapter_part
from tests.training.small import LORA, agent_of, question, tasks


def evolved(home: Path, tiny: Path, config: EvolveConfig, *, target: str = "ok", **more: Any) -> EvolutionReport:
    with agent_of(home, tiny) as agent:
        held_out = tasks(100, 24)
        also = [adapter_part(agent, "a", lora=LORA, held_out=held_out)]
        given = {"val": held_out, "test": tasks(200, 8), **more}
        return evolve(agent, tasks(0, 24, target=target), also=also, config=config, folder=home / "report", **given)


def test_an_adapter_evolves_through_the_gate_and_the_report_has_it(tiny: Path, tmp_path: Path) -> None:
    config = EvolveConfig(batch=12, gate=GatePolicy(level=0.2), selection=0.3)
    report = evolved(tmp_path, tiny, config)
    first, second = report.evolved.batches
    assert first.learned.proposals == () and first.learned.notes[0].note.startswith("12 examples so far: 16 are needed")
    assert [verdict.decision for verdict in report.evolved.verdicts.values()] == ["accept"]
    assert second.learned.notes[0].note == "trained on 24 examples, 12 new"
    assert report.evolved.chosen == {"adapter:a": 1}
    start, learned = report.arms[:2]
    assert (start.estimate.value, learned.estimate.value) == (0, 1)
    again = evolved(tmp_path, tiny, config)
    assert again.evolved.chosen == report.evolved.chosen and again.evolved.usage == report.evolved.usage
    with agent_of(tmp_path, tiny, adapter="a") as agent:
        assert agent.run(question(555)).answer == "ok"


@pytest.mark.parametrize(("later", "version", "outcome"), [("ok", 1, "released"), ("green", 2, "worse")])
def test_on_probation_an_adapter_that_does_harm_is_taken_back(
    tiny: Path, tmp_path: Path, later: str, version: int, outcome: str
) -> None:
    """What the tasks want changes after it was trained: it goes on winning, or it begins to lose."""
    with agent_of(tmp_path, tiny) as agent:
        said = agent.run(question(900), run_id="said").answer
        rows = [*tasks(0, 16), *tasks(30, 32, target=later if later == "ok" else str(said))]
        policy = ProbationPolicy(share=1.0, pairs=16, harm_level=0.2)
        config = EvolveConfig(batch=16, online=True, mode="probation", probation=policy)
        also = [adapter_part(agent, "a", lora=LORA)]
        report = evolve(agent, rows, also=also, config=config, folder=tmp_path / "report", controls=False)
        watched = [item.outcome for batch in report.evolved.batches for item in batch.settled.watched]
        adapters = AdapterStore(agent.store, "a", folder=tmp_path / "adapters")
        assert outcome in watched and (adapters.version() == version or later == "ok"), (watched, adapters.version())
        assert (adapters.at(adapters.version()) is None) == (outcome == "worse")
