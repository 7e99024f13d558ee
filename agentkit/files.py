"""Files of a task's input: texts and images, identified by the hash of their bytes, so that a run always sees the same
ones.

Texts are stored as UTF-8 and go into the prompt with their names. Images go to models that accept them, as LangChain
content blocks.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from agentkit.errors import DataError
from agentkit.json_types import JsonObject
from agentkit.text import clean, decode

MAX_TEXT = 400_000
"""Bytes of the longest text, about 100,000 tokens."""
MAX_IMAGE = 10_000_000
"""Bytes of the largest image."""
MAX_FILES = 20
"""Most files of one task."""

TEXT = "text/plain"
_IMAGES = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
)
"""Image types by their first bytes; a file name proves nothing."""
_KNOWN = "give text, or an image as PNG, JPEG, GIF or WebP"


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a task. Two files with the same name and bytes are equal.

    Attributes:
        name: as the model sees it.
        media_type: "text/plain" or the image's type.
        sha256: of its bytes.
        size: number of bytes.
        data: the bytes; None if only the hash is known, as in a stored task.
    """

    name: str
    media_type: str
    sha256: str
    size: int
    data: bytes | None = field(default=None, repr=False, compare=False)

    @classmethod
    def read(cls, path: str | Path, *, within: Path | None = None) -> File:
        """Read a file.

        Args:
            within: the folder that it must lie in after links are resolved.

        Raises:
            DataError: the file does not exist, can't be read, is too large, or has a type that no model reads.
        """
        path = Path(path).expanduser()
        try:
            if within is not None and not path.resolve().is_relative_to(within.resolve()):
                raise DataError(f"lies outside of {within}", path=path)
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise DataError("not a regular file", path=path)
            _check_size(found.st_size, MAX_IMAGE, path)
            data = path.read_bytes()
        except FileNotFoundError:
            raise DataError("no such file", path=path) from None
        except (OSError, ValueError) as error:
            raise DataError(f"can't be read: {getattr(error, 'strerror', None) or error}", path=path) from None
        return cls.of(data, path.name, path=path)

    @classmethod
    def of(cls, data: bytes, name: str, *, path: object = None) -> File:
        """Make a file from bytes.

        Raises:
            DataError: too large, empty, or of a type that no model reads.
        """
        where = name if path is None else path
        if not data:
            raise DataError("the file is empty", path=where)
        image = next((kind for kind, begin in _IMAGES if begin.match(data)), None)
        if image is not None:
            return cls._made(data, name, image, MAX_IMAGE, where)
        try:
            text = decode(data, path=where) if not data.startswith(b"%PDF") else ""
        except DataError:
            text = ""
        if not text:
            raise DataError(f"a file of a type that models don't read: {_KNOWN}", path=where)
        return cls._made(text.encode(), name, TEXT, MAX_TEXT, where)

    @classmethod
    def _made(cls, data: bytes, name: str, kind: str, limit: int, where: object) -> File:
        _check_size(len(data), limit, where)
        name = " ".join(clean(name).split())[:200] or "file"
        return cls(name=name, media_type=kind, sha256=hashlib.sha256(data).hexdigest(), size=len(data), data=data)

    @property
    def is_image(self) -> bool:
        return self.media_type != TEXT

    @property
    def text(self) -> str:
        """The content of a text; empty for an image, and if the bytes are not loaded."""
        return "" if self.is_image or self.data is None else self.data.decode()

    @property
    def content_block(self) -> JsonObject:
        """An image as a LangChain content block."""
        encoded = base64.b64encode(self.data or b"").decode()
        return {"type": "image", "base64": encoded, "mime_type": self.media_type}

    @property
    def source(self) -> str:
        """Its name in the list of sources of outside text."""
        return "file:" + re.sub(r"[^\w.-]+", "_", self.name)

    def with_text(self, text: str) -> File:
        """A copy of the file with another text."""
        return self if text == self.text else File.of(text.encode(), self.name)

    def with_data(self, data: bytes | None) -> File:
        """The file with its bytes filled in where they are missing."""
        return self if self.data is not None else replace(self, data=data)

    def to_json(self) -> JsonObject:
        """What a stored task keeps of it: everything but the bytes."""
        return {"name": self.name, "media_type": self.media_type, "sha256": self.sha256, "size": self.size}


def _check_size(size: int, limit: int, where: object) -> None:
    if size > limit:
        raise DataError(f"too large: {size:,} bytes, where at most {limit:,} are allowed", path=where)


def as_file(given: object) -> File:
    """Convert what a task may give as a file: a path, a `File`, a content block, or the output of `to_json`.

    Raises:
        DataError: none of these, or a file that is not accepted.
    """
    if isinstance(given, File):
        return given
    if isinstance(given, str | os.PathLike):
        return File.read(Path(given))
    if isinstance(given, Mapping) and "sha256" in given:
        try:
            return File(**given)
        except TypeError as error:
            raise DataError(f"not a file: {error}") from None
    if isinstance(given, Mapping):
        _text, files = read_parts([given])
        if len(files) == 1:
            return files[0]
    raise DataError(f"not a file: {str(given)[:60]!r}; give its path, or a content block with its bytes")


def read_parts(parts: Sequence[object]) -> tuple[str, list[File]]:
    """The text and the files of an input given as content blocks, LangChain's or OpenAI's.

    Raises:
        DataError: a block that is neither text nor a file, or whose bytes are not included.
    """
    from langchain_core.messages import HumanMessage

    texts, files = list[str](), list[File]()
    try:
        blocks = HumanMessage(list(parts)).content_blocks  # type: ignore[arg-type]  # anything may be given
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError("the input is not a list of content blocks") from None
    for block in blocks:
        found = dict(block)
        kind = found.get("type")
        if kind in ("text", "text-plain") and isinstance(found.get("text"), str):
            texts.append(str(found["text"]))
        elif kind in ("image", "file"):
            files.append(_of_block(found, f"{kind} {len(files) + 1}"))
        else:
            inner = found.get("value")
            named = inner.get("type") if isinstance(inner, Mapping) else kind
            raise DataError(f"a part of type {str(named)!r} is not supported: use text, image or file")
    return "\n\n".join(texts), files


def _of_block(block: Mapping[str, object], name: str) -> File:
    extras = block.get("extras")
    named = block.get("filename") or (extras.get("filename") if isinstance(extras, Mapping) else None)
    name = str(named or name)
    data, url = block.get("base64"), str(block.get("url") or "")
    if data is None and url.startswith("data:") and ";base64," in url:
        data = url.partition(";base64,")[2]
    if not isinstance(data, str):
        raise DataError(f"{name}: it is given as a URL, but a run must keep the bytes it saw: give the bytes")
    try:
        return File.of(base64.b64decode(data, validate=True), name)
    except binascii.Error:
        raise DataError(f"{name}: its bytes are not valid base64") from None
