"""Named points at which a test may kill the process, to prove that a resumed run loses and repeats nothing.

`AGENTKIT_FAULT=after:model.call` kills the process with SIGKILL the first time that point is reached,
`AGENTKIT_FAULT=after:model.call#3` the third time. While the variable is unset, a point costs one dictionary look-up.
"""

from __future__ import annotations

import os
import signal

_reached: dict[str, int] = {}


def point(name: str) -> None:
    """Kill the process with SIGKILL if `AGENTKIT_FAULT` names this point."""
    wanted = os.environ.get("AGENTKIT_FAULT")
    if wanted is None:
        return
    _reached[name] = _reached.get(name, 0) + 1
    target, _, nth = wanted.partition("#")
    if target == name and _reached[name] == int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
