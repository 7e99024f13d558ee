"""A conversation as the input of one task: the earlier messages and the current one."""

from __future__ import annotations

from collections.abc import Sequence

USER, AGENT = "User", "You"
"""The speakers, as the model sees them."""


def with_history(said: Sequence[tuple[str, str]], message: str) -> str:
    """The message preceded by the earlier ones, given as `(speaker, text)` pairs; the message alone where there are
    none."""
    if not said:
        return message
    lines = "\n".join(f"{speaker}: {text}" for speaker, text in said)
    return f"The conversation so far:\n{lines}\n\nThe user now says:\n{message}"
