"""Files of a task's input: texts and images, named by the hash of their bytes, so that a run always has the same ones.

A text is kept as UTF-8 and goes into the prompt as text, with its name. An image goes to models that take images, as a
content block of LangChain's.
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
"""Bytes of the longest text: some 100,000 tokens."""
MAX_IMAGE = 10_000_000
"""Bytes of the largest image."""
MAX_FILES = 20
"""Files of one task."""

TEXT = "text/plain"
_IMAGES = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
)
"""Images by how their bytes begin: a name proves nothing."""
_KNOWN = "give text, or an image as PNG, JPEG, GIF or WebP"


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a task. Two of the same name and bytes are equal.

    Attributes:
        name: as the model reads it.
        media_type: "text/plain", or the kind of image.
        sha256: of its bytes.
        size: how many there are.
        data: the bytes; None where the file is known by its hash alone, as in a stored task.
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
            within: the folder that it must lie in, wherever links lead.

        Raises:
            DataError: no such file, no right to read it, too large, or of a type that no model reads.
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
        """A file of bytes.

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
        """What a text holds; empty for an image, and where the bytes are not at hand."""
        return "" if self.is_image or self.data is None else self.data.decode()

    @property
    def content_block(self) -> JsonObject:
        """An image as a content block of LangChain's."""
        encoded = base64.b64encode(self.data or b"").decode()
        return {"type": "image", "base64": encoded, "mime_type": self.media_type}

    @property
    def source(self) -> str:
        """How it is named among the places that text from outside came from."""
        return "file:" + re.sub(r"[^\w.-]+", "_", self.name)

    def with_text(self, text: str) -> File:
        """The file with another text in it."""
        return self if text == self.text else File.of(text.encode(), self.name)

    def with_data(self, data: bytes | None) -> File:
        """The file with its bytes, where it lacks them."""
        return self if self.data is not None else replace(self, data=data)

    def to_json(self) -> JsonObject:
        """What a stored task holds of it: everything but its bytes."""
        return {"name": self.name, "media_type": self.media_type, "sha256": self.sha256, "size": self.size}


def _check_size(size: int, limit: int, where: object) -> None:
    if size > limit:
        raise DataError(f"too large: {size:,} bytes, and a file like this may have {limit:,}", path=where)


def as_file(given: object) -> File:
    """A file as a task may name it: a path, a `File`, a content block, or what `to_json` gave.

    Raises:
        DataError: none of these, or a file that can't be taken.
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
    """The text and the files of an input that is given as content blocks, LangChain's or OpenAI's.

    Raises:
        DataError: a block that is neither, or whose bytes lie elsewhere.
    """
    from langchain_core.messages import HumanMessage

    texts, files = list[str](), list[File]()
    try:
        blocks = HumanMessage(list(parts)).content_blocks  # type: ignore[arg-type]  # anything may be given
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError("the input is no list of content blocks") from None
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
            raise DataError(f"a part of type {str(named)!r} is not understood: there are text, image and file")
    return "\n\n".join(texts), files


def _of_block(block: Mapping[str, object], name: str) -> File:
    extras = block.get("extras")
    named = block.get("filename") or (extras.get("filename") if isinstance(extras, Mapping) else None)
    name = str(named or name)
    data, url = block.get("base64"), str(block.get("url") or "")
    if data is None and url.startswith("data:") and ";base64," in url:
        data = url.partition(";base64,")[2]
    if not isinstance(data, str):
        raise DataError(f"{name}: it is given by an address, and a run keeps the bytes that it saw: give those")
    try:
        return File.of(base64.b64decode(data, validate=True), name)
    except binascii.Error:
        raise DataError(f"{name}: its bytes are not valid base64") from None
