"""Options for serving an agent."""

from __future__ import annotations

import os
from dataclasses import dataclass

from agentkit.errors import SettingsError

KEY = "AGENTKIT_SERVE_KEY"
"""The environment variable with the keys; they are read from nowhere else."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Options for serving an agent.

    Attributes:
        name: the model's name for clients.
        host, port: where to listen; port 0 picks a free one.
        keys: clients must send one of them; without any, access is open, which is only allowed on loopback.
        concurrency: runs at once; requests beyond that get status 429 and are asked to retry.
        max_body: largest request body in bytes.
        grace: seconds that runs get to end after SIGTERM; those that don't are interrupted and resumed on the next
            start.
        untrusted: clients send text written by others, so what is learnt from it waits for a person.
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
    """The comma-separated keys from the environment."""
    return tuple(key.strip() for key in os.environ.get(KEY, "").split(",") if key.strip())
