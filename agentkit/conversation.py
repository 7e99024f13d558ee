"""A conversation as the input of one task: what was said before, and what is said now."""

from __future__ import annotations

from collections.abc import Sequence

USER, AGENT = "User", "You"
"""Who speaks, as the model reads it."""


def with_history(said: Sequence[tuple[str, str]], message: str) -> str:
    """The message with what was said before it, as `(speaker, text)` pairs; the message alone where nothing was."""
    if not said:
        return message
    lines = "\n".join(f"{speaker}: {text}" for speaker, text in said)
    return f"The conversation so far:\n{lines}\n\nThe user now says:\n{message}"
