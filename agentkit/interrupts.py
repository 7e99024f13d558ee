"""Calls that hold the interpreter for seconds, during which no Python code can see a signal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

deaf: Callable[[], AbstractContextManager[None]] = nullcontext
"""Stands around such a call. A program sets it to what is to become of signals meanwhile; the command line lets them
end the process."""
