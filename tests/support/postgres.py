"""A PostgreSQL server of one's own, from the system's package."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def server(*, fsync: bool = True) -> Iterator[str | None]:
    """The URL of an empty database; None where PostgreSQL is not installed.

    Args:
        fsync: wait for the disk at every commit, as a real server does.
    """
    programs = _programs()
    if programs is None:
        yield None
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, port = Path(name), _free_port()
        run = _as_postgres(folder)
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
        data = folder / "data"
        subprocess.run([*run, programs / "initdb", "-D", data, "-U", "agentkit", "-A", "trust"], **quiet)  # type: ignore[call-overload]
        control = [*run, programs / "pg_ctl", "-D", data, "-w"]
        options = f"-p {port} -k {folder} -c max_connections=200 -c fsync={'on' if fsync else 'off'}"
        subprocess.run([*control, "-o", options, "-l", folder / "log", "start"], **quiet)  # type: ignore[call-overload]
        try:
            yield f"postgresql://agentkit@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **quiet)  # type: ignore[call-overload]


def _programs() -> Path | None:
    """The folder of `initdb`: what PG_BIN names, else on PATH, else the newest of Debian's packages."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    named = [Path(os.environ["PG_BIN"])] if "PG_BIN" in os.environ else []
    found = named or ([Path(on_path).parent] if on_path else debian[-1:])
    return next((folder for folder in found if (folder / "initdb").is_file()), None)


def _as_postgres(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: hand its folder to the package's own user then."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "postgres", "postgres")
    return ["runuser", "-u", "postgres", "--"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
