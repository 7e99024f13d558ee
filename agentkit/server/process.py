"""A server in this process, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from agentkit.errors import SettingsError
from agentkit.server.app import create_app

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.server.options import ServerOptions

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_BEYOND_GRACE = 10
"""Seconds that responses of interrupted runs are given to reach their clients."""


def serve(agent: Agent, options: ServerOptions, *, ready: Callable[[str, int], None] | None = None) -> int:
    """Serve an agent until SIGTERM, Ctrl-C or SIGHUP.

    Requests that were accepted end within `options.grace` seconds; what has not ended then, or at a second signal, is
    interrupted and goes on when the server starts again. To be called in the main thread.

    Args:
        ready: gets the address, and how many runs of an earlier server are resumed.

    Returns:
        how many runs were interrupted.

    Raises:
        SettingsError: the port can't be had.
    """
    with _listening(options) as listener:
        return asyncio.run(_serve(agent, options, listener, ready))


@contextmanager
def _listening(options: ServerOptions) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
        except OSError as error:
            raise SettingsError(
                f"{options.host}:{options.port} can't be had ({error.strerror}); choose another with  --port"
            ) from None
        listener.listen(1024)
        listener.setblocking(False)
        yield listener


async def _serve(
    agent: Agent, options: ServerOptions, listener: socket.socket, ready: Callable[[str, int], None] | None
) -> int:
    app = create_app(agent, options)
    jobs = app.state.api.jobs
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", server_header=False, log_config=None,
        timeout_graceful_shutdown=int(options.grace) + _BEYOND_GRACE,
    )  # fmt: skip
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def listening() -> None:
        if ready is not None:
            ready(address, len(jobs.running))

    server = _Server(config, listening)
    stopping: list[asyncio.Task[int]] = []

    def stop() -> None:
        """The first signal gives runs their time; a second one takes it from them."""
        for task in stopping:
            task.cancel()
        stopping.append(asyncio.ensure_future(_stop(server, jobs.stop, 0.0 if stopping else options.grace)))

    loop = asyncio.get_running_loop()
    heard = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    for number in heard:
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop)
    await server.serve([listener])
    return await stopping[-1] if stopping else 0


class _Server(uvicorn.Server):
    """Tells when it listens; leaves signals alone."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self.listening = listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening()


async def _stop(server: uvicorn.Server, stop: Callable[[float], Awaitable[int]], grace: float) -> int:
    server.should_exit = True
    return await stop(grace)
