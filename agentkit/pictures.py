"""Saving figures as files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from agentkit.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_png(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, whatever the file's extension.

    Raises:
        UserError: the path is not a regular file, or can't be written.
    """
    path, data = Path(path), io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": "AgentKit"})
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: not a regular file, so it is not overwritten")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.getvalue())
    except OSError as error:
        raise UserError(f"{path}: can't be written: {error.strerror}") from None
    return path
