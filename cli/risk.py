"""The risk–coverage table (the accuracy gained by declining), and the effect of following the evaluator."""

from __future__ import annotations

from agentkit.cli.output import print_table, say
from agentkit.json_types import JsonObject

_WIDTH = 24


def show_risk(risk: JsonObject | None, *, calibrated: bool) -> None:
    """Print and draw how many of the more confident answers are right, for each share of tasks that is answered."""
    if risk is None:
        return
    sure = "confidence" if calibrated else "probability"
    rows = [
        (
            f"{point['coverage']:.0%}",
            point["n"],
            f"{point['threshold']:.3f}",
            f"{point['accuracy']:.3f}",
            "█" * round(_WIDTH * point["accuracy"]),
        )
        for point in risk["points"]
    ]
    print_table(("answered", "n", f"{sure} from", "right", "0 … 1"), rows, title="Accuracy gained by declining")
    rank = "–" if risk["auroc"] is None else f"{risk['auroc']:.3f}"
    missing = "" if calibrated else ", not calibrated: agentkit calibrate TASKS.jsonl"
    say(f"AUROC {rank}, right at half coverage {risk['half']:.3f}, by {sure}{missing}")


def show_levels(levels: JsonObject | None) -> None:
    """Print how often the evaluator kept right answers and corrected wrong ones; nothing if it was not asked."""
    if levels is None:
        return
    kept, mended, relative = (
        "–" if levels[name] is None else f"{levels[name]:.3f}" for name in ("confidence", "critique", "relative")
    )
    say(
        f"evaluator, on {levels['n']} answers: right {levels['before']:.3f} before, {levels['after']:.3f} after; keeps "
        f"{kept} of the right ones, corrects {mended} of the wrong ones, relative score {relative}, net effect "
        f"{levels['effect']:+.3f}, at least {levels['bound']:+.3f}"
    )
