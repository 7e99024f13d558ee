"""`agentkit serve`: an agent behind an HTTP server."""

from __future__ import annotations

from typing import Annotated

import typer

from agentkit.cli import stopping
from agentkit.cli.agent_options import DECLINING, AgentOptions, with_agent_options
from agentkit.cli.output import note, say

app = typer.Typer()

Name = Annotated[str, typer.Option(help="The model's name for clients.")]
Host = Annotated[
    str, typer.Option(help="The address to listen on; other than loopback only with a key in AGENTKIT_SERVE_KEY.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")]
Concurrency = Annotated[
    int, typer.Option(min=1, help="How many runs at once; further requests are told to retry later (429).")
]
MaxBody = Annotated[int, typer.Option(min=1, help="Maximum size of a request in kilobytes.")]
Grace = Annotated[float, typer.Option(min=0, help="Seconds that runs have to finish when the server is told to stop.")]
Untrusted = Annotated[
    bool, typer.Option("--untrusted", help="Clients send third-party text: lessons wait for a person.")
]


@app.command("serve")
@with_agent_options(without=("samples", *DECLINING, "approve"))
def serve(
    *,
    wanted: AgentOptions,
    name: Name = "agentkit",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    concurrency: Concurrency = 256,
    max_body: MaxBody = 4096,
    grace: Grace = 30.0,
    untrusted: Untrusted = False,
) -> None:
    """Serve an agent to clients of OpenAI's API, until Ctrl-C or SIGTERM.

    Clients send one of the comma-separated keys in AGENTKIT_SERVE_KEY. Runs that an earlier server of the same agent
    left unfinished continue when the server starts.
    """
    from agentkit.errors import MissingExtra

    try:
        from agentkit.server import ServerOptions
        from agentkit.server import serve as work
        from agentkit.server.options import keys_of_environment
    except ModuleNotFoundError as error:
        raise MissingExtra("server", error.name or "starlette") from None
    options = ServerOptions(
        name=name,
        host=host,
        port=port,
        keys=keys_of_environment(),
        concurrency=concurrency,
        max_body=max_body << 10,
        grace=grace,
        untrusted=untrusted,
    )
    with wanted.build() as agent, stopping.left_to_the_command():
        interrupted = work(agent, options, ready=_ready)
    note(
        f"stopped; {interrupted} runs continue when it starts again" if interrupted else "stopped; no run is unfinished"
    )
    stopping.leave(0)


def _ready(address: str, taken_up: int) -> None:
    say(f"serving the agent at {address}/v1  (Ctrl-C stops it)")
    if taken_up:
        note(f"continuing {taken_up} unfinished runs")
