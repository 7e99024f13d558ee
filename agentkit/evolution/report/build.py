"""The report of an evolution: JSON, one picture, and one self-contained HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentkit.evolution.arms import Arm, by_category, pooled
from agentkit.evolution.config import Evolved
from agentkit.json_types import JsonObject
from agentkit.ledger import Ledger
from agentkit.statistics.estimates import proportion
from agentkit.store import Store


def build_report(
    evolved: Evolved, arms: Sequence[Arm], *, store: Store, about: Mapping[str, Any], scored_on: str = "test"
) -> JsonObject:
    """Everything about one evolution, as JSON values.

    Args:
        arms: "start" and "learned" first, then controls.
        about: model, files and settings, for the head of the page.
        scored_on: the tasks that the arms ran on.
    """
    start = next((arm for arm in arms if arm.name == "start"), None)
    learned = next((arm for arm in arms if arm.name == "learned"), None)
    return {
        "id": evolved.id,
        "status": evolved.status,
        "about": dict(about),
        "scored_on": scored_on,
        "start": evolved.start,
        "chosen": evolved.chosen,
        "arms": [arm.to_json(start) for arm in arms],
        "categories": by_category(start, learned) if start and learned else [],
        "curve": learning_curve(evolved),
        "validation": validation_curve(evolved),
        "changes": changes(evolved, store),
        "alarms": alarms(evolved),
        "usage": evolved.usage.to_json(),
        "seeds": [],
    }


def join_seeds(reports: Sequence[JsonObject], arms: Sequence[Sequence[Arm]]) -> JsonObject:
    """The first seed's report with a table that pools all seeds."""
    starts = [next(arm for arm in group if arm.name == "start") for group in arms]
    names = list(dict.fromkeys(arm.name for group in arms for arm in group))
    rows = []
    for name in names:
        found = [(arm, start) for group, start in zip(arms, starts, strict=True) for arm in group if arm.name == name]
        rows.append(pooled([arm for arm, _ in found], [start for _, start in found]))
    return {**reports[0], "seeds": rows, "runs": [report["id"] for report in reports]}


def learning_curve(evolved: Evolved, *, window: int = 40) -> list[JsonObject]:
    """Accuracy on the last `window` training tasks, each scored before it was learnt from. There is one point per task,
    plus one at the end of each batch (`batch` counts them) with the changes decided and the tokens used by then."""
    scores: list[float] = []
    counts = {"accepted": 0, "rejected": 0, "tokens": 0}
    points: list[JsonObject] = [{"tasks": 0, **counts, "batch": 0}]
    for number, record in enumerate(evolved.batches, 1):
        for score in record.learned.scores:
            if score is not None:
                scores.append(score)
                points.append({"tasks": len(scores), **counts, **proportion(scores[-window:]).to_json()})
        decisions = [verdict.decision for verdict in record.settled.verdicts.values()]
        counts = {
            "accepted": counts["accepted"] + decisions.count("accept"),
            "rejected": counts["rejected"] + decisions.count("reject"),
            "tokens": record.usage.tokens,
        }
        points.append({**points[-1], **counts, "batch": number})
    return points


def validation_curve(evolved: Evolved) -> list[JsonObject]:
    """Each candidate's score on the selection tasks, against the number of training tasks seen by then."""
    sizes = [0]
    for record in evolved.batches:
        sizes.append(sizes[-1] + len(record.learned.tasks))
    return [
        {
            "tasks": sizes[candidate.step],
            "versions": candidate.versions,
            "chosen": candidate.versions == evolved.chosen,
            **(proportion(list(candidate.scores)).to_json() if candidate.scores else {}),
        }
        for candidate in evolved.candidates
    ]


def changes(evolved: Evolved, store: Store) -> list[JsonObject]:
    """Every proposal with its verdict and evidence, in the order of the decisions."""
    ledger = Ledger(store)
    rows = []
    for id, verdict in evolved.verdicts.items():
        change = ledger.get(id)
        rows.append(
            {
                "id": id,
                "target": change.target,
                "kind": change.kind,
                "run_id": change.run_id,
                "status": change.status,
                "operations": list(change.operations),
                **verdict.to_json(),
            }
        )
    return rows


def alarms(evolved: Evolved) -> list[str]:
    """Signs of a loop that silently does nothing, which is the most common way for learning to fail."""
    found = []
    failed = sum(len(record.learned.failed) for record in evolved.batches)
    notes = [note for record in evolved.batches for note in record.learned.notes]
    broken = [note.note for note in notes if note.note.startswith("failed")]
    if failed:
        found.append(f"{failed} training runs failed")
    if broken:
        found.append(f"{len(broken)} lessons failed; the first {broken[0]}")
    if evolved.batches and not evolved.verdicts:
        found.append("nothing was proposed: check that the reflector answers and that some tasks are answered wrongly")
    spent = sum(verdict.reason.startswith("the hold-out was used") for verdict in evolved.verdicts.values())
    if spent:
        found.append(f"{spent} changes were not tested because the hold-out was used too often")
    return found


def write_report(report: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Write `report.json`, `report.png` and `report.html`; returns their paths."""
    from agentkit.evolution.report.page import page
    from agentkit.evolution.report.picture import draw

    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"report.{kind}" for kind in ("json", "png", "html")}
    paths["json"].write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(report, paths["png"])
    paths["html"].write_text(page(report, paths["png"].read_bytes()), encoding="utf-8")
    return paths
