"""Calls that hold the interpreter for seconds, during which Python code can't handle signals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

deaf: Callable[[], AbstractContextManager[None]] = nullcontext
"""Wraps such a call. A program sets it to decide what happens to signals meanwhile; the command line lets them end the
process."""
