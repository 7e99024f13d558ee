"""How an agent is served."""

from __future__ import annotations

import os
from dataclasses import dataclass

from agentkit.errors import SettingsError

KEY = "AGENTKIT_SERVE_KEY"
"""The environment variable that holds the keys; it is the only place they are read from."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How an agent is served.

    Attributes:
        name: the model's name for clients.
        host, port: where it listens; port 0 takes a free one.
        keys: any of them opens the door; none leaves it open, which is allowed on loopback alone.
        concurrency: runs at once; a request beyond them is answered with 429 and asked to come again.
        max_body: bytes of a request.
        grace: seconds that runs are given to end after SIGTERM; those that don't are interrupted and go on at the next
            start.
        untrusted: what clients send was written by others: what is learnt from it waits for a person.
    """

    name: str = "agentkit"
    host: str = "127.0.0.1"
    port: int = 8000
    keys: tuple[str, ...] = ()
    concurrency: int = 256
    max_body: int = 4 << 20
    grace: float = 30.0
    untrusted: bool = False

    def __post_init__(self) -> None:
        if not self.keys and self.host not in LOOPBACK:
            raise SettingsError(
                f"--host {self.host} can be reached from other machines: set {KEY} to a key that clients must send"
            )
        if weak := [key for key in self.keys if len(key) < 16]:
            raise SettingsError(f"{KEY}: a key of {len(weak[0])} characters can be guessed; give it 16 or more")


def keys_of_environment() -> tuple[str, ...]:
    """The keys that stand in the environment, with commas between them."""
    return tuple(key.strip() for key in os.environ.get(KEY, "").split(",") if key.strip())
