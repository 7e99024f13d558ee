"""`agentkit trust`: confirm that a settings file has been read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentkit.cli.output import note

app = typer.Typer()


@app.command("trust")
def trust(
    path: Annotated[Path | None, typer.Argument(help="A settings file. Default: the one in effect here.")] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Stop trusting it.")] = False,
) -> None:
    """Let a settings file, as it is now, start programs. Once edited, it has to be trusted again."""
    from agentkit import trusted_files
    from agentkit.errors import SettingsError
    from agentkit.settings import FILE_NAME, settings_file

    file = path or settings_file()
    if file is None:
        raise SettingsError(f"there is no {FILE_NAME} in this folder or above it")
    if file.is_dir():
        file = file / FILE_NAME
    if not revoke:
        trusted_files.trust(file)
        note(f"{file} is trusted as it is now")
    elif trusted_files.revoke(file):
        note(f"{file} is trusted no longer")
    else:
        raise SettingsError(f"{file} was not trusted")
