"""Breaks behaviours on purpose and says which of them the tests catch: `python -m tests.mutation [WORD]`.

Each line of MUTANTS is a file, a text in it, what takes its place, and the tests that ought to fail then. Only those
whose file or text holds WORD are tried. It works on a copy; nothing here is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATISTICS, GATE, PROBATION = "statistics", "evolution/test_gate.py", "evolution/test_probation.py"
ROUTER, TEACH, CONFIDENCE, ASSERTION = (
    "routing/test_router.py",
    "routing/test_runs_teach.py",
    "confidence",
    "curation/test_assertion.py",
)
EXAMPLES, CHANGES = "training/test_examples.py", "cli/test_changes.py"
SEARCHED = ("agentkit", "memory", "playbooks", "cli", "tests", "benchmarks", "docs", "pyproject.toml", "setup.py")

MUTANTS: tuple[tuple[str, str, str, str], ...] = (
    ("agentkit/statistics/eprocess.py", "elif harm >= 1 / self.stop_level:", "elif harm < 0:", STATISTICS),
    ("agentkit/statistics/eprocess.py", "elif small >= 1 / self.stop_level:", "elif small < 0:", STATISTICS),
    ("agentkit/statistics/eprocess.py", "self._gain.capital >= 1 / self.level", "self._gain.capital >= 5", STATISTICS),
    ("agentkit/statistics/eprocess.py", "all(probe.add(1.0) <", "all(probe.add(0.0) <", STATISTICS),
    ("agentkit/statistics/eprocess.py", "_lower(values, level / 2), -", "_lower(values, level * 9), -", STATISTICS),
    ("agentkit/statistics/estimates.py", "z, p = 1.959963985,", "z, p = 1.0,", STATISTICS),
    ("agentkit/statistics/estimates.py", "[a - b for a, b in zip(after", "[b - a for a, b in zip(after", STATISTICS),
    ("agentkit/statistics/estimates.py", "wins + losses, 0.5).pvalue", "wins + losses, 0.2).pvalue", STATISTICS),
    (
        "agentkit/statistics/estimates.py",
        "draws = _resample(data, resamples, seed).mean(axis=1)",
        "draws = data",
        STATISTICS,
    ),
    ("agentkit/statistics/estimates.py", "np.polyfit(index, data, 1)[0]", "np.polyfit(index, data, 1)[1]", STATISTICS),
    ("agentkit/evolution/gate.py", 'earlier[-1][1] if earlier and earlier[-1][2] == "better"', "0.0 if earlier", GATE),
    ("agentkit/evolution/gate.py", "2 * self.policy.level / (number * (number + 1))", "self.policy.level", GATE),
    ("agentkit/evolution/gate.py", "if losses > wins and p <= 2 * self.policy.level:", "if p < 0:", GATE),
    ("agentkit/evolution/gate.py", "-mean > self.policy.probe_margin", "mean > 2", GATE),
    ("agentkit/evolution/gate.py", "            if not scope & taken:", "            if True:", GATE),
    ("agentkit/evolution/holdout.py", "self.uses(store) >= self.limit", "self.uses(store) < 0", GATE),
    ("agentkit/evolution/holdout.py", "begin = (number - 1) * ", "begin = 0 * ", GATE),
    ("agentkit/evolution/hints.py", "return not _holds(work, number) or", "return True or", "evolution/test_hints.py"),
    ("agentkit/evolution/probation.py", '"worse" if test.to_json()["e_harm"] >=', '"worse" if -1 >=', PROBATION),
    ("agentkit/evolution/probation.py", "len(known) + len(new) >= self.policy.pairs", "len(new) < 0", PROBATION),
    ("agentkit/evolution/probation.py", "sum(known) + sum(new) > 0", "sum(known) + sum(new) < 99", PROBATION),
    (
        "agentkit/evolution/selection.py",
        "(item.score or 0.0, -item.step)",
        "(item.score or 0.0, item.step)",
        "evolution/test_selection.py",
    ),
    ("playbooks/leakage.py", "(own - shared)) > 1", "(own - shared)) > 9", "playbooks/test_leakage.py"),
    ("playbooks/guard.py", "if gone > self.value * total:", "if gone < 0:", "playbooks/test_storage.py"),
    (
        "playbooks/guard.py",
        "if shrunk > self.tokens * book.tokens + free:",
        "if shrunk < -9999:",
        "playbooks/test_storage.py",
    ),
    ("playbooks/credit.py", "min(self.shown, self.withheld) >= 3 and", "", "playbooks/test_credit.py"),
    (
        "playbooks/credit.py",
        "if cell.shown else 1 - cell.probability",
        "if cell.shown else cell.probability",
        "playbooks/test_credit.py",
    ),
    (
        "playbooks/signals.py",
        "abs(known.score - 0.5) < margin",
        "abs(known.score - 0.5) < 0",
        "playbooks/test_signals.py",
    ),
    ("playbooks/signals.py", 'if f.channel != "label")', "if f.channel)", "playbooks/test_signals.py"),
    ("playbooks/alarms.py", 'any(step.learnt.status == "applied" for', "any(True for", "playbooks/test_alarms.py"),
    (
        "playbooks/merging.py",
        "start <= edits[number - 1][1]:",
        "start <= edits[number - 1][1] - 99:",
        "playbooks/test_operations.py",
    ),
    (
        "playbooks/stream_gate.py",
        "if against >= 1 / policy.harm_level",
        "if against < 0",
        "playbooks/test_stream_gate.py",
    ),
    ("playbooks/stream_gate.py", "if number >= policy.most", "if number < 0", "playbooks/test_stream_gate.py"),
    (
        "memory/value.py",
        "- float(x @ self.mean) - sum(mean for mean, _ in own)",
        "- float(x @ self.mean)",
        "memory/test_value.py",
    ),
    ("memory/value.py", "if self.low > options.alarm:", "if self.low < 0:", "memory/test_value.py"),
    ("memory/value.py", "options.floor, 1 - options.floor)", "0, 1)", "memory/test_value.py"),
    ("memory/choosing.py", "FADE**age", "1.0**age", "memory/test_forms.py"),
    ("memory/choosing.py", "share[place] < FLOOR:", "share[place] < 0:", "memory/test_forms.py"),
    ("memory/choosing.py", "drawn -= price", "drawn -= 0", "memory/test_forms.py"),
    ("memory/upkeep.py", "if not case.pinned]\n    gone", "]\n    gone", "memory/test_upkeep.py"),
    (
        "memory/upkeep.py",
        'best.outcome == "success" and best.trusted',
        'best.outcome == "success"',
        "memory/test_upkeep.py",
    ),
    ("memory/trust.py", "    gone = [*found, *derived]", "    gone = [*found]", "memory/test_trust.py"),
    (
        "memory/policy_store.py",
        "if recall is None or recall.learnt is not None:",
        "if recall is None:",
        "memory/test_recall.py",
    ),
    ("memory/learner.py", "self.hold or (self.quarantine and not trusted)", "self.hold", "memory/test_trust.py"),
    ("agentkit/routing/router.py", "(item.kind, item.model) == (kind, situation.model)", "item.kind == kind", ROUTER),
    ("agentkit/routing/router.py", "sum(item.used for item in seen) >= LEAST", "len(seen) >= LEAST", ROUTER),
    ("agentkit/routing/router.py", "if levels.effect <= 0 or levels.bound < 0:", "if levels.effect < 0:", ROUTER),
    ("agentkit/routing/worth.py", "(kept + 1) / (right + 2), (mended + 1) / (wrong + 2)", "kept, mended", ROUTER),
    ("agentkit/routing/record.py", 'return self._at(int(operation["to"]))', "return known", TEACH),
    ("agentkit/routing/learner.py", "score = known[0].score or 0.0", "score = known[-1].score or 0.0", TEACH),
    (
        "agentkit/confidence/risk.py",
        "if bound > max_error:\n            break",
        "if bound > max_error:\n            continue",
        CONFIDENCE,
    ),
    ("agentkit/confidence/risk.py", "ranked[n][0] == confidence", "ranked[n][0] < 0", CONFIDENCE),
    (
        "agentkit/confidence/calibration.py",
        "own, rest = place == fold, place != fold",
        "own, rest = place == fold, place >= 0",
        CONFIDENCE,
    ),
    ("agentkit/confidence/floor.py", "return shown[max(known)]", "return shown[min(known)]", CONFIDENCE),
    ("agentkit/confidence/fitted.py", "if fitted == {", "if base and not {", CONFIDENCE),
    (
        "agentkit/curation/language/assertion.py",
        "max((m.end() for m in FOUND.finditer(lead)), default=0)",
        "0",
        ASSERTION,
    ),
    (
        "agentkit/curation/language/assertion.py",
        "max((end for _, end in stops if end <= first[0]), default=0)",
        "0",
        ASSERTION,
    ),
    (
        "agentkit/curation/language/assertion.py",
        "match.start() <= self.first[0] and self.second[1] <= end",
        "True",
        ASSERTION,
    ),
    (
        "agentkit/curation/language/assertion.py",
        "(found is not None and not another)",
        "found is not None",
        ASSERTION,
    ),
    (
        "agentkit/curation/language/assertion.py",
        "return relief >= 0 and re.search",
        "return relief >= 9999 and re.search",
        ASSERTION,
    ),
    ("agentkit/training/examples.py", "if example.task not in hidden:", "if True:", EXAMPLES),
    (
        "agentkit/training/examples.py",
        "kept.setdefault(example.hash, example)",
        "kept[str(len(kept))] = example",
        EXAMPLES,
    ),
    ("agentkit/training/examples.py", 'if response.get("response_metadata") or', "if", EXAMPLES),
    ("agentkit/training/examples.py", "if sources := log.sources(record):", "if sources := []:", EXAMPLES),
    ("agentkit/training/collecting.py", 'said is not None and said.channel != "judge"', "said is not None", EXAMPLES),
    ("agentkit/training/recipes.py", "round(self.easy * len(hard) / (1 - self.easy))", "99", EXAMPLES),
    ("agentkit/training/run.py", 'if verdict.decision == "accept":', "if verdict:", "training/test_training.py"),
    (
        "agentkit/training/evolvable.py",
        'if change.version != self.version():\n            raise Conflict(f"{self.target}: a later',
        'if False:\n            raise Conflict(f"{self.target}: a later',
        "training/test_evolvable.py",
    ),
    (
        "agentkit/ledger.py",
        'if change.status in ("applied", "withdrawn"):\n                raise',
        "if False:\n                raise",
        "test_ledger.py",
    ),
    ("agentkit/ledger.py", "if head != chain:", "if False:", "test_ledger.py"),
    ("agentkit/changes.py", "for namespace in _namespaces(since)", "for namespace in _namespaces([])", CHANGES),
    (
        "agentkit/curation/kb/knowledge_base.py",
        "table.since > to, table.until == OPEN",
        "table.since > version, table.until == OPEN",
        CHANGES,
    ),
    ("memory/evolvable.py", "self.policies.log.unlearn(connection, after=version)", "pass", "memory/test_evolvable.py"),
    (
        "memory/evolvable.py",
        "self.policies.rewrite(connection, applied.version or 0, upto=version)",
        "pass",
        "memory/test_evolvable.py",
    ),
)


def main(word: str = "") -> None:
    """Print a line a mutant, and how many were caught; the exit code is the number of those missed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in SEARCHED:
            source = ROOT / name
            shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
        tried = [mutant for mutant in MUTANTS if word in mutant[0] + mutant[1]]
        for tests in dict.fromkeys(mutant[3] for mutant in tried):
            if not passes(copy, tests):
                raise SystemExit(f"tests/{tests} fails with nothing broken")
        missed = [mutant for mutant in tried if not caught(copy, *mutant)]
    print(f"{len(tried) - len(missed)} of {len(tried)} caught")
    sys.exit(len(missed))


def caught(copy: Path, file: str, before: str, after: str, tests: str) -> bool:
    """Whether the tests fail, or never end, with the change in place."""
    path = copy / file
    text = path.read_text(encoding="utf-8")
    if text.count(before) != 1:
        raise SystemExit(f"{file}: {before!r} stands there {text.count(before)} times")
    path.write_text(text.replace(before, after), encoding="utf-8")
    held = passes(copy, tests)
    path.write_text(text, encoding="utf-8")
    print(f"{'MISSED' if held else 'caught'}  {file}: {before.splitlines()[0]!r}", flush=True)
    return not held


def passes(copy: Path, tests: str) -> bool:
    """Whether tests of the copy pass, in time."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += ["-m", "not model and not kill and not postgres", f"tests/{tests}"]
    try:
        code = subprocess.run(
            command,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return False
    return code == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
