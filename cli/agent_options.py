"""What a command may say of the agent it builds: every option once, for all commands that build one."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_type_hints

import typer

from agentkit.cli import completion
from agentkit.cli.output import open_settings
from agentkit.errors import DataError, UserError
from agentkit.json_types import JsonObject

if TYPE_CHECKING:
    from agentkit.agent import Agent

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
        help="Tools, by commas: calculator,calculate_answer,python,search,read_file,http_get,sql,schema.",
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
Adapter = Annotated[str | None, typer.Option(help="The trained adapter that the explorer answers with.")]
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
        help="instant, reasoning, agentic, or auto: the cheapest that can do the task, by what past runs showed.",
        autocompletion=completion.efforts,
    ),
]
Samples = Annotated[
    str,
    typer.Option(help="Answers to ask for and vote on, 1 to 64, or auto: as many as are worth it.", metavar="N|auto"),
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
Approve = Annotated[
    list[str] | None, typer.Option(help="Tools that a person must approve, with commas; `answer` for the answer.")
]
MaxRounds = Annotated[int | None, typer.Option(min=1, help="Answers the explorer may give.")]
Seed = Annotated[int, typer.Option(help="For models that take one, and for randomised recall.")]

LEARNING, FORM = ("playbook", "memory", "adapter", "gate"), ("choices", "schema")
DECLINING = ("decline_below", "max_error", "calibration")
"""Options of an agent that go together, as `AgentOptions` names them."""


@dataclass(frozen=True, kw_only=True)
class AgentOptions:
    """The options of an agent. Those that a command does not offer stay as they are here."""

    model: Model = None
    evaluator_model: EvaluatorModel = None
    tools: Tools = None
    root: Root = None
    database: Database = None
    http_host: HttpHosts = None
    api_base: ApiBase = None
    model_option: ModelOptions = None
    checker: Checker = None
    playbook: Playbook = None
    memory: Memory = None
    adapter: Adapter = None
    gate: Gate = None
    instructions: Instructions = None
    choices: Choices = None
    schema: SchemaFile = None
    effort: Effort = "auto"
    samples: Samples = "1"
    plan: Plan = False
    evaluator: Evaluator = None
    decline_below: DeclineBelow = None
    max_error: MaxError = None
    calibration: Calibration = "default"
    approve: Approve = None
    max_rounds: MaxRounds = None

    def build(self) -> Agent:
        """The agent of these options and of the settings.

        Raises:
            AgentKitError: an option that says nothing sensible, or a part that can't be had.
        """
        from agentkit.agent import Agent
        from agentkit.cli.form import answer_form, read_instructions

        return Agent(
            self.model,
            evaluator_model=self.evaluator_model,
            tools=None if self.tools is None else split([self.tools]),
            root=self.root,
            database=self.database,
            http_hosts=split(self.http_host) or None,
            model_options=read_options(self.model_option, self.api_base),
            checker=parse_checker(self.checker),
            instructions=read_instructions(self.instructions),
            output_type=answer_form(self.choices, self.schema),
            effort=self.effort,  # type: ignore[arg-type]  # the agent says which there are
            samples=self.samples,  # type: ignore[arg-type]  # likewise
            planning=self.plan,
            evaluate=self.evaluator,
            decline_below=self.decline_below,
            max_error=self.max_error,
            calibration=self.calibration,
            max_rounds=self.max_rounds,
            approve=split(self.approve),
            playbook=self.playbook,
            memory=self.memory,
            adapter=self.adapter,
            gate=self.gate,  # type: ignore[arg-type]
            settings=open_settings(),
        )


def with_agent_options(*, without: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose parameter `wanted` is the agent's options: on the command line each of them stands for itself,
    where `wanted` stands among the command's own.

    Args:
        without: options that the command does not offer.
    """
    return spelt_out(
        "wanted", AgentOptions, [field.name for field in fields(AgentOptions) if field.name not in without]
    )


def spelt_out(parameter: str, kind: type, names: Sequence[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command one of whose parameters is a dataclass: on the command line its fields stand for themselves.

    Args:
        names: of the fields that the command offers.
    """
    keyword, hints = inspect.Parameter.KEYWORD_ONLY, get_type_hints(kind, include_extras=True)
    shared = [
        inspect.Parameter(field.name, keyword, default=field.default, annotation=hints[field.name])
        for field in fields(kind)
        if field.name in names
    ]

    def offered(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        all_of_them = [given for item in own for given in (shared if item.name == parameter else [item])]

        @functools.wraps(command)
        def run(**given: object) -> None:
            made = kind(**{item.name: given.pop(item.name) for item in shared})
            command(**{parameter: made}, **given)

        signature = inspect.Signature([item.replace(kind=keyword) for item in all_of_them])
        run.__signature__ = signature  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {}
        return run

    return offered


def read_options(given: list[str] | None, api_base: str | None = None) -> dict[str, object]:
    """Options of models from `NAME=VALUE` texts; a value that is no JSON is a text.

    Raises:
        UserError: a text of another form.
    """
    options: dict[str, object] = {} if api_base is None else {"api_base": api_base}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UserError(f"--model-option {text!r}: write NAME=VALUE, such as temperature=0.7")
        try:
            options[name.strip()] = json.loads(value)
        except (ValueError, RecursionError):
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
    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        parsed: JsonObject = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"--checker is not valid JSON: {error.msg}") from None
    return parsed
