"""The results of curation: entities, evidence and claims, as values with deterministic ids and a JSON form."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self, get_args

from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.json_types import digest as json_digest
from agentkit.notebook import table

Status = Literal["supported", "unsupported", "accepted", "rejected"]
"""`supported`: the quote supports the claim. `unsupported`: it does not; kept, but not exported.
`accepted` and `rejected`: a person's decision, which no machine overwrites."""

EXPORTED: frozenset[Status] = frozenset({"supported", "accepted"})
"""The statuses that are exported unless others are requested."""

Qualifier = str | int | float | bool
"""One value of a qualifier; keys in use: direction, polarity, negated, comparator, dose, population, certainty."""


def digest(*parts: object, length: int = 32) -> str:
    """A stable id: the first `length` hex digits of SHA-256 over the parts as canonical JSON."""
    return json_digest(parts)[:length]


def name_key(name: str) -> str:
    """The form under which two spellings of one name are equal: NFKC, case folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A thing that claims are about.

    Attributes:
        id: the CURIE if exactly one was found, else `name:` and a digest of class and name.
        label: the name to show.
        cls: the ontology class, such as `Chemical`.
        curies: all candidate identifiers, sorted; more than one if the name is ambiguous.
        ambiguous: whether several identifiers fit and none was chosen.
        groundable: False if the name was looked up and nothing was found ("not groundable").
    """

    id: str
    label: str
    cls: str
    curies: tuple[str, ...] = ()
    ambiguous: bool = False
    groundable: bool = True

    @classmethod
    def named(cls, label: str, kind: str, curies: tuple[str, ...] = (), *, groundable: bool | None = None) -> Self:
        """The entity of class `kind` called `label`, with the identifiers that grounding found.

        `groundable` defaults to whether there is any identifier; pass True for a name not looked up yet.
        """
        known = tuple(sorted(set(curies)))
        id_ = known[0] if len(known) == 1 else f"name:{digest(kind, name_key(label), length=24)}"
        found = bool(known) if groundable is None else groundable
        return cls(id=id_, label=label, cls=kind, curies=known, ambiguous=len(known) > 1, groundable=found)

    def to_json(self) -> JsonObject:
        return asdict(self) | {"curies": list(self.curies)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Raises DataError when a field is missing."""
        return cls(
            id=_text(row, "id"),
            label=_text(row, "label"),
            cls=_text(row, "cls"),
            curies=tuple(row.get("curies") or ()),
            ambiguous=bool(row.get("ambiguous", False)),
            groundable=bool(row.get("groundable", True)),
        )


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """An exact quote at stored offsets of a document's canonical text.

    Attributes:
        document: the document's id (SHA-256 of its bytes).
        start, end: `text[start:end] == quote`, in characters.
        quote: the exact text.
        prefix, suffix: up to 32 characters before and after it, to find it again in another rendering.
        section: the label of the section that contains it, such as `RESULTS`; empty if unknown.
    """

    document: str
    start: int
    end: int
    quote: str
    prefix: str = ""
    suffix: str = ""
    section: str = ""

    def to_json(self) -> JsonObject:
        return dict(vars(self))

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Raises DataError when a field is missing or the span is impossible."""
        start, end = row.get("start"), row.get("end")
        if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start <= end:
            raise DataError(f"evidence needs whole numbers 0 <= start <= end, got {start!r} and {end!r}")
        texts = {name: str(row.get(name) or "") for name in ("prefix", "suffix", "section")}
        return cls(document=_text(row, "document"), quote=_text(row, "quote"), start=start, end=end, **texts)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One typed statement in one document.

    Attributes:
        subject, object: ids of entities; a literal value (a number, a permissible value) is an entity of its range.
        predicate: the ontology's relation.
        document: the id of the document that states it.
        qualifiers: the conditions and details of the statement: direction, negated, comparator, dose, population …
        status: see `Status`.
        confidence: in [0, 1], or None if there is no estimate.
        evidence: the quotes that support it; the id is derived from the first.
        reason: why it is unsupported or rejected; empty otherwise.
        run_id, model: the run and the model that proposed it.
        id: equal for the same statement from the same quote: derived from subject, predicate, object, qualifiers,
            document and the span of the first quote, not from status, confidence or model.
    """

    subject: str
    predicate: str
    object: str
    document: str
    qualifiers: Mapping[str, Qualifier] = field(default_factory=dict)
    status: Status = "unsupported"
    confidence: float | None = None
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""
    run_id: str = ""
    model: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise DataError(f"a claim's status is one of {', '.join(get_args(Status))}, got {self.status!r}")
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise DataError(f"a claim's confidence lies between 0 and 1, got {self.confidence}")
        if not self.id:
            object.__setattr__(self, "id", self.make_id())

    def make_id(self) -> str:
        """The deterministic id of this statement (see the class)."""
        span = (self.evidence[0].start, self.evidence[0].end) if self.evidence else None
        return digest(self.subject, self.predicate, self.object, dict(self.qualifiers), self.document, span)

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def exported(self) -> bool:
        """Whether it is exported by default."""
        return self.status in EXPORTED

    def with_status(self, status: Status, reason: str = "") -> Self:
        """The same claim, same id, after a check or a person's decision."""
        return replace(self, status=status, reason=reason)

    def _repr_html_(self) -> str:
        """The display in a notebook: the statement, its status, and its quotes with their positions."""
        rows = [
            ("status", f"{self.status}: {self.reason}" if self.reason else self.status),
            ("confidence", None if self.confidence is None else f"{self.confidence:.0%}"),
            *self.qualifiers.items(),
            ("document", self.document),
            *((f"{quote.section or 'quote'}, {quote.start}–{quote.end}", quote.quote) for quote in self.evidence),
        ]
        title = f"{self.subject} — {self.predicate} → {self.object}"
        return table(title, [row for row in rows if row[1] is not None])

    def to_json(self) -> JsonObject:
        row = {name: getattr(self, name) for name in _CLAIM_FIELDS}
        return row | {"qualifiers": dict(self.qualifiers), "evidence": [e.to_json() for e in self.evidence]}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Raises DataError when a field is missing or impossible."""
        return cls(
            **{name: _text(row, name) for name in ("subject", "predicate", "object", "document")},
            **{name: str(row.get(name) or "") for name in ("reason", "run_id", "model", "id")},
            qualifiers=dict(row.get("qualifiers") or {}),
            status=row.get("status") or "unsupported",
            confidence=row.get("confidence"),
            evidence=tuple(Evidence.from_json(e) for e in row.get("evidence") or ()),
        )


_CLAIM_FIELDS = (
    "id",
    "subject",
    "predicate",
    "object",
    "document",
    "qualifiers",
    "status",
    "confidence",
    "evidence",
    "reason",
    "run_id",
    "model",
)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise DataError(f"{name!r} is missing or not text")
    return value
