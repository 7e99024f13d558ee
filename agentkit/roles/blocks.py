"""Delimited blocks: how data that the prompt's author did not write gets into a prompt.

A block's text can't close its own block or open another one, whatever it contains.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentkit.files import File
from agentkit.json_types import JsonObject
from agentkit.protocols import Block
from agentkit.text import defuse


def block(name: str, text: str) -> str:
    """`text` as data between `<name>` and `</name>`; anything in it that looks like a tag is broken up."""
    return f"<{name}>\n{defuse(text)}\n</{name}>"


def with_files(files: Sequence[File], text: str) -> str | list[str | JsonObject]:
    """A user message with files: texts come first, as blocks of their own; each image follows its name."""
    texts = [_file(file) for file in files if not file.is_image]
    said = "\n\n".join([*texts, text])
    images = [file for file in files if file.is_image]
    if not images:
        return said
    shown = [part for file in images for part in (_text(f"{file.name}:"), file.content_block)]
    return [*shown, _text(said)]


def _file(file: File) -> str:
    return f'<file name="{defuse(file.name).replace(chr(34), chr(39))}">\n{defuse(file.text)}\n</file>'


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def learnt(item: Block) -> str:
    """A block of a playbook or a case memory, formatted for a prompt; its text is already escaped."""
    return f"<{item.kind}>\n{item.text}\n</{item.kind}>"
