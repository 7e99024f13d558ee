"""The HTML page of a report: no scripts, no network access, the picture embedded."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.sub, td.note, .small { color: #5b6770; } .small { font-size: .85rem; }
img { width: 100%; border: 1px solid #d9dee3; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #e6eaee; vertical-align: top; }
th { font-weight: 600; color: #5b6770; font-size: .85rem; } td.n, th.n { text-align: right; }
.accept { color: #2e8b57; font-weight: 600; } .reject { color: #b3443c; font-weight: 600; }
.quarantine, .ask { color: #9a6b00; font-weight: 600; }
.alarm { background: #fff4e0; border-left: 4px solid #d08a00; padding: .5rem .8rem; margin: .5rem 0; }
pre { white-space: pre-wrap; background: #f5f7f9; padding: .5rem; border-radius: 4px; margin: .3rem 0; }
.big { font-size: 1.25rem; }
"""


def page(report: Mapping[str, Any], png: bytes) -> str:
    """One self-contained page; text from models and tasks is escaped."""
    picture = base64.b64encode(png).decode()
    parts = [
        f"<h1>Evolution {escape(report['id'])}</h1>",
        f'<p class="sub">{escape(_about(report))}</p>',
        f'<p class="big">{_headline(report)}</p>',
        *(f'<div class="alarm">{escape(text)}</div>' for text in report["alarms"]),
        f'<img alt="learning curve, arms, categories, decisions" src="data:image/png;base64,{picture}">',
        "<h2>Arms</h2>",
        _arms(report),
        _seeds(report["seeds"]),
        "<h2>Cost per task</h2>",
        _costs(report["arms"]),
        "<h2>By category</h2>",
        _categories(report["categories"]),
        "<h2>Changes</h2>",
        _changes(report["changes"]),
        "<h2>Learning used</h2>",
        _usage(report["usage"]),
    ]
    title = f"AgentKit evolution {escape(report['id'])}"
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _about(report: Mapping[str, Any]) -> str:
    facts = [f"{name}: {value}" for name, value in report["about"].items() if value not in (None, "", [])]
    return " · ".join([f"status: {report['status']}", *facts])


def _headline(report: Mapping[str, Any]) -> str:
    arm = next((arm for arm in report["arms"] if arm["name"] == "learned"), None)
    if arm is None or arm["against_start"] is None:
        return "No tasks to score on."
    found = arm["against_start"]
    text = f"{found['before']:.3f} → {found['after']:.3f}, {_difference(found['difference'])} on {arm['accuracy']['n']}"
    changed = f"{found['wins']} tasks better, {found['losses']} worse, exact McNemar p = {found['p']:.3g}"
    return escape(f"{text} {report['scored_on']} tasks; {changed}.")


def _arms(report: Mapping[str, Any]) -> str:
    rows = []
    for arm in report["arms"]:
        found = arm["against_start"]
        compared = ["", "", ""]
        if found is not None:
            compared = [_difference(found["difference"]), f"{found['wins']} / {found['losses']}", f"{found['p']:.3g}"]
        rows.append([arm["label"], arm["accuracy"]["n"], _interval(arm["accuracy"]), *compared, arm["failed"] or ""])
    head = ["arm", "n", "accuracy [95 %]", "difference to start [95 %]", "better / worse", "p", "failed runs"]
    return _table(head, rows)


def _seeds(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    cells = [
        [
            row["label"],
            row["seeds"],
            _interval(row["accuracy"]),
            _difference(row["difference"]),
            f"{row['p']:.3g}",
            ", ".join(f"{value:.3f}" for value in row["by_seed"]),
        ]
        for row in rows
    ]
    head = ["arm", "seeds", "accuracy [95 %]", "difference to start [95 %]", "p", "each seed"]
    return "<h2>All seeds together</h2>" + _table(head, cells)


def _costs(arms: Sequence[Mapping[str, Any]]) -> str:
    names = ("calls", "input_tokens", "cached_tokens", "output_tokens", "cost", "seconds")
    head = ["arm", "calls", "input tokens", "of them cached", "output tokens", "US $", "model seconds"]
    rows = [[arm["label"], *(_figure(arm["per_task"][name], name) for name in names)] for arm in arms]
    return _table(head, rows)


def _categories(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [
        [row["category"], row["n"], f"{row['before']:.3f}", f"{row['after']:.3f}", _difference(row["difference"])]
        for row in rows
    ]
    return _table(["category", "n", "before", "after", "difference [95 %]"], cells) if rows else "<p>None.</p>"


def _changes(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "<p>Nothing was proposed.</p>"
    cells = []
    for row in rows:
        operations = "".join(f"<pre>{escape(_operation(item))}</pre>" for item in row["operations"][:8])
        evidence = escape(json.dumps(row["evidence"], ensure_ascii=False)[:1500])
        more = f'<details><summary class="small">evidence</summary><pre class="small">{evidence}</pre></details>'
        cells.append(
            f'<tr><td><span class="{row["decision"]}">{row["decision"]}</span><br>'
            f'<span class="small">{escape(row["id"][:10])}<br>{escape(row["status"])}</span></td>'
            f"<td>{escape(row['target'])}</td><td>{operations}</td><td>{escape(row['reason'])}{more}</td></tr>"
        )
    head = "<tr><th>verdict</th><th>target</th><th>change</th><th>why</th></tr>"
    return f"<table>{head}{''.join(cells)}</table>"


def _operation(operation: Mapping[str, Any]) -> str:
    content = operation.get("content") or operation.get("contents")
    rest = {key: value for key, value in operation.items() if key not in ("op", "content", "contents")}
    about = ", ".join(f"{key}: {value}" for key, value in rest.items() if value not in ("", None))[:300]
    return f"{operation.get('op', '?')} {content or ''}" + (f"\n({about})" if about else "")


def _usage(usage: Mapping[str, Any]) -> str:
    names = ("calls", "input_tokens", "cached_tokens", "output_tokens", "cost", "seconds")
    return _table(
        ["calls", "input tokens", "of them cached", "output tokens", "US $", "model seconds"],
        [[_figure(usage[name], name) for name in names]],
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _interval(found: Mapping[str, Any]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _difference(found: Mapping[str, Any]) -> str:
    return f"{found['value']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


def _figure(value: float, name: str) -> str:
    return f"{value:.5f}" if name == "cost" else f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
