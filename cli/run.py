"""`agentkit run`, `chat` and `resume`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentkit.cli import completion, stopping
from agentkit.cli.output import JSON_HELP, as_json, note, open_settings, say
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.agent import Agent
    from agentkit.graph.events import Event
    from agentkit.result import Result
    from agentkit.tasks import Task

run_app, chat_app, resume_app = typer.Typer(), typer.Typer(), typer.Typer()

Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="The model: local/NAME, hf/REPO, provider/model.", autocompletion=completion.models
    ),
]
EvaluatorModel = Annotated[
    str | None,
    typer.Option(help="The evaluator's model; the same one where not given.", autocompletion=completion.models),
]
Tools = Annotated[
    str | None,
    typer.Option(
        help="Tools, by commas: calculator,python,search,read_file,http_get,sql,schema.",
        autocompletion=completion.tools,
    ),
]
Root = Annotated[Path | None, typer.Option(help="The folder that search and read_file may see.")]
Database = Annotated[str | None, typer.Option(help="What the tools sql and schema read: a SQLite file or a URL.")]
HttpHosts = Annotated[
    list[str] | None, typer.Option("--http-host", help="Hosts that http_get may fetch, with commas or again for each.")
]
ApiBase = Annotated[str | None, typer.Option(help="The address of the server that hosted models are asked at.")]
ModelOptions = Annotated[
    list[str] | None,
    typer.Option("--model-option", help="An option of the models, such as temperature=0.7; again for each."),
]
Checker = Annotated[str | None, typer.Option(help="A checker for the answer, by name or as JSON.")]
Playbook = Annotated[str | None, typer.Option(help="The playbook to use and to learn into.")]
Memory = Annotated[str | None, typer.Option(help="The case memory to use and to learn into.")]
Gate = Annotated[
    str | None,
    typer.Option(
        help="For what the run teaches: probation, strict, quarantine or off.", autocompletion=completion.gates
    ),
]
Instructions = Annotated[
    Path | None, typer.Option(help="A file that says what to do with the input; not remembered with it.")
]
Choices = Annotated[
    list[str] | None,
    typer.Option(help="The answers to choose from: one list with commas, or the option once for each."),
]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="A file with the answer's JSON schema.")]
Effort = Annotated[
    str,
    typer.Option(
        help="instant, reasoning, agentic, or auto: the cheapest that can do the task.",
        autocompletion=completion.efforts,
    ),
]
Plan = Annotated[bool, typer.Option("--plan", help="Let the explorer split the task into sub-tasks.")]
Evaluator = Annotated[
    bool | None,
    typer.Option(
        "--evaluator/--no-evaluator",
        help="Have the evaluator check answers that no real checker can; asked where it helps, where not given.",
        show_default=False,
    ),
]
DeclineBelow = Annotated[float | None, typer.Option(help="Decline answers of less confidence, from 0 to 1.")]
MaxError = Annotated[
    float | None, typer.Option(help="Decline so that at most this share of the answers given is wrong, from 0 to 1.")
]
Calibration = Annotated[str, typer.Option(help="The name of the calibration that confidence comes from.")]
NoLearn = Annotated[bool, typer.Option("--no-learn", help="Recall, but learn nothing from this run.")]
Approve = Annotated[
    list[str] | None, typer.Option(help="Tools that a person must approve, with commas; `answer` for the answer.")
]
MaxRounds = Annotated[int | None, typer.Option(min=1, help="Answers the explorer may give.")]
Files = Annotated[
    list[Path] | None,
    typer.Option("--file", help="A text, or an image for a model that sees, that goes with the task; again for each."),
]
Source = Annotated[str, typer.Option(help="Where text of others in the task came from; the run is then untrusted.")]
Seed = Annotated[int, typer.Option(help="For models that take one, and for randomised recall.")]
Json = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@run_app.command("run")
def run(
    task: Annotated[str, typer.Argument(help="What is to be done.")],
    model: Model = None,
    evaluator_model: EvaluatorModel = None,
    tools: Tools = None,
    root: Root = None,
    database: Database = None,
    http_host: HttpHosts = None,
    api_base: ApiBase = None,
    model_option: ModelOptions = None,
    checker: Checker = None,
    file: Files = None,
    playbook: Playbook = None,
    memory: Memory = None,
    gate: Gate = None,
    instructions: Instructions = None,
    choices: Choices = None,
    schema: SchemaFile = None,
    effort: Effort = "auto",
    plan: Plan = False,
    evaluator: Evaluator = None,
    decline_below: DeclineBelow = None,
    max_error: MaxError = None,
    calibration: Calibration = "default",
    no_learn: NoLearn = False,
    approve: Approve = None,
    max_rounds: MaxRounds = None,
    source: Source = "",
    seed: Seed = 0,
    json_: Json = False,
) -> None:
    """Solve one task. Stopped with Ctrl-C, it can be resumed."""
    from agentkit.tasks import Task

    asked = Task.model_validate({"id": "task", "input": task, "files": file or [], "source": source})
    with build_agent(
        model=model,
        evaluator_model=evaluator_model,
        tools=tools,
        root=root,
        database=database,
        http_hosts=http_host,
        api_base=api_base,
        model_options=model_option,
        checker=checker,
        playbook=playbook,
        memory=memory,
        gate=gate,
        planning=plan,
        evaluate=evaluator,
        effort=effort,
        instructions=instructions,
        choices=choices,
        schema=schema,
        approve=split(approve),
        max_rounds=max_rounds,
        decline_below=decline_below,
        max_error=max_error,
        calibration=calibration,
    ) as agent:
        finish(agent, agent.stream(asked, learn=not no_learn, seed=seed), json_=json_)


@chat_app.command("chat")
def chat(
    model: Model = None,
    tools: Tools = None,
    root: Root = None,
    database: Database = None,
    http_host: HttpHosts = None,
    api_base: ApiBase = None,
    model_option: ModelOptions = None,
    playbook: Playbook = None,
    memory: Memory = None,
    gate: Gate = None,
    instructions: Instructions = None,
    evaluator: Evaluator = None,
) -> None:
    """Talk to an agent. Each message is a run of its own, with the conversation so far as its context."""
    said: list[tuple[str, str]] = []
    sources: set[str] = set()
    with build_agent(
        model=model,
        tools=tools,
        root=root,
        database=database,
        http_hosts=http_host,
        api_base=api_base,
        model_options=model_option,
        playbook=playbook,
        memory=memory,
        gate=gate,
        instructions=instructions,
        evaluate=evaluator,
    ) as agent:
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
        str, typer.Argument(help="The run's id, or a unique beginning of it.", autocompletion=completion.runs)
    ],
    accept: Annotated[bool | None, typer.Option("--accept/--reject", help="The reply, where the run waits.")] = None,
    text: Annotated[str, typer.Option(help="Why not, for the explorer.")] = "",
    answer: Annotated[str | None, typer.Option(help="A better answer, to be taken as it is.")] = None,
    json_: Json = False,
) -> None:
    """Resume a run where it stopped, or reply to one that waits for a person."""
    from agentkit.agent import Agent

    agent, full = Agent.for_run(run_id, settings=open_settings())
    with agent:
        reply = None if accept is None and answer is None else _reply(accept, text, answer)
        finish(agent, agent.stream_resume(full, reply), json_=json_, run_id=full)


def build_agent(
    *,
    tools: str | None = None,
    checker: str | None = None,
    instructions: Path | None = None,
    choices: list[str] | None = None,
    schema: Path | None = None,
    http_hosts: list[str] | None = None,
    api_base: str | None = None,
    model_options: list[str] | None = None,
    **options: Any,
) -> Agent:
    """An agent from the settings and a command's options."""
    from agentkit.agent import Agent
    from agentkit.cli.form import answer_form, read_instructions

    names = None if tools is None else split([tools])
    return Agent(
        settings=open_settings(),
        tools=names,
        checker=parse_checker(checker),
        instructions=read_instructions(instructions),
        output_type=answer_form(choices, schema),
        http_hosts=split(http_hosts) or None,
        model_options=read_options(model_options, api_base),
        **options,
    )


