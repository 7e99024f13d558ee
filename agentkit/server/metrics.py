"""The server's metrics: in Prometheus's format, and to OpenTelemetry if an SDK is set up."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from opentelemetry import metrics

from agentkit.result import Result
from agentkit.store.run_log import Totals

BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""Upper bounds of the run-time histogram, in seconds."""

_HELP = {
    "agentkit_requests_total": ("counter", "Requests by route and status."),
    "agentkit_runs_total": ("counter", "Finished runs by status."),
    "agentkit_tokens_total": ("counter", "Tokens of model calls by kind; cached ones are part of the input."),
    "agentkit_model_calls_total": ("counter", "Model calls."),
    "agentkit_cost_dollars_total": ("counter", "Cost of model calls, in US dollars."),
    "agentkit_feedback_total": ("counter", "Feedback received."),
    "agentkit_run_seconds": ("histogram", "How long runs took."),
}


class Metrics:
    """Counters and one histogram; `text` renders them in Prometheus's format."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, dict[str, float]] = {name: {} for name in _HELP}
        self._times, self._sum = [0] * (len(BUCKETS) + 1), 0.0
        meter = metrics.get_meter("agentkit")
        self._told = {
            name: meter.create_counter(name.removesuffix("_total").replace("_", ".", 1), description=about)
            for name, (kind, about) in _HELP.items()
            if kind == "counter"
        }
        self._seconds = meter.create_histogram("agentkit.run.seconds", unit="s", description="How long runs took.")

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Increment a counter."""
        with self._lock:
            series, key = self._counts[name], _labels(labels)
            series[key] = series.get(key, 0) + amount
        self._told[name].add(amount, labels)

    def run_ended(self, status: str, result: Result | None = None, before: Totals | None = None) -> None:
        """Count a run that ended or is waiting, with what it used since `before`."""
        self.add("agentkit_runs_total", status=status)
        if result is None:
            return
        used, earlier = result.usage, before or Totals()
        self.add("agentkit_model_calls_total", used.calls - earlier.calls)
        self.add("agentkit_cost_dollars_total", used.cost - earlier.cost)
        for kind in ("input", "output", "cached"):
            amount = getattr(used, f"{kind}_tokens") - getattr(earlier, f"{kind}_tokens")
            self.add("agentkit_tokens_total", amount, kind=kind)
        with self._lock:
            self._times[sum(result.seconds > bound for bound in BUCKETS)] += 1
            self._sum += result.seconds
        self._seconds.record(result.seconds)

    def text(self, *, running: int) -> str:
        """All metrics, with the number of runs in progress."""
        lines = [
            "# HELP agentkit_runs_in_flight Runs in progress.",
            "# TYPE agentkit_runs_in_flight gauge",
            f"agentkit_runs_in_flight {running}",
        ]
        with self._lock:
            for name, (kind, about) in _HELP.items():
                lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
                if kind == "counter":
                    lines += [f"{name}{labels} {value:g}" for labels, value in sorted(self._counts[name].items())]
                else:
                    lines += self._histogram(name)
        return "\n".join([*lines, ""])

    def _histogram(self, name: str) -> list[str]:
        total, lines = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._times, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{name}_sum {self._sum:g}", f"{name}_count {total}"]


def _labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{{{inner}}}" if inner else ""
