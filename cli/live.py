"""Live progress of a run: who speaks, which tool runs, tokens and cost. Without a terminal, one line per event."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner

from agentkit.json_types import JsonObject
from agentkit.text import clipped, printable

if TYPE_CHECKING:
    from agentkit.graph.events import Event

_WIDTH = 100


class Progress:
    """Shows events on standard error as they happen.

    Args:
        console: where to print; None is standard error.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._live = Live(console=self.console, transient=True, refresh_per_second=8)
        self.tokens = self.cached = self.calls = 0
        self.written = ""
        self.cost = 0.0

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        """Print what has happened, and show what is happening now in the last line."""
        data = event.to_json()
        line = _LINES.get(data["type"])
        if data["type"] == "model_ended":
            self._count(data)
        if data["type"] == "words":
            self.written = data["text"] = self.written[: data["at"]] + data["text"]
        if line is not None and (text := line(data)):
            self._print(text)
        busy = _BUSY.get(data["type"])
        if self.console.is_terminal and busy is not None:
            self._live.update(Spinner("dots", text=f"{printable(busy(data))}  [dim]{self.summary()}[/dim]"))

    def _print(self, text: str) -> None:
        """Print one line per event, cut at the edge of a terminal but complete in a log."""
        text = printable(text)
        if self.console.is_terminal:
            self.console.print(text, highlight=False, no_wrap=True, overflow="ellipsis")
        else:
            self.console.print(text, highlight=False, soft_wrap=True)

    def summary(self) -> str:
        cost = f" · ${self.cost:.4f}" if self.cost else ""
        return f"{self.calls} calls · {self.tokens:,} tokens ({self.cached:,} cached){cost}"

    def _count(self, data: JsonObject) -> None:
        self.calls += not data["replayed"]
        self.tokens += data["input_tokens"] + data["output_tokens"]
        self.cached += data["cached_tokens"]
        self.cost += data["cost"]


def _short(text: str) -> str:
    return escape(clipped(text, _WIDTH))


def _model(data: JsonObject) -> str:
    again = " (recorded)" if data["replayed"] else ""
    counts = f"{data['input_tokens']} in, {data['cached_tokens']} cached, {data['output_tokens']} out"
    return f"[dim]{data['role']:>10}  {counts}, {data['seconds']:.1f} s{again}[/dim]"


def _arguments(data: JsonObject) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in data["arguments"].items())


def _evaluated(data: JsonObject) -> str:
    colour = "green" if data["outcome"] == "accept" else "yellow"
    return f"[{colour}]{'evaluator':>10}  {data['outcome']}[/{colour}]  {_short(data['feedback']['text'])}"


_LINES: dict[str, Callable[[JsonObject], str]] = {
    "run_started": lambda d: f"[dim]{'run':>10}  {d['run_id']} on {d['model']}{' (resumed)' * d['resumed']}[/dim]",
    "recalled": lambda d: f"{'recall':>10}  {d['shown']} from {escape(d['target'])} version {d['version']}",
    "model_ended": _model,
    "planned": lambda d: f"{'explorer':>10}  plan: {_short('; '.join(d['subtasks']))}",
    "subtask_done": lambda d: f"{'executor':>10}  {_short(d['subtask'])} → {_short(d['result'])}",
    "tool_started": lambda d: f"[cyan]{'tool':>10}  {escape(d['tool'])}({_short(_arguments(d))})[/cyan]",
    "tool_ended": lambda d: f"[{'cyan' if d['ok'] else 'red'}]{'':>10}  → {_short(d['text'])}[/]",
    "answered": lambda d: f"[bold]{'explorer':>10}[/bold]  {_short(d['answer'])}",
    "evaluated": _evaluated,
    "asked": lambda d: f"[yellow]{'person':>10}  {_short(d['question'])}[/yellow]",
    "learning_done": lambda d: f"{'learn':>10}  {escape(d['learner'])}",
}
_BUSY: dict[str, Callable[[JsonObject], str]] = {
    "model_started": lambda d: f"{d['role']} is thinking",
    "tool_started": lambda d: f"{escape(d['tool'])} is running",
    "words": lambda d: escape(" ".join(d["text"].split())[-_WIDTH:]),
    "model_ended": lambda d: "",
    "tool_ended": lambda d: "",
}
