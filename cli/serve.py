"""`agentkit serve`: an agent behind HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from agentkit.cli import stopping
from agentkit.cli.agent_options import DECLINING, AgentOptions, with_agent_options
from agentkit.cli.output import note, say

app = typer.Typer()

Name = Annotated[str, typer.Option(help="The model's name for clients.")]
Host = Annotated[str, typer.Option(help="Where it listens; off loopback only with a key in AGENTKIT_SERVE_KEY.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Runs at once; more are asked to come again (429).")]
MaxBody = Annotated[int, typer.Option(min=1, help="Kilobytes of a request.")]
Grace = Annotated[float, typer.Option(min=0, help="Seconds that runs are given to end when it is told to stop.")]
Untrusted = Annotated[bool, typer.Option("--untrusted", help="Clients send text of others: lessons wait for a person.")]


@app.command("serve")
@with_agent_options(without=(*DECLINING, "approve"))
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

    Clients send one of the keys in AGENTKIT_SERVE_KEY, which have commas between them. Runs that an earlier server of
    the same agent left unfinished go on when it starts.
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
    note(f"stopped; {interrupted} runs go on when it starts again" if interrupted else "stopped; no run is left")
    stopping.leave(0)


def _ready(address: str, taken_up: int) -> None:
    say(f"serving the agent at {address}/v1  (Ctrl-C stops it)")
    if taken_up:
        note(f"going on with {taken_up} unfinished runs")
