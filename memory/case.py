"""Case: one stored episode, and the filters for searches."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import uuid
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

from agentkit.errors import DataError, UserError
from agentkit.json_types import JsonObject
from agentkit.redaction import redact, redact_data
from agentkit.store.base import now
from agentkit.text import clean, clean_data

Status = Literal["active", "quarantined", "merged", "superseded"]
Channel = Literal["label", "check", "judge", "user", ""]

STATUSES: tuple[Status, ...] = ("active", "quarantined", "merged", "superseded")
CHANNELS: tuple[Channel, ...] = ("label", "check", "judge", "user", "")
ANSWER, WRONG = "Answer: ", "Wrong answer: "
"""How the last line of a plan begins."""
SUCCESS = 0.5
"""A reward of at least this much counts as a success."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """(state, action, reward) from AgentFly's case bank (arXiv 2508.16153 §3), with its provenance.

    Attributes:
        state: the task's input, as text.
        plan: the action: sub-tasks, tool calls and the answer, as text.
        answer: the run's answer; None if it gave none, or the case was stored without one.
        correction: the right answer, if the run's was wrong and somebody corrected it.
        corrected_by: who did: a person's name, or `label`.
        instructions: a hash of the task's instructions; empty if it had none.
        reward: 0 to 1, for what the case teaches: 1 if it was corrected. None if unknown, which is never treated as a
            failure.
        channel: the source of the reward; empty if there is none.
        namespace: the tenant it belongs to; others never see it.
        source: where its text came from, for `forget --source`.
        trusted: False if text from outside could have influenced it.
        status: active, quarantined (stored but not shown), merged into a prototype, or superseded by a better case.
        run_id: the run that produced it; one case per run and namespace.
        parents: ids of the cases that this one was merged from.
        weight: how many episodes it stands for.
        pinned: never evicted.
        seq: its number in the store; 0 before it is stored.
    """

    state: str
    plan: str
    answer: str | None = None
    correction: str | None = None
    corrected_by: str = ""
    instructions: str = ""
    reward: float | None = None
    channel: Channel = ""
    namespace: str = "default"
    source: str = ""
    trusted: bool = True
    status: Status = "active"
    run_id: str | None = None
    tags: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    weight: int = 1
    pinned: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    created_at: dt.datetime = field(default_factory=now)
    seq: int = 0

    @property
    def outcome(self) -> Literal["success", "failure", "unknown"]:
        return "unknown" if self.reward is None else "success" if self.reward >= SUCCESS else "failure"

    @property
    def earned(self) -> float | None:
        """The reward for the run's own answer."""
        return self.reward if self.correction is None else 0.0

    @property
    def right_answer(self) -> str | None:
        """The answer that is known to be right: the correction, or the run's own if it succeeded."""
        return self.correction if self.correction is not None else self.answer if self.outcome == "success" else None

    @property
    def way(self) -> str:
        """The plan without the answer at its end."""
        for verdict in (ANSWER, WRONG):
            if self.answer is not None and self.plan.endswith(end := f"{verdict}{self.answer}"):
                return self.plan[: -len(end)].rstrip("\n")
        return self.plan

    def to_json(self) -> JsonObject:
        """As a line of an export; `seq` is omitted, since another store assigns its own numbers."""
        data = {name: getattr(self, name) for name in _FIELDS}
        return {
            **data,
            "tags": list(self.tags),
            "parents": list(self.parents),
            "created_at": self.created_at.isoformat(),
        }


_TEXTS = ("id", "state", "plan", "answer", "correction", "source", "run_id", "tags", "parents")
_FIELDS = [name for name in Case.__dataclass_fields__ if name != "seq"]


def check_case(case: Case) -> Case:
    """Return the case, cleaned of characters that can't be stored and of recognisable secrets, which would otherwise
    get into later prompts.

    Raises:
        DataError: an empty state, a reward outside [0, 1], an unknown channel or status, or an invalid id.
    """
    if not _ID.fullmatch(case.id):
        raise DataError(f"{case.id[:80]!r} can't be the id of a case: 1 to 64 letters, digits, '_' and '-'")
    if not case.state.strip():
        raise DataError("a case needs a state: the task it is about")
    if case.reward is not None and not 0 <= case.reward <= 1:
        raise DataError(f"a reward lies between 0 and 1, not {case.reward}")
    if case.channel not in CHANNELS:
        raise DataError(f"{case.channel!r} is not a feedback channel (label, check, judge, user)")
    if case.status not in STATUSES:
        raise DataError(f"{case.status!r} is not a status ({', '.join(STATUSES)})")
    if case.correction is not None and case.outcome != "success":
        raise DataError("a corrected case teaches the right answer: its reward is that of a success")
    check_namespace(case.namespace)
    texts = {name: getattr(case, name) for name in _TEXTS}
    whole = "\n".join(chain.from_iterable((v or "",) if v is None or isinstance(v, str) else v for v in texts.values()))
    if clean(whole) == redact(whole) == whole:  # as nearly always: one look at all of it is ten times as fast
        return case
    cleaned = redact_data(clean_data(texts))
    return case if cleaned == texts else replace(case, **cleaned)


