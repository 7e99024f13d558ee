"""Text from outside: every entry point (files, settings, standard input, models, tools) reads it through this module.

Characters that no database, encoder or terminal can hold (NUL, lone surrogates) become U+FFFD; byte-order marks are
dropped; bytes are UTF-8, UTF-16 or UTF-32, or else Windows-1252 if nothing rules it out.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from agentkit.errors import DataError

_log = logging.getLogger(__name__)

T = TypeVar("T")

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\x80-\xff]{3}")
"""UTF-8 sequences, and runs of bytes that occur in no western European word in Windows-1252."""
_HINT = "save it as UTF-8, for example: iconv -f windows-1252 -t utf-8"


def clean(text: str) -> str:
    """Replace what can't be stored: surrogate pairs are joined; lone surrogates and NUL become U+FFFD.

    >>> clean("a" + chr(0) + "b") == "a" + chr(0xFFFD) + "b"
    True
    """
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    if _UNSTORABLE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\x00", "\ufffd")


_CONTROL = re.compile(
    r"<(?=<?[/|\uff5c]?[A-Za-z_|\uff5c])"
    r"|\[(?=/?(?:INST|SYS|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|SYSTEM_PROMPT|THINK|IMG|gMASK|sMASK|CLS|SEP|MASK|PAD|UNK)\])"
)
"""Where a tag or a chat template's control token begins, in the forms of all known model families."""


def defuse(text: str) -> str:
    """Make data safe for a prompt: insert a zero-width space behind the first character of anything that looks like a
    tag or a control token.

    >>> defuse("<|im_end|>") == "<" + chr(0x200B) + "|im_end|>"
    True
    """
    return _CONTROL.sub(lambda match: match[0] + "\u200b", text)


_UNPRINTABLE = dict.fromkeys((n for n in [*range(32), *range(127, 160)] if chr(n) not in "\n\t"), "\ufffd")


def printable(text: str) -> str:
    """Make text safe for a terminal: every control character except line breaks and tabs becomes U+FFFD, so that no
    text of a model, a tool or a paper can change the title, the clipboard or the screen.

    >>> printable("a" + chr(27) + "[2Jb") == "a" + chr(0xFFFD) + "[2Jb"
    True
    """
    return text.replace("\r\n", "\n").translate(_UNPRINTABLE)


def clipped(text: object, width: int) -> str:
    """The text on one line of at most `width` characters; cut text ends in an ellipsis."""
    line = " ".join(str(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def shorten(text: str, limit: int, *, tail: float = 0.5) -> str:
    """The beginning and end of a long text, in about `limit` characters, with a note in between saying how much was
    left out.

    Args:
        tail: the share kept of the end.
    """
    if len(text) <= limit:
        return text
    room = max(0, limit - _MARK)
    end = int(room * tail)
    return f"{text[: room - end]}\n[… {len(text) - room} characters left out …]\n{text[len(text) - end :]}"


_MARK = 40
"""Characters reserved for that note."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that suggests the closest known name, preceded by a space; empty if none is close.

    >>> did_you_mean("modle", ["model", "memory"])
    " (did you mean 'model'?)"
    """
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def clean_data(data: T) -> T:
    """Clean every text in JSON data, keys included."""
    found: Any = data
    if isinstance(data, str):
        found = clean(data)
    elif isinstance(data, dict):
        found = {clean_data(key): clean_data(value) for key, value in data.items()}
    elif isinstance(data, list | tuple):
        found = type(data)(map(clean_data, data))
    cleaned: T = found
    return cleaned


def decode(data: bytes, *, path: object = None) -> str:
    """Decode bytes: UTF-8, UTF-16 or UTF-32 by byte-order mark, or else Windows-1252 (which is logged). Marks are
    removed.

    Windows-1252 is assumed only if no byte rules it out: in a file with UTF-8 sequences, or with longer runs of bytes
    above 127 than western European words have, a guess could change the text.

    Raises:
        DataError: no such encoding fits, or the data is binary.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "") or _unmarked_utf16(data) or "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        text = _windows(data, path) if encoding == "utf-8" else ""
        if not text and b"\x00" in data:
            raise DataError("binary data, not text", path=path) from None
        if not text:
            raise DataError(f"not {encoding.upper()} text (byte {error.start}): {_HINT}", path=path) from None
    if "\x00" in text:
        raise DataError("binary data, not text", path=path)
    return clean(re.sub("^\ufeff", "", text, flags=re.MULTILINE) if "\ufeff" in text else text)


def _unmarked_utf16(data: bytes) -> str:
    """Detect UTF-16 without a byte-order mark: in western text nearly every second byte is zero."""
    head = data[:400]
    zeros = [head[start::2].count(0) / max(1, len(head) // 2) for start in (0, 1)]
    if min(zeros) > 0.1 or max(zeros) < 0.6:
        return ""
    return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"


def _windows(data: bytes, path: object) -> str:
    if _MULTIBYTE.search(data) or b"\x00" in data:
        return ""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    _log.warning("%s: read as Windows-1252, since it is not UTF-8", "text" if path is None else path)
    return text


def read_text(path: str | Path) -> str:
    """Read a regular file as text, decoded and cleaned.

    Raises:
        DataError: the file does not exist, is not a regular file (a folder, a pipe, a device), can't be read, or is not
            text.
    """
    path = Path(path)
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise DataError("not a regular file", path=path)
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError("no such file", path=path) from None
    except (OSError, ValueError) as error:
        raise DataError(f"can't be read: {getattr(error, 'strerror', None) or error}", path=path) from None
    return decode(data, path=path)


def read_table(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """The non-empty rows of a CSV or TSV file, each with the number of the line it ends on; a tab in the first line
    means TSV.

    Raises:
        DataError: as for `read_text`, or not a valid table (with the line).
    """
    text = read_text(path)
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        yield from ((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise DataError(f"not a table: {error}", path=path, line=reader.line_num) from None


def parse_json(text: str, *, path: object = None, line: int | None = None) -> Any:
    """Parse JSON and clean its texts.

    Args:
        line: the line of the file that the text is on; without it, errors give the line within the text.

    Raises:
        DataError: not valid JSON, nested too deeply, or a number with too many digits.
    """
    try:
        return clean_data(json.loads(text))
    except json.JSONDecodeError as error:
        where = error.lineno if line is None else line
        raise DataError(f"not valid JSON ({error.msg} at column {error.colno})", path=path, line=where) from None
    except RecursionError:
        raise DataError("not valid JSON (nested too deeply)", path=path, line=line) from None
    except ValueError as error:
        raise DataError(f"not valid JSON ({error})", path=path, line=line) from None


_LEAD = re.compile(r"(?im)^[\s*_#>]*(?:final\s+)?answer[*_]*\s*:[*_]*[ \t]*(?=\S)")


def answer_place(text: str) -> int:
    """Where the answer begins in a text that reasons first: behind the last `Answer:` at the beginning of a line; 0 if
    there is none."""
    return max((found.end() for found in _LEAD.finditer(text)), default=0)
