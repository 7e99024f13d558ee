"""Control tokens of a local model: its chat template marks turns with them, so no text in a prompt may contain them.

`agentkit.text.defuse` breaks up the tokens of known model families in all data; this module finds those of one
particular model in its vocabulary.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import BinaryIO

_FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_CONTROL = 3
_SHORTEST = 3
"""Shorter tokens are left alone, because ordinary text is full of them."""


@cache
def control_tokens(path: Path) -> frozenset[str]:
    """The control tokens that a GGUF file declares (format: ggml-org/ggml, docs/gguf.md); may be empty."""
    wanted: dict[str, list[object]] = {"tokenizer.ggml.tokens": [], "tokenizer.ggml.token_type": []}
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            return frozenset()
        _, _, count = struct.unpack("<IQQ", file.read(20))
        for _ in range(count):
            key = _string(file).decode("utf-8", "replace")
            value = _value(file, _number(file, "I"))
            if key in wanted and isinstance(value, list):
                wanted[key] = value
                if all(wanted.values()):
                    break
    kinds = zip(*wanted.values(), strict=False)
    return frozenset(
        token.decode("utf-8", "replace") for token, kind in kinds if kind == _CONTROL and isinstance(token, bytes)
    )


def pattern_of(tokens: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern that finds these tokens in a text; None if there are none."""
    found = sorted((token for token in tokens if len(token) >= _SHORTEST), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, found))) if found else None


def without_control(chat: list[dict[str, str]], tokens: re.Pattern[str] | None) -> list[dict[str, str]]:
    """The messages with every control token broken up behind its first character."""
    if tokens is None:
        return chat
    return [{**turn, "content": tokens.sub(_broken, turn["content"])} for turn in chat]


def _broken(match: re.Match[str]) -> str:
    return f"{match[0][0]}\u200b{match[0][1:]}"


def _value(file: BinaryIO, kind: int) -> object:
    if kind == _TEXT:
        return _string(file)
    if kind != _LIST:
        return _number(file, _FIXED[kind])
    inner, length = _number(file, "I"), _number(file, "Q")
    if inner in (_TEXT, _LIST):
        return [_value(file, inner) for _ in range(length)]
    form = f"<{length}{_FIXED[inner]}"
    return list(struct.unpack(form, file.read(struct.calcsize(form))))


def _string(file: BinaryIO) -> bytes:
    return file.read(_number(file, "Q"))


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))[0])
