"""Which settings files may control this user's processes: those that nobody else can write, or that the user has
reviewed.

A settings file is found by walking up from the current folder, so anybody with write access to one of these folders
could plant one. There are two checks. May it be read at all? Only if no other user owns it or can write to it. May it
start programs? Only if the user has said so: with `agentkit trust FILE`, which records the hash of the file's content
(as direnv does; an edited file has to be trusted again), or by keeping it in their own configuration folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import platformdirs

from agentkit.errors import DataError, SettingsError
from agentkit.text import decode


def config_dir() -> Path:
    """The user's own configuration folder."""
    return Path(platformdirs.user_config_dir("agentkit", appauthor=False))


def read_checked(path: Path) -> tuple[str, bool]:
    """The text of a settings file, and whether the user trusts it to start programs.

    Raises:
        SettingsError: another user owns it or can write to it and its current content is not trusted, or it can't be
            read.
    """
    try:
        data = path.read_bytes()
        text = decode(data)
    except (OSError, DataError) as error:
        raise SettingsError(f"{path} can't be read: {error}") from None
    if _known().get(str(path.resolve())) == _digest(data):
        return text, True
    if problem := foreign(path):
        raise SettingsError(f"{path} is not used: {problem}; if you have read it and want it:  agentkit trust {path}")
    return text, path.resolve().parent == config_dir().resolve()


def trust(path: Path) -> None:
    """Record that the user has reviewed a file and accepts its current content.

    Raises:
        SettingsError: it can't be read, or the record can't be written.
    """
    try:
        digest = _digest(path.read_bytes())
        _store({**_known(), str(path.resolve()): digest})
    except OSError as error:
        raise SettingsError(f"{path} can't be trusted: {error}") from None


def revoke(path: Path) -> bool:
    """Withdraw trust in a file; False if it was not trusted.

    Raises:
        SettingsError: the record can't be written.
    """
    known = _known()
    had = known.pop(str(path.resolve()), None) is not None
    try:
        _store(known)
    except OSError as error:
        raise SettingsError(f"{_record()} can't be written: {error}") from None
    return had


def foreign(path: Path) -> str | None:
    """How another user could have written to a file, or None. Checks the file and every folder on the way to it; a
    folder with the sticky bit, such as /tmp, lets others add entries but not replace ours."""
    if not hasattr(os, "getuid"):
        return None
    ways = (path.absolute(), path.resolve())
    for place in dict.fromkeys(step for way in ways for step in (way, *way.parents)):
        info = place.lstat()
        name = "it" if place in ways else f"the folder {place}"
        if info.st_uid not in (os.getuid(), 0):
            return f"{name} belongs to another user"
        sticky = stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX
        if info.st_mode & _others(info) and not sticky and not stat.S_ISLNK(info.st_mode):
            return f"other users can write to {name}"
    return None


def _others(info: os.stat_result) -> int:
    """The permission bits that let others write; a group that contains only the owner does not count as others."""
    return stat.S_IWOTH if _private_group(info) else stat.S_IWOTH | stat.S_IWGRP


def _private_group(info: os.stat_result) -> bool:
    import grp
    import pwd

    try:
        owner, group = pwd.getpwuid(info.st_uid), grp.getgrgid(info.st_gid)
    except KeyError:
        return False
    return group.gr_name == owner.pw_name and not set(group.gr_mem) - {owner.pw_name}


def _record() -> Path:
    return config_dir() / "trusted.json"


def _known() -> dict[str, str]:
    """Hashes of trusted files by path; empty if another user could have written the record itself."""
    try:
        known = json.loads(_record().read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and foreign(_record()) is None else {}


def _store(known: dict[str, str]) -> None:
    config_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = _record().with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(known, file, indent=1, sort_keys=True)
    fresh.replace(_record())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
