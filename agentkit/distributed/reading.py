"""Reading papers on many processes: PDF files, which take a second each, in tasks; other formats take milliseconds."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from agentkit.curation.documents import Document, Failure, read_folder
from agentkit.curation.documents.reading import PdfReader, read_sources
from agentkit.curation.documents.source import Source
from agentkit.distributed.cluster import RETRIES, Cluster
from agentkit.distributed.workers import told
from agentkit.errors import DataError

_SLOW = ".pdf"


def read_on(cluster: Cluster, path: Path | str, *, pdf: PdfReader = "pypdf") -> Iterator[Document | Failure]:
    """`read_folder` on the cluster's processors: the same papers in the same order, with a few files read ahead.

    The bytes are sent, so workers need no access to the folder.

    Raises:
        DataError: there is no such folder.
        MissingExtra: lxml, pypdf or docling is not installed.
    """
    task = cluster.ray.remote(_read_bytes).options(num_cpus=0, max_retries=RETRIES, scheduling_strategy="SPREAD")
    ahead = 2 * int(cluster.ray.cluster_resources().get("CPU", 1))

    def through(files: Iterable[Source]) -> Iterator[Document | Failure]:
        begun: deque[Any] = deque()
        for source in files:
            begun.append(_begin(task, source, pdf))
            if len(begun) > ahead:
                yield from _end(cluster, begun.popleft(), pdf)
        for each in begun:
            yield from _end(cluster, each, pdf)

    return read_folder(path, through=through)


def _begin(task: Any, source: Source, pdf: PdfReader) -> Any:
    """A task that reads the file, or the file itself if it is read in this process."""
    if source.suffix != _SLOW:
        return source
    try:
        return task.remote(source.name, source.read(), pdf)
    except DataError:
        return source  # the error is reported when its turn comes


def _end(cluster: Cluster, begun: Any, pdf: PdfReader) -> Iterable[Document | Failure]:
    if isinstance(begun, Source):
        return read_sources([begun], pdf=pdf)
    with told("the papers"):
        found: list[Document | Failure] = cluster.ray.get(begun)
    return found


def _read_bytes(name: str, data: bytes, pdf: PdfReader) -> list[Document | Failure]:
    return list(read_sources([Source(name=name, opener=lambda: io.BytesIO(data))], pdf=pdf))
