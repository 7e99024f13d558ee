"""Opening a memory by name, with the embedder it was made with, or the settings' embedder if it is new."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from sqlalchemy import select

from agentkit.embedding import Embedder, HashEmbedder
from agentkit.errors import ModelFileError, UserError
from agentkit.memory.memory import CaseMemory
from agentkit.models import load_embedder
from agentkit.settings import Settings, load_settings
from agentkit.store import Store
from agentkit.store.cases import MemoryRow


def open_cases(
    store: Store,
    name: str = "default",
    *,
    settings: Settings | None = None,
    embedder: str | None = None,
    load: Callable[[str], Embedder] | None = None,
) -> CaseMemory:
    """A memory by name.

    Args:
        settings: a new memory's embedder, and the home for its indexes, are taken from here; None reads them.
        embedder: the name of the embedder it must have; with None, and if the setting is at its default, a memory keeps
            its own.
        load: makes an embedder from its name; None uses `named_embedder`.

    Raises:
        UserError: the requested embedder is not the memory's own, or does not exist.
        ModelFileError: the memory's own embedder is not downloaded; says what to do.
    """
    settings, load = settings or load_settings(), load or named_embedder
    chosen = embedder or (settings.embedder if "embedder" in settings.model_fields_set else None)
    if chosen is not None:
        return CaseMemory.open(store, name, embedder=load(chosen), home=settings.home)
    own = _made_with(store, name)
    try:
        found = load(own or settings.embedder)
    except ModelFileError as error:
        if own is None or own == settings.embedder:
            raise
        mend = f"or move it:  agentkit memory rebuild --memory {name} --embedder {settings.embedder}"
        raise ModelFileError(f"memory {name!r} was embedded by {own}: {error}, {mend}") from None
    return CaseMemory.open(store, name, embedder=found, home=settings.home)


def stored_cases(store: Store, name: str = "default", *, home: Path | None = None) -> CaseMemory | None:
    """A memory for reading or removing rows; its embedder is loaded only when a vector is needed. None if there is no
    such memory yet.
    """
    with store.read() as connection:
        row = connection.execute(select(MemoryRow.embedder, MemoryRow.dimension).where(MemoryRow.name == name)).first()
    if row is None:
        return None
    home = home or load_settings().home
    return CaseMemory.open(store, name, embedder=_Later(row.embedder, row.dimension), home=home)


class _Later:
    """An embedder by name that is loaded on first use."""

    def __init__(self, name: str, dimension: int) -> None:
        self.name, self.dimension = name, dimension

    @cached_property
    def _loaded(self) -> Embedder:
        found = named_embedder(self.name.partition("@")[0])
        if found.name != self.name:
            raise UserError(f"this memory was embedded by {self.name!r}, not {found.name!r}: agentkit memory rebuild")
        return found

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._loaded.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        return self._loaded.embed_query(text)


def named_embedder(name: str) -> Embedder:
    """An embedder by name; `hash-256` needs no model, and is always the current version.

    Raises:
        UserError: no such embedder.
        ModelFileError: a local embedder that is not downloaded.
    """
    kind, _, size = name.partition("@")[0].partition("-")
    if kind != "hash":
        return load_embedder(name)
    if not (size or "256").isdigit() or int(size or "256") < 1:
        raise UserError(f"{name!r} is not an embedder: write hash-256")
    return HashEmbedder(int(size or "256"))


def _made_with(store: Store, name: str) -> str | None:
    """The embedder of an existing memory, without its version; None if there is no such memory."""
    with store.read() as connection:
        stamp = connection.execute(select(MemoryRow.embedder).where(MemoryRow.name == name)).scalar_one_or_none()
    return None if stamp is None else str(stamp).partition("@")[0]
