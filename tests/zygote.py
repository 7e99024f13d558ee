"""Runs snippets in forked processes, so that a hundred kills do not pay for a hundred imports.

Reads a JSON list of `[code, fault or null]` from standard input, writes the list of exit codes (-9 when killed).
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import agentkit.agent  # noqa: F401  imported before the fork
import agentkit.testing  # noqa: F401


def run(code: str, fault: str | None) -> int:
    """Exit code of one snippet in a process of its own."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.environ.pop("AGENTKIT_FAULT", None)
            if fault:
                os.environ["AGENTKIT_FAULT"] = fault
            exec(compile(code, "<snippet>", "exec"), {"__name__": "__main__"})  # noqa: S102  our own snippets
            status = 0
        except BaseException:  # noqa: BLE001  the child must never run on into the parent's code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    snippets = json.load(sys.stdin)
    json.dump([run(code, fault) for code, fault in snippets], sys.__stdout__)
