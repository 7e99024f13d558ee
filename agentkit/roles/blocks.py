"""Delimited blocks: how data from outside the prompt's author gets into a prompt.

A block's text can't close its own block or open another, whatever it contains.
"""

from __future__ import annotations

from agentkit.protocols import Block
from agentkit.text import defuse


def block(name: str, text: str) -> str:
    """`text` as data between `<name>` and `</name>`; anything in it that looks like a tag is defused."""
    return f"<{name}>\n{defuse(text)}\n</{name}>"


def learnt(item: Block) -> str:
    """A block of a playbook or a case memory as a prompt holds it; its text is escaped already."""
    return f"<{item.kind}>\n{item.text}\n</{item.kind}>"
