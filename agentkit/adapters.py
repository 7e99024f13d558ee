"""Adapters: small additions to a local model's weights, each version of one a change in the ledger.

An adapter (LoRA, Hu et al., arXiv 2106.09685) is trained on one model file and fits no other. Its weights are a GGUF
file named by its hash; the ledger says which of them is in force. Version 0 is the model as it is.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Self

from sqlalchemy import Connection

from agentkit.errors import Conflict, IntegrityError, UserError
from agentkit.json_types import JsonObject, digest, file_digest
from agentkit.ledger import Change, Ledger, Verdict
from agentkit.protocols import Block
from agentkit.settings import Settings, load_settings
from agentkit.store import Store
from agentkit.tasks import Task
from agentkit.whole import written_whole

KIND = "adapter"
"""The kind of its changes and of its block."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """One trained adapter, as the ledger holds it.

    Attributes:
        sha256: of its GGUF file.
        base: SHA-256 of the model file that it was trained on.
        model: that model's name.
        recipe: what its examples were made by.
        training: the id of its training, whose folder holds examples, losses and the report.
        examples: their content hashes.
        settings: rank, learning rate, seed and the like.
    """

    sha256: str
    base: str
    model: str
    recipe: str
    training: str
    examples: tuple[str, ...]
    settings: JsonObject

    def to_json(self) -> JsonObject:
        return asdict(self) | {"examples": list(self.examples)}

    @classmethod
    def from_json(cls, data: JsonObject) -> Adapter:
        return cls(**{**data, "examples": tuple(data["examples"])})

    @property
    def file_name(self) -> str:
        return f"{self.sha256[:32]}.gguf"


class AdapterStore:
    """The adapters of one name.

    Args:
        folder: where adapters' files lie; None takes `adapters` under the settings' home.

    Raises:
        UserError: a name that is no name of a file.
    """

    def __init__(self, store: Store, name: str, *, folder: Path | None = None) -> None:
        if not _NAME.fullmatch(name):
            raise UserError(f"{name!r} is no name of an adapter: use letters, digits, '.', '_' and '-'")
        self.store, self.name, self.target = store, name, f"{KIND}:{name}"
        self.ledger = Ledger(store)
        self._folder = folder

    @classmethod
    def open(cls, store: Store, name: str, *, settings: Settings) -> Self:
        """The adapters of one name under these settings' home."""
        return cls(store, name, folder=settings.home / "adapters")

    @property
    def folder(self) -> Path:
        return self._folder or load_settings().home / "adapters"

    def version(self) -> int:
        return self.ledger.version(self.target)

    def at(self, version: int) -> Adapter | None:
        """The adapter of a version; None for the bare model.

        Raises:
            UserError: no such version.
        """
        if version == 0:
            return None
        return of_change(self.ledger.at(self.target, version))

    def path(self, adapter: Adapter) -> Path:
        """Its file, checked against its hash.

        Raises:
            UserError: the file is gone.
            IntegrityError: it is not the file that was trained.
        """
        path = self.folder / "files" / adapter.file_name
        if not path.is_file():
            raise UserError(f"{self.target}: {path} is gone; train it again, or go back to another version")
        if hash_of(path) != adapter.sha256:
            raise IntegrityError(f"{self.target}: {path} does not match its hash")
        return path

    def keep(self, file: Path) -> str:
        """Copy a trained file to where adapters lie, under its hash, which is returned."""
        sha256 = file_digest(file)
        kept = self.folder / "files" / f"{sha256[:32]}.gguf"
        if not kept.is_file():
            with written_whole(kept) as part:
                shutil.copyfile(file, part)
        return sha256

    def propose(self, adapter: Adapter, *, run_id: str | None = None, sources: Sequence[str] = ()) -> Change:
        """Write a trained adapter down as a proposed change; once per training."""
        change = Change(
            key=f"{adapter.training}:{self.target}",
            kind=KIND,
            target=self.target,
            base=self.version(),
            operations=({"op": "train", "adapter": adapter.to_json()},),
            role="trainer",
            model=adapter.model,
            run_id=run_id,
            source=" ".join(sorted(set(sources))),
            note=f"{adapter.recipe}, {len(adapter.examples)} examples",
        )
        return self.ledger.propose(change)

    def apply(self, change: Change, verdict: Verdict) -> Change:
        """Put a proposed adapter in force, with the verdict that says why.

        Raises:
            Conflict: the change is none of this adapter's.
            UserError: its file is gone.
        """
        if change.target != self.target:
            raise Conflict(f"change {change.id} is of {change.target}, not of {self.target}")
        if (adapter := of_change(change)) is not None:
            self.path(adapter)
        return self.ledger.apply(change.id, _nothing, verdict=verdict)

    def rollback(self, version: int, *, key: str | None = None, reason: str = "") -> Change:
        """Make an earlier version current by a new change.

        Raises:
            UserError: no such version.
        """
        earlier, base = self.at(version), self.version()
        operation = {"op": "rollback", "to": version, "adapter": None if earlier is None else earlier.to_json()}
        change = Change(
            key=key or f"{self.target}:rollback:{base}:{version}:{digest(reason)[:8]}",
            kind=KIND,
            target=self.target,
            base=base,
            operations=(operation,),
            role="person",
            note=reason,
        )
        return self.ledger.commit(change, _nothing)


def hash_of(path: Path) -> str:
    """A large file's hash, taken again only where the file has changed."""
    found = path.stat()
    return _hash_of(path, found.st_size, found.st_mtime_ns)


@cache
def _hash_of(path: Path, size: int, changed: int) -> str:
    return file_digest(path)


def _nothing(connection: Connection, change: Change) -> None:
    """The ledger alone holds which adapter is in force."""


def of_change(change: Change) -> Adapter | None:
    """The adapter that a change puts in force; None for the bare model."""
    found = change.operations[0].get("adapter")
    return None if found is None else Adapter.from_json(found)


class AdapterRecaller:
    """Gives runs an adapter: a block without a text, which says with what weights the explorer answers.

    Args:
        adapters: of which one is given.
        version: None gives the version that is in force when a run begins.
        candidate: this one instead, which is in no version yet.
        base: the file of the model that answers; an adapter of another one is refused.
    """

    def __init__(
        self,
        adapters: AdapterStore,
        *,
        version: int | None = None,
        candidate: Adapter | None = None,
        base: Path | None = None,
    ) -> None:
        self.adapters, self._version, self._candidate, self._base = adapters, version, candidate, base

    @property
    def name(self) -> str:
        return self.adapters.target

    def chosen(self) -> tuple[int, Adapter | None]:
        """The version and the adapter that a run that begins now is given.

        Raises:
            UserError: it was trained on another model.
        """
        version = self.adapters.version() if self._version is None else self._version
        adapter = self._candidate or self.adapters.at(version)
        if adapter is not None and self._base is not None and hash_of(self._base) != adapter.base:
            raise UserError(f"{self.adapters.target} was trained on {adapter.model}, not on {self._base.name}")
        return version, adapter

    async def recall(self, task: Task, *, run_id: str) -> Block | None:
        version, adapter = self.chosen()
        if adapter is None:
            return None
        path = self.adapters.path(adapter)
        return Block(
            kind=KIND, target=self.adapters.target, version=version, text="", untrusted=False, adapter=str(path)
        )
