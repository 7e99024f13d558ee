"""An adapter in `evolve`: trained on a batch's runs, through the same gates, with the same way back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from agentkit.adapters import of_change
from agentkit.agent import Agent
from agentkit.evolution.config import EvolveConfig
from agentkit.evolution.gate import GatePolicy
from agentkit.evolution.harness import trials_for
from agentkit.evolution.probation import ProbationPolicy, Watch
from agentkit.evolution.run import EvolutionReport, evolve
from agentkit.ledger import Change, Ledger, Verdict
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
    assert second.learned.notes[0].note == "trained on 24 examples, 24 new"
    assert report.evolved.chosen == {"adapter:a": 1}
    start, learned = report.arms[:2]
    assert (start.estimate.value, learned.estimate.value) == (0, 1)
    again = evolved(tmp_path, tiny, config)
    assert again.evolved.chosen == report.evolved.chosen and again.evolved.usage == report.evolved.usage
    with agent_of(tmp_path, tiny, adapter="a") as agent:
        assert agent.run(question(555)).answer == "ok"


async def test_on_probation_what_wins_is_released_and_harm_is_taken_back(agent: Agent) -> None:
    said = (await agent.arun(question(900), run_id="said")).answer
    part: Any = adapter_part(agent, "a")[0]
    policy = ProbationPolicy(share=1.0, pairs=8, harm_level=0.2)
    good = part.adapters.ledger.at(part.target, 1)
    watch = Watch([part], trials_for(agent), Ledger(agent.store), evolution="e", policy=policy)
    (record,) = await watch.watch(tasks(100, 8), [good.id], key="one")
    assert (record.outcome, sum(record.differences), part.version()) == ("released", 8, 1)
    part.rollback(0, key="k", reason="begin with the bare model")
    bad = again(part, good)
    kept = [task.model_copy(update={"target": said, "input": "say 900"}) for task in tasks(900, 12)]
    (record,) = await watch.watch(kept, [good.id, bad.id], key="two")
    assert record.change == bad.id and record.outcome == "worse"
    assert Ledger(agent.store).get(bad.id).status == "withdrawn"
    assert part.adapters.at(part.version()) is None, "the bare model, which was in force before it"
    version = part.version()
    part.withdraw(bad, reason="once more")
    assert part.version() == version


def again(part: Any, change: Change) -> Change:
    """The adapter of a change put in force once more, as on probation."""
    found = of_change(change)
    assert found is not None
    proposed = part.adapters.propose(replace(found, training=f"again-{part.version()}"))
    return part.apply(proposed, Verdict(decision="accept", reason="on probation"))  # type: ignore[no-any-return]


def test_what_replaced_a_withdrawn_adapter_is_not_taken_back_to_it(agent: Agent) -> None:
    part: Any = adapter_part(agent, "a")[0]
    first = part.adapters.ledger.at(part.target, 1)
    second = again(part, first)
    part.withdraw(first, reason="it did harm")
    assert part.version() == 2, "a later adapter has replaced it whole"
    part.withdraw(second, reason="it did harm too")
    assert part.adapters.at(part.version()) is None