_ID = re.compile("[A-Za-z0-9_-]{1,64}")
"""Ids appear in prompts next to their cases, so they must not be able to contain anything else."""


def case_id(run_id: str) -> str:
    """The id of a run's case: the run's own id if it is valid as one, otherwise a hash of it."""
    return run_id if _ID.fullmatch(run_id) else hashlib.sha256(run_id.encode()).hexdigest()[:16]


@lru_cache(maxsize=1024)
def check_namespace(name: str) -> str:
    """Raises UserError if the name is not a valid namespace."""
    if not re.fullmatch(r"[^\s\x00][^\x00]{0,198}", name):
        raise UserError(f"{name!r} can't be a namespace: 1 to 199 characters, not starting with a space")
    return name


def case_from_json(data: JsonObject, *, namespace: str | None = None) -> Case:
    """A case from a line of an export, or from AgentFly's `{"case", "plan", "case_label"}`.

    Args:
        namespace: replaces the one in the line.

    Raises:
        DataError: a field is missing, unknown or of the wrong type.
    """
    fields = _from_agentfly(data) if "case_label" in data or "case" in data else dict(data)
    unknown = sorted(set(fields) - set(_FIELDS))
    if unknown:
        raise DataError(f"{unknown[0]!r} is not a field of a case (known: {', '.join(_FIELDS)})")
    for name in ("state", "plan"):
        if not isinstance(fields.get(name), str):
            raise DataError(f"{name!r} must be text" if name in fields else f"{name!r} is missing")
    for name, kinds in _TYPES.items():
        if name in fields and not isinstance(fields[name], kinds):
            raise DataError(f"{name!r} must be {_NAMES[kinds]}, not {fields[name]!r}")
    for name in ("tags", "parents"):
        fields[name] = tuple(str(item) for item in fields.get(name) or ())
    if "created_at" in fields:
        fields["created_at"] = _time(fields["created_at"])
    if namespace is not None:
        fields["namespace"] = namespace
    return check_case(Case(**fields))


_TYPES: dict[str, Any] = {
    "id": str,
    "channel": str,
    "namespace": str,
    "source": str,
    "status": str,
    "trusted": bool,
    "pinned": bool,
    "weight": int,
    "reward": (int, float, type(None)),
    "run_id": (str, type(None)),
    "tags": list,
    "parents": list,
    "answer": (str, type(None)),
    "correction": (str, type(None)),
    "corrected_by": str,
    "instructions": str,
}
_NAMES = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    list: "a list",
    (int, float, type(None)): "a number or null",
    (str, type(None)): "text or null",
}


def _from_agentfly(data: JsonObject) -> JsonObject:
    rewards = {"positive": 1.0, "negative": 0.0}
    label = data.get("case_label")
    if label is not None and label not in rewards:
        raise DataError(f"'case_label' must be positive or negative, not {label!r}")
    rest = {key: value for key, value in data.items() if key not in ("case", "case_label")}
    channel = "" if label is None else "judge"
    return {"state": data.get("case"), "reward": rewards.get(str(label)), "channel": channel, **rest}


def _time(text: Any) -> dt.datetime:
    try:
        value = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise DataError(f"'created_at' must be an ISO time, not {text!r}") from None
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which cases a search may see. Filters are applied as a bitmap before the search, never to its results.

    Attributes:
        namespace: always exactly one; there is no search across namespaces.
        statuses: only active cases, unless others are requested.
        trusted: True for trusted cases only; None for both.
        outcomes: any of success, failure, unknown.
        min_reward: at least this much; cases with unknown reward are then excluded.
        since, until: bounds on the creation time.
        tags: cases must have all of these.
        exclude: ids never to return, such as the case of the task being asked about.
        exclude_state: excludes cases whose state is exactly this text.
    """

    namespace: str = "default"
    statuses: tuple[Status, ...] = ("active",)
    trusted: bool | None = None
    outcomes: tuple[str, ...] = ()
    min_reward: float | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    tags: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclude_state: str | None = None


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A case found by a search."""

    case: Case
    score: float
