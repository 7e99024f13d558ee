"""The latest figures of every benchmark compared with their targets, as Markdown: `python -m benchmarks.figures`.

It reads benchmarks/results/ and writes benchmarks/README.md; nothing in that table is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._results import FOLDER, cells

PAGE = FOLDER.parent / "README.md"
MOST = 40
"""For a file with more rows than this, only rows with a target are shown."""
HEAD = """\
# What was measured

Every table below was written by the command above it, on a machine with two cores and no GPU that at times did other
work too: ratios to a peer in the same run can be trusted nevertheless, seconds can't. The files in [results/](results/)
have all rows, the settings and the commit. `python -m benchmarks.figures` makes this page from them.

The figures of 2026-12-01 from bare, streams, self_training and evidence_inference were measured with llama.cpp's CPU
kernels compiled for AVX-512 in place of the wheel's for AVX2: 1.35 times as fast, and rounded differently.
"""
_LIMIT = re.compile(r"^(≥|≤|<|>)?\s*([+−-]?[\d.,]+)\s*(%)?")


def main() -> None:
    PAGE.write_text(page(FOLDER), encoding="utf-8")


def page(folder: Path) -> str:
    """The missed targets, then a section for each results file, in the order of their names."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return "\n".join([HEAD, *missed(files), *sections(files)])


def missed(files: list[dict[str, Any]]) -> Iterator[str]:
    """How many of the figures with a target reach it, and a table of those that don't."""
    judged = [(found, row, said) for found in files for row in found["rows"] if (said := verdict(row))]
    short = [(found, row) for found, row, said in judged if said != "yes"]
    yield f"Of {len(judged)} figures with a target, {len(judged) - len(short)} meet it. Those that miss it:\n"
    yield "| benchmark | arm | metric | value | 95 % interval | n | wanted |\n|---|---|---|---|---|---|---|"
    for found, row in short:
        yield "| " + " | ".join([f"{found['benchmark']}, {found['label']}", *_cells(row)]) + " |"
    yield ""


def sections(files: list[dict[str, Any]]) -> Iterator[str]:
    """The rows of each results file."""
    for found in files:
        yield f"## {found['benchmark']}, {found['label']}\n\n`{found['command']}` · {found['date'][:10]}\n"
        yield "| arm | metric | value | 95 % interval | n | wanted | met |\n|---|---|---|---|---|---|---|"
        rows = found["rows"]
        if len(rows) > MOST:
            rows = [row for row in rows if row.get("target")] or rows
        for row in rows:
            yield "| " + " | ".join([*_cells(row), verdict(row)]) + " |"
        yield ""
        for note in found["notes"]:
            yield f"{note}\n"


def _cells(row: dict[str, Any]) -> list[str]:
    return [text.replace("|", "\\|") for text in cells(row)]


def verdict(row: dict[str, Any]) -> str:
    """Whether a value reaches its target; empty if there is no target, or none that can be compared."""
    limit = _LIMIT.match(row.get("target") or "")
    if limit is None or row["value"] is None:
        return ""
    sign, number, percent = limit.groups()
    bound = float(number.replace("−", "-").replace(",", "")) / (100 if percent else 1)
    value = row["value"]
    kept = {"≥": value >= bound, "≤": value <= bound, "<": value < bound, ">": value > bound, None: value == bound}
    return "yes" if kept[sign] else "**no**"


if __name__ == "__main__":
    main()