def read_options(given: list[str] | None, api_base: str | None = None) -> dict[str, object]:
    """Options of models from `NAME=VALUE` texts; a value that is no JSON is a text.

    Raises:
        UserError: a text of another form.
    """
    from agentkit.errors import UserError

    options: dict[str, object] = {} if api_base is None else {"api_base": api_base}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UserError(f"--model-option {text!r}: write NAME=VALUE, such as temperature=0.7")
        try:
            options[name.strip()] = json.loads(value)
        except ValueError:
            options[name.strip()] = value
    return options


def split(lists: list[str] | None) -> list[str]:
    """The names in lists with commas."""
    return [name.strip() for text in lists or () for name in text.split(",") if name.strip()]


def parse_checker(text: str | None) -> str | JsonObject | None:
    """A checker's name, or its settings as JSON.

    Raises:
        DataError: it begins like JSON and is none.
    """
    from agentkit.errors import DataError

    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        parsed: JsonObject = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"--checker is not valid JSON: {error.msg}") from None
    return parsed


def finish(agent: Agent, events: Iterator[Event], *, json_: bool, run_id: str | None = None) -> None:
    """Show a run to its end and print what came of it."""
    result = follow(agent, events, run_id=run_id)
    if json_:
        say(as_json(result.to_json()))
        return
    sure = "" if result.confidence is None else f" · confidence {result.confidence:.2f}"
    if result.status == "declined":
        say("(declined)")
        note(f"It would have said: {result.answer}")
    else:
        say(result.answer if result.answer is not None else "(no answer)")
    usage = result.usage
    counts = f"{usage.calls} calls, {usage.input_tokens + usage.output_tokens:,} tokens, {result.seconds:.1f} s"
    note(f"{result.status}{sure} · {counts} · agentkit runs show {result.run_id}")
    if result.status == "waiting":
        note(f"It waits for you: agentkit resume {result.run_id} --accept  or  --reject --text WHY")


def follow(agent: Agent, events: Iterator[Event], *, run_id: str | None = None) -> Result:
    """Show a run's events; stopped from now on, the run can be resumed."""
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
            note(f"The run is kept. Go on with:  agentkit resume {run_id}")
        raise
    assert run_id is not None
    return agent.result(run_id)


def _reply(accept: bool | None, text: str, answer: str | None) -> JsonObject:
    return {"accept": True if accept is None else accept, "text": text, "answer": answer}


def next_message(said: list[tuple[str, str]], message: str, sources: set[str]) -> Task:
    """The task of the next message: it is no more trusted than what the conversation has read so far."""
    from agentkit.conversation import AGENT, USER, with_history
    from agentkit.tasks import Task

    turns = [turn for question, answer in said[-8:] for turn in ((USER, question), (AGENT, answer))]
    return Task(id="task", input=with_history(turns, message), source=" ".join(sorted(sources)))


def _ask(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        return ""
