"""A cluster of local node processes, by Ray's own means: `python -m tests.distributed.nodes NUMBER`.

It prints the head's address; each line on standard input kills one node that is not the head, and a line "replace" lets
another start as well; the end of it ends all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

in_full = pytest.mark.skipif(
    "RAY_SUITES" not in os.environ, reason="minutes on Ray: RAY_SUITES=1 python -m pytest tests/distributed"
)
"""For tests whose kind others cover at every run: the same kills of another command, or of a node."""
ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def nodes(number: int) -> Iterator[tuple[str, Callable[..., object]]]:
    """A cluster of so many local node processes: its address, and what kills one that is not the head.

    Its token stands in this process's environment, for whoever is to join it.
    """
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), RAY_USAGE_STATS_ENABLED="0")
    command = [sys.executable, "-m", __name__, str(number)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as cluster:
        assert cluster.stdin is not None and cluster.stdout is not None
        asked, told = cluster.stdin, cluster.stdout

        def kill(*, replace: bool = False) -> None:
            asked.write("replace\n" if replace else "one\n")
            asked.flush()
            assert told.readline() == "killed\n"

        try:
            yield told.readline().strip(), kill
        finally:
            asked.close()


def workers_of(process: psutil.Process) -> list[int]:
    """The processes below this one in which runs, papers or texts are worked on."""
    found = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if " ".join(child.cmdline()).startswith(("ray::PaperWorker", "ray::Rollouts", "ray::TextWorker")):
                found.append(child.pid)
    return found


def main(number: int) -> None:
    from ray.cluster_utils import Cluster

    logging.disable(logging.WARNING)
    options = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=options)
    for _ in range(number - 1):
        cluster.add_node(**options)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        if line.startswith("replace"):
            cluster.add_node(wait=False, **options)
        print("killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
