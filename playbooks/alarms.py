"""Alarms for the most common failure of learning systems: a loop that runs without effect."""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.playbooks.evidence import LearningStep


def alarms(steps: Sequence[LearningStep], *, window: int = 20) -> list[str]:
    """What is suspicious about the last `window` learning steps, given newest first; empty while there are fewer."""
    recent = steps[:window]
    if len(recent) < window:
        return []
    reflected = [step for step in recent if step.reflected]
    found = []
    if reflected and not any(step.parsed for step in reflected):
        found.append(f"no output of the reflector could be read in the last {window} steps")
    elif reflected and not any(step.operations or _known(step) for step in recent):
        found.append(f"reflections, but not one operation, in the last {window} steps")
    if not any(step.votes for step in recent):
        found.append(f"no bullet was voted for in the last {window} steps: are ids cited?")
    if not reflected and all("weak" in step.learnt.note for step in recent):
        found.append(f"the evidence was too weak to learn from in all of the last {window} steps")
    changed = [step for step in recent if step.operations]
    if len(changed) >= window // 2 and not any(step.learnt.status == "applied" for step in changed):
        found.append(f"deltas, but not one of them applied, in the last {window} steps")
    return found


def _known(step: LearningStep) -> bool:
    """Whether a lesson was dropped because the playbook already has it; then nothing is broken."""
    return any(str(reason).startswith("said already") for reason in step.learnt.details.get("dropped", ()))
