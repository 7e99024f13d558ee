"""`agentkit run`, `chat` and `resume`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentkit.cli import completion, stopping
from agentkit.cli.agent_options import DECLINING, FORM, AgentOptions, Seed, with_agent_options
from agentkit.cli.output import JSON_HELP, as_json, note, open_settings, say
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.graph.events import Event
    from agentkit.result import Result
    from agentkit.tasks import Task

run_app, chat_app, resume_app = typer.Typer(), typer.Typer(), typer.Typer()

NoLearn = Annotated[bool, typer.Option("--no-learn", help="Recall, but don't learn from this run.")]
Files = Annotated[
    list[Path] | None,
    typer.Option("--file", help="A text file, or an image for a vision model, to attach to the task; may be repeated."),
]
Source = Annotated[str, typer.Option(help="Where third-party text in the task comes from; makes the run untrusted.")]
Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@run_app.command("run")
@with_agent_options()
def run(
    task: Annotated[str, typer.Argument(help="What to do.")],
    *,
    wanted: AgentOptions,
    file: Files = None,
    no_learn: NoLearn = False,
    source: Source = "",
    seed: Seed = 0,
    json_: Json = False,
) -> None:
    """Solve one task. A run stopped with Ctrl-C can be resumed."""
    from agentkit.tasks import Task

    asked = Task.model_validate({"id": "task", "input": task, "files": file or [], "source": source})
    with wanted.build() as agent:
        finish(agent, agent.stream(asked, learn=not no_learn, seed=seed), json_=json_)


@chat_app.command("chat")
@with_agent_options(without=("checker", "samples", *FORM, *DECLINING, "approve"))
def chat(*, wanted: AgentOptions) -> None:
    """Talk to an agent. Each message is a run of its own, with the conversation so far as its context."""
    said: list[tuple[str, str]] = []
    sources: set[str] = set()
    with wanted.build() as agent:
        note("An empty line or Ctrl-D ends the conversation.")
        while message := _ask("you › "):
            result = follow(agent, agent.stream(next_message(said, message, sources)))
            sources |= set(result.sources)
            answer = result.answer or "(no answer)"
            say(answer)
            said.append((message, answer))


@resume_app.command("resume")
def resume(
    run_id: Annotated[
        str, typer.Argument(help="The run's id, or a unique prefix of it.", autocompletion=completion.runs)
    ],
    accept: Annotated[
        bool | None, typer.Option("--accept/--reject", help="The reply, if the run waits for one.")
    ] = None,
    text: Annotated[str, typer.Option(help="The reason, for the explorer.")] = "",
    answer: Annotated[str | None, typer.Option(help="A better answer, to be used as it is.")] = None,
    json_: Json = False,
) -> None:
    """Resume a run where it stopped, or reply to a run that waits for a person."""
    from agentkit.agent import Agent

    agent, full = Agent.for_run(run_id, settings=open_settings())
    with agent:
        reply = None if accept is None and answer is None else _reply(accept, text, answer)
        finish(agent, agent.stream_resume(full, reply), json_=json_, run_id=full)


def finish(agent: Agent, events: Iterator[Event], *, json_: bool, run_id: str | None = None) -> None:
    """Show a run until it ends, and print its result."""
    result = follow(agent, events, run_id=run_id)
    if json_:
        say(as_json(result.to_json()))
        return
    sure = "" if result.confidence is None else f" · confidence {result.confidence:.2f}"
    if result.status == "declined":
        say("(declined)")
        note(f"It would have answered: {result.answer}")
    else:
        say(result.answer if result.answer is not None else "(no answer)")
    usage = result.usage
    counts = f"{usage.calls} calls, {usage.input_tokens + usage.output_tokens:,} tokens, {result.seconds:.1f} s"
    note(f"{result.status}{sure} · {counts} · agentkit runs show {result.run_id}")
    if result.status == "waiting":
        note(f"It waits for you: agentkit resume {result.run_id} --accept  or  --reject --text WHY")


def follow(agent: Agent, events: Iterator[Event], *, run_id: str | None = None) -> Result:
    """Show a run's events. If it is stopped meanwhile, the run can be resumed."""
    from agentkit.cli.live import Progress
    from agentkit.errors import AgentKitError

    try:
        with Progress() as progress:
            for event in events:
                run_id = event.run_id
                stopping.go_on_with(f"agentkit resume {run_id}")
                progress.show(event)
        stopping.go_on_with(None)
    except AgentKitError:
        if run_id is not None:
            note(f"The run is saved. Continue with:  agentkit resume {run_id}")
        raise
    assert run_id is not None
    return agent.result(run_id)


def _reply(accept: bool | None, text: str, answer: str | None) -> JsonObject:
    return {"accept": True if accept is None else accept, "text": text, "answer": answer}


def next_message(said: list[tuple[str, str]], message: str, sources: set[str]) -> Task:
    """The task for the next message: no more trusted than what the conversation has read so far."""
    from agentkit.conversation import AGENT, USER, with_history
    from agentkit.tasks import Task

    turns = [turn for question, answer in said[-8:] for turn in ((USER, question), (AGENT, answer))]
    return Task(id="task", input=with_history(turns, message), source=" ".join(sorted(sources)))


def _ask(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except (EOFError, RuntimeError):  # the latter if standard input is closed
        return ""
