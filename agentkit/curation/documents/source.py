"""Sources of bytes: plain files, .gz, and the members of .zip and .tar archives, read into memory."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from agentkit.errors import DataError
from agentkit.text import clean, decode

MAX_BYTES = 512 * 1024 * 1024
"""The largest decompressed size, in bytes, of a file that has to be read whole."""

HEAD = 64 * 1024
"""How many bytes of a file are examined to detect its format."""

_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.gz|tar\.bz2|tar\.xz)$", re.IGNORECASE)
_DAMAGED = (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, OSError)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file to read: its name for messages, and how to open it (decompressed)."""

    name: str
    opener: Callable[[], IO[bytes]]

    @property
    def base(self) -> str:
        """The file's name without folders, archive and `.gz`, in lower case."""
        return re.sub(r"\.gz$", "", re.split(r"[/!]", self.name)[-1].lower())

    @property
    def suffix(self) -> str:
        return Path(self.base).suffix

    @property
    def stem(self) -> str:
        return Path(self.base).stem

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the file, decompressed. Raises DataError if it can't be read or decompressed."""
        try:
            with self.opener() as stream:
                yield stream
        except _DAMAGED as error:
            raise DataError(f"can't be read: {_reason(error)}", path=self.name) from error

    def head(self) -> bytes:
        """The first bytes; raises DataError for an empty file."""
        with self.open() as stream:
            data = stream.read(HEAD)
        if not data.strip():
            raise DataError("the file is empty", path=self.name)
        return data

    def read(self) -> bytes:
        """All bytes; raises DataError for an empty or an oversized file."""
        with self.open() as stream:
            data = stream.read(MAX_BYTES + 1)
        if not data.strip():
            raise DataError("the file is empty", path=self.name)
        if len(data) > MAX_BYTES:
            raise DataError(f"larger than {MAX_BYTES // 2**20} MiB when unpacked: split it", path=self.name)
        return data

    def decode(self) -> str:
        """The file as text (see `agentkit.text.decode`). Raises DataError for binary data."""
        return decode(self.read(), path=self.name)


def _reason(error: Exception) -> str:
    text = str(error).split("\n")[0]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"damaged or truncated ({text or type(error).__name__})"


def sources(path: Path) -> Iterator[Source]:
    """The files under a folder or in an archive, or the file itself; sorted by name, without hidden files.

    Raises DataError if there is no such path, or an archive is damaged.
    """
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            relative = file.relative_to(path)
            if not any(part.startswith(".") for part in relative.parts):
                yield Source(name=clean(str(relative)), opener=_opener(file))
    elif not path.is_file():
        raise DataError("no such file or folder", path=path)
    else:
        yield Source(name=clean(path.name), opener=_opener(path))


def members(source: Source) -> Iterator[Source] | None:
    """The files in an archive, in stored order; None if `source` is not an archive."""
    if not _ARCHIVE.search(source.name):
        return None
    return _zip_members(source) if source.suffix == ".zip" else _tar_members(source)


def _tar_members(source: Source) -> Iterator[Source]:
    with source.open() as stream, tarfile.open(fileobj=stream, mode="r:*") as archive:
        for member in archive:
            if member.isfile() and not Path(member.name).name.startswith("."):
                stored = cast("IO[bytes]", archive.extractfile(member))
                yield _member(source, member.name, stored, member.size)


def _zip_members(source: Source) -> Iterator[Source]:
    with source.open() as stream, zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            if not member.is_dir() and not Path(member.filename).name.startswith("."):
                with archive.open(member) as stored:
                    yield _member(source, member.filename, stored, member.file_size)


def _member(source: Source, name: str, stored: IO[bytes], size: int) -> Source:
    if size > MAX_BYTES:
        raise DataError(f"larger than {MAX_BYTES // 2**20} MiB when unpacked", path=f"{source.name}!{name}")
    data = stored.read(MAX_BYTES + 1)
    return Source(name=f"{source.name}!{name}", opener=lambda: _unzipped(name, io.BytesIO(data)))


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    zipped = path.suffix.lower() == ".gz" and not _ARCHIVE.search(path.name)
    return lambda: cast("IO[bytes]", gzip.open(path)) if zipped else path.open("rb")


def _unzipped(name: str, stream: io.BytesIO) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if name.lower().endswith(".gz") else stream
