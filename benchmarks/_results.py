"""Shared by all benchmarks: arguments, intervals, a table on the terminal, and a JSON file that records where figures
come from.

    args = arguments("planted", "what it measures").parse_args()
    results = Results("planted", settings=vars(args))
    results.add(arm="gate", metric="placebo accepted", **share(3, 100))
    results.add(arm="gate", metric="calls", **mean([120, 140, 90]))
    results.finish(json_=args.json)

Each row is one arm and one metric with its value, its 95 % interval and n. `finish` prints the table (or the JSON) and
writes `benchmarks/results/NAME-LABEL.json` with the command, the git commit and the settings.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


def arguments(name: str, about: str, *, out: bool = True) -> argparse.ArgumentParser:
    """An argument parser with the options of every benchmark: `--json`, `--out`, `--label`."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about)
    parser.add_argument("--json", action="store_true", help="print JSON rather than a table")
    if out:
        parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the results (default: %(default)s)")
        parser.add_argument("--label", default="default", help="name of this configuration, part of the file's name")
    return parser


def data_path(given: Path | None, *parts: str) -> Path:
    """A data file: the given path, else below AGENTKIT_DATA; ends the program with one line if it is missing."""
    root = os.environ.get("AGENTKIT_DATA")
    path = given or (Path(root).joinpath(*parts) if root else None)
    if path is None or not path.exists():
        sys.exit(f"error: {'/'.join(parts)} not found: give its path, or set AGENTKIT_DATA to the folder of data")
    return path


def share(hits: float, n: int) -> dict[str, Any]:
    """A share with its Wilson 95 % interval, as keyword arguments of `Results.add`."""
    if n == 0:
        return {"value": None, "n": 0}
    z, p = 1.959964, hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return {"value": p, "low": max(0.0, middle - half), "high": min(1.0, middle + half), "n": n}


def mean(values: Sequence[float], *, resamples: int = 4000, seed: int = 0) -> dict[str, Any]:
    """A mean with its bootstrap 95 % interval (percentile), as keyword arguments of `Results.add`."""
    import numpy as np

    if not values:
        return {"value": None, "n": 0}
    data = np.asarray(values, dtype=float)
    draws = np.random.default_rng(seed).choice(data, size=(resamples, len(data))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"value": float(data.mean()), "low": float(low), "high": float(high), "n": len(data)}


def paired(after: Sequence[float], before: Sequence[float], *, seed: int = 0) -> dict[str, Any]:
    """The mean paired difference with its bootstrap 95 % interval."""
    return mean([a - b for a, b in zip(after, before, strict=True)], seed=seed)


class Results:
    """The rows of one benchmark run.

    Args:
        name: of the benchmark.
        settings: what it ran with: sizes, seeds, model. Only the last part of a path is kept.
        label: distinguishes several configurations of one benchmark in the results folder.
    """

    def __init__(self, name: str, *, settings: Mapping[str, Any] | None = None, label: str = "default") -> None:
        self.name, self.label = name, label
        hidden = ("json", "out", "label")
        self.settings = {key: _plain(value) for key, value in (settings or {}).items() if key not in hidden}
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._started = time.monotonic()

    def add(
        self,
        *,
        arm: str,
        metric: str,
        value: float | None,
        low: float | None = None,
        high: float | None = None,
        n: int | None = None,
        unit: str = "",
        target: str = "",
        **more: Any,
    ) -> None:
        """One row. `target` says what was wanted (`"≤ 5 %"`); `more` goes into the JSON alone."""
        row = {"arm": arm, "metric": metric, "value": value, "low": low, "high": high, "n": n, "unit": unit}
        self.rows.append({**row, "target": target, **more})

    def note(self, text: str) -> None:
        """Add a remark about the figures, such as why something was not measured."""
        self.notes.append(text)

    def to_json(self) -> dict[str, Any]:
        return {
            "benchmark": self.name,
            "label": self.label,
            "command": _command(),
            "commit": commit(),
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
            "seconds": round(time.monotonic() - self._started, 1),
            "settings": self.settings,
            "rows": self.rows,
            "notes": self.notes,
        }

    def table(self) -> str:
        """The rows as aligned text, with intervals."""
        head = ("arm", "metric", "value", "95 % interval", "n", "wanted")
        lines = [head, *(cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        text.insert(1, "  ".join("─" * width for width in widths))
        return "\n".join([*(line.rstrip() for line in text), *(f"note: {note}" for note in self.notes)])

    def finish(self, *, json_: bool = False, folder: Path | None = None) -> Path:
        """Print the results, write the file, and return its path."""
        print(json.dumps(self.to_json(), indent=1, ensure_ascii=False) if json_ else self.table())
        return self.save(folder)

    def save(self, folder: Path | None = None) -> Path:
        """Write the file as it is now; a long run calls this repeatedly."""
        data = json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        folder = folder or FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}-{self.label}.json"
        path.write_text(data, encoding="utf-8")
        return path


def commit() -> str:
    """The git commit of this checkout, with `+` if Python files differ from it."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
            encoding="utf-8",
        ).stdout.strip()
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "*.py"], cwd=here.parent, check=False)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed.returncode else "")


def _command() -> str:
    module = getattr(sys.modules.get("__main__"), "__spec__", None)
    program = f"python -m {module.name}" if module else Path(sys.argv[0]).name
    return shlex.join([*program.split(), *(str(_plain(Path(a))) if a.startswith("/") else a for a in sys.argv[1:])])


def _plain(value: Any) -> Any:
    """A value for JSON; absolute paths lose the folders of this machine."""
    if isinstance(value, Path):
        return value.name if value.is_absolute() else str(value)
    return value if isinstance(value, int | float | str | bool | list | dict | None) else str(value)


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A row as text: arm, metric, value, interval, n, target."""
    interval = "" if row["low"] is None else f"{_number(row['low'])} … {_number(row['high'])}"
    value = _number(row["value"]) + (f" {row['unit']}" if row["unit"] else "")
    return (row["arm"], row["metric"], value, interval, "" if row["n"] is None else str(row["n"]), row["target"])


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
