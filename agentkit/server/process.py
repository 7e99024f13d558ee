"""Running a server in this process until it is told to stop."""

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
    from starlette.types import ASGIApp

    from agentkit.agent import Agent
    from agentkit.server.options import ServerOptions

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_BEYOND_GRACE = 10
"""Seconds for the responses of interrupted runs to reach their clients."""

Stop = Callable[[float], Awaitable[int]]
"""Ends all work within this many seconds; returns how much had to be interrupted."""


def serve(agent: Agent, options: ServerOptions, *, ready: Callable[[str, int], None] | None = None) -> int:
    """Serve an agent until SIGTERM, Ctrl-C or SIGHUP.

    Accepted requests get `options.grace` seconds to finish; whatever has not ended by then, or at a second signal, is
    interrupted and resumes when the server starts again. Must be called in the main thread.

    Args:
        ready: called with the address, and the number of an earlier server's runs that are being resumed.

    Returns:
        how many runs were interrupted.

    Raises:
        SettingsError: the port is not available.
    """
    app = create_app(agent, options)
    jobs = app.state.api.jobs

    def listening(address: str) -> None:
        if ready is not None:
            ready(address, len(jobs.running))

    return run_app(app, options.host, options.port, listening=listening, stop=jobs.stop, grace=options.grace)


def run_app(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    listening: Callable[[str], None],
    stop: Stop | None = None,
    grace: float = 0.0,
) -> int:
    """Run an application until a signal arrives; see `serve`.

    Args:
        listening: called with the address once the port is open.

    Raises:
        SettingsError: the port is not available.
    """
    with _listener(host, port) as listener:
        return asyncio.run(_run(app, listener, listening, stop, grace))


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise SettingsError(f"{host}:{port} can't be used ({error.strerror}); set another  --port") from None
        listener.listen(1024)
        listener.setblocking(False)
        yield listener


async def _run(
    app: ASGIApp, listener: socket.socket, listening: Callable[[str], None], stop: Stop | None, grace: float
) -> int:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=int(grace) + _BEYOND_GRACE,
    )
    host, port = listener.getsockname()[:2]
    server = _Server(config, lambda: listening(f"http://{f'[{host}]' if ':' in host else host}:{port}"))
    stopping: list[asyncio.Task[int]] = []

    def heard() -> None:
        """The first signal gives the work its grace period; a second one ends that period."""
        for task in stopping:
            task.cancel()
        stopping.append(asyncio.ensure_future(_stop(server, stop, 0.0 if stopping else grace)))

    loop = asyncio.get_running_loop()
    for name in SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, heard)
    await server.serve([listener])
    return await stopping[-1] if stopping else 0


class _Server(uvicorn.Server):
    """Reports when it is listening, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self.listening = listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening()


async def _stop(server: uvicorn.Server, stop: Stop | None, grace: float) -> int:
    server.should_exit = True
    return 0 if stop is None else await stop(grace)
