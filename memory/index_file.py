"""The cached vectors of one view on disk: stamped, checksummed, and written completely or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agentkit import faults
from agentkit.embedding import Vectors
from agentkit.whole import written_whole

_MAGIC = b"AKVEC1\n"


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """Describes what a file of vectors was made from."""

    epoch: str
    embedder: str
    view: str
    dimension: int
    rows: int
    last: int
    """The number of the last case in it."""


def save(path: Path, stamp: Stamp, seqs: NDArray[np.int64], vectors: Vectors) -> None:
    """Write next to the old file, sync, and replace it."""
    payload = (np.ascontiguousarray(seqs, dtype="<i8").data, np.ascontiguousarray(vectors, dtype="<f4").data)
    digest = hashlib.sha256(json.dumps(asdict(stamp)).encode())
    for part in payload:
        digest.update(part)
    head = json.dumps({**asdict(stamp), "sha256": digest.hexdigest()}).encode()
    with written_whole(path, durable=True) as whole, whole.open("wb") as file:
        file.write(_MAGIC + len(head).to_bytes(4, "little") + head)
        for part in payload:
            file.write(part)
        faults.point("before:memory.index")
    faults.point("after:memory.index")


def load(path: Path) -> tuple[Stamp, NDArray[np.int64], Vectors] | None:
    """The file's content; None if it is missing or doubtful in any way."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return None
            head = json.loads(file.read(int.from_bytes(file.read(4), "little")))
            sum_ = head.pop("sha256")
            stamp = Stamp(**head)
            seqs = np.fromfile(file, dtype="<i8", count=stamp.rows)
            vectors = np.fromfile(file, dtype="<f4", count=stamp.rows * stamp.dimension)
            rest = file.read(1)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError):
        return None
    if rest or len(seqs) != stamp.rows or len(vectors) != stamp.rows * stamp.dimension:
        return None
    digest = hashlib.sha256(json.dumps(asdict(stamp)).encode())
    digest.update(seqs.data)
    digest.update(vectors.data)
    return (stamp, seqs, vectors.reshape(stamp.rows, stamp.dimension)) if digest.hexdigest() == sum_ else None
