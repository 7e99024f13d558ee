"""The report of a round of training: the loss curve, the examples, and the gate's verdict."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from agentkit.pictures import save_png
from agentkit.training.examples import Example, read_examples

SHOWN = 20
"""The number of examples on the page."""


def write_report(found: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Write `report.json`, `loss.png` and a page with both, beside the training's examples; returns their paths."""
    paths = {name: folder / name for name in ("report.json", "loss.png", "report.html")}
    paths["report.json"].write_text(json.dumps(found, indent=1, ensure_ascii=False, default=str), encoding="utf-8")
    draw_losses(found["losses"], paths["loss.png"])
    text = _page(found, read_examples(folder / "examples.jsonl"), paths["loss.png"].read_bytes())
    paths["report.html"].write_text(text, encoding="utf-8")
    return paths


def draw_losses(losses: list[float], path: Path) -> None:
    """Plot the loss of each step, and its mean over the last ten."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    steps = range(1, len(losses) + 1)
    means = [sum(losses[max(0, n - 10) : n]) / min(n, 10) for n in steps]
    axis.plot(steps, losses, color="#d9dee3", label="of each step")
    axis.plot(steps, means, color="#2563a8", label="mean of the last ten")
    axis.set_xlabel("step")
    axis.set_ylabel("loss, answer tokens alone")
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    save_png(figure, path)


def _page(found: Mapping[str, Any], examples: list[Example], png: bytes) -> str:
    change, verdict = found["change"], found["verdict"]
    facts = {
        "collected": found["collected"],
        "left out": found["skipped"],
        "examples": found["examples"],
        "speed": f"{found['speed']:.0f} tokens a second" if found["speed"] else "",
        "the two engines": found["agreement"],
        "by kind": "; ".join(f"{kind}: {row['won']} won, {row['lost']} lost" for kind, row in found["kinds"].items()),
        "verdict": f"{verdict['decision']}: {verdict['reason']}",
        "version": change["version"] or "",
    }
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(text))}</td></tr>" for name, text in facts.items())
    shown = "".join(_example(item) for item in examples[:SHOWN])
    picture = f'<img alt="loss" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
    title = f"{escape(change['target'])}, change {escape(change['id'])}"
    style = "body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem}"
    style += "th{text-align:left;padding-right:1rem;vertical-align:top}img{max-width:100%}pre{white-space:pre-wrap}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style>'
        f"</head><body><h1>{title}</h1><table>{rows}</table>{picture}"
        f"<h2>The first {min(SHOWN, len(examples))} of {len(examples)} examples</h2>{shown}</body></html>\n"
    )


def _example(example: Example) -> str:
    asked = escape(example.chat[-1][1])
    instead = f"<p>instead of</p><pre>{escape(example.rejected)}</pre>" if example.rejected else ""
    head = f"{escape(example.run_id)} · {escape(example.source)} · {escape(example.trust)} · {example.hash}"
    return f"<h3>{head}</h3><pre>{asked}</pre><p>wanted</p><pre>{escape(example.answer)}</pre>{instead}"
