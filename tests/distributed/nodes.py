"""A cluster of local node processes, by Ray's own means: `python -m tests.distributed.nodes NUMBER`.

It prints the head's address; each line on standard input kills one node that is not the head; the end of it ends all.
"""

from __future__ import annotations

import logging
import sys

from ray.cluster_utils import Cluster


def main(number: int) -> None:
    logging.disable(logging.WARNING)
    options = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=options)
    for _ in range(number - 1):
        cluster.add_node(**options)
    print(cluster.address, flush=True)
    for _line in sys.stdin:
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        print("killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
