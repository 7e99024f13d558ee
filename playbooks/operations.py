"""Operations and deltas: everything that can happen to a playbook, as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from agentkit.errors import DataError
from agentkit.ledger import Change
from agentkit.playbooks.bullets import GENERAL, SECTION, bullet_id, clean, label


class _Operation(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("content", check_fields=False)
    @classmethod
    def _content(cls, value: str | None) -> str | None:
        return None if value is None else clean(value)

    @field_validator("section", check_fields=False)
    @classmethod
    def _section(cls, value: str | None) -> str | None:
        return None if value is None else label(value, default=SECTION)

    @field_validator("scope", check_fields=False)
    @classmethod
    def _scope(cls, value: str | None) -> str | None:
        return None if value is None else label(value)

    @property
    def touches(self) -> tuple[str, ...]:
        """Ids of the bullets it reads or writes."""
        return ()


class Add(_Operation):
    """Add a bullet. Adding an existing one only records another origin."""

    op: Literal["add"] = "add"
    content: str
    section: str = SECTION
    scope: str = GENERAL

    @property
    def id(self) -> str:
        return bullet_id(self.section, self.scope, self.content)

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.id,)


class Update(_Operation):
    """Change a bullet's text, section or scope; if another change came first, it is merged three ways."""

    op: Literal["update"] = "update"
    id: str
    expected: str = Field(description="the hash of the bullet's state this edit was made against")
    content: str | None = None
    section: str | None = None
    scope: str | None = None

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.id,)


class Merge(_Operation):
    """Replace several bullets by one."""

    op: Literal["merge"] = "merge"
    expected: dict[str, str] = Field(min_length=2, description="id → hash of each bullet to be merged")
    content: str
    section: str = SECTION
    scope: str = GENERAL

    @property
    def touches(self) -> tuple[str, ...]:
        return (*sorted(self.expected), bullet_id(self.section, self.scope, self.content))


class Split(_Operation):
    """Replace one bullet by several."""

    op: Literal["split"] = "split"
    id: str
    expected: str
    contents: tuple[str, ...] = Field(min_length=2)

    @field_validator("contents")
    @classmethod
    def _contents(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(clean(item) for item in value)

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.id,)


class Retire(_Operation):
    """Take a bullet out of use; it stays in the records."""

    op: Literal["retire"] = "retire"
    id: str
    expected: str
    reason: str = ""

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.id,)


class Revive(_Operation):
    """Bring a retired bullet back."""

    op: Literal["revive"] = "revive"
    id: str
    expected: str

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.id,)


class Vote(_Operation):
    """Count a bullet as helpful or harmful; commutes with every other operation."""

    op: Literal["vote"] = "vote"
    id: str
    helpful: int = Field(default=0, ge=0, le=1000)
    harmful: int = Field(default=0, ge=0, le=1000)

    @property
    def touches(self) -> tuple[str, ...]:
        return (self.id,)


class Restore(_Operation):
    """Restore the bullets to an earlier version; votes are evidence and stay."""

    op: Literal["restore"] = "restore"
    version: int = Field(ge=0)


Operation = Annotated[Add | Update | Merge | Split | Retire | Revive | Vote | Restore, Field(discriminator="op")]
_operations: TypeAdapter[tuple[Operation, ...]] = TypeAdapter(tuple[Operation, ...])


def read_operations(data: Any) -> tuple[Operation, ...]:
    """Parse operations from JSON values.

    Raises:
        DataError: something is not a valid operation; says which and why.
    """
    try:
        return _operations.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"operation {where}: {first['msg']}") from None


class Delta(BaseModel):
    """Operations that take effect together or not at all.

    Attributes:
        key: makes sure that the delta takes effect once, however often it is submitted.
        base: the version of the playbook that it was made against.
        role, model: its author; "person" is a role too.
        run_id: the run that caused it.
        source: where its content came from.
        signal: the feedback channel behind it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(max_length=200)
    base: int = Field(ge=0)
    operations: tuple[Operation, ...]
    role: str = "curator"
    model: str = ""
    run_id: str | None = None
    source: str = ""
    signal: str = ""
    note: str = ""

    def to_change(self, target: str) -> Change:
        operations = tuple(item.model_dump(exclude_none=True) for item in self.operations)
        fields = self.model_dump(exclude={"operations"})
        return Change(kind="playbook", target=target, operations=operations, **fields)

    @classmethod
    def from_change(cls, change: Change) -> Self:
        names = cls.model_fields.keys() - {"operations"}
        operations = read_operations(list(change.operations))
        return cls(operations=operations, **{name: getattr(change, name) for name in names})


def touched(operations: Iterable[Operation]) -> tuple[str, ...]:
    """The ids of all bullets that operations read or write, without duplicates."""
    return tuple(dict.fromkeys(id for item in operations for id in item.touches))


def removes(operations: Sequence[Operation]) -> bool:
    """Whether any of the operations can remove something."""
    return any(not isinstance(item, Add | Vote | Revive) for item in operations)
