"""The options of the agent that a command builds, defined once for every command that builds one."""

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
    typer.Option(help="The evaluator's model. Default: the same model.", autocompletion=completion.models),
]
Tools = Annotated[
    str | None,
    typer.Option(
        help="Tools, separated by commas: calculator,calculate_answer,python,search,read_file,http_get,sql,schema.",
        autocompletion=completion.tools,
    ),
]
Root = Annotated[Path | None, typer.Option(help="The folder that search and read_file may access.")]
Database = Annotated[str | None, typer.Option(help="What the tools sql and schema read: a SQLite file or a URL.")]
HttpHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--http-host", help="Hosts that http_get may fetch from, separated by commas; the option may be repeated."
    ),
]
ApiBase = Annotated[str | None, typer.Option(help="Base URL of the server for hosted models.")]
ModelOptions = Annotated[
    list[str] | None,
    typer.Option("--model-option", help="An option for the models, such as temperature=0.7; may be repeated."),
]
Checker = Annotated[str | None, typer.Option(help="The checker for the answer, by name or as JSON.")]
Playbook = Annotated[str | None, typer.Option(help="The playbook to use, and to add lessons to.")]
Memory = Annotated[str | None, typer.Option(help="The case memory to use, and to add cases to.")]
Adapter = Annotated[str | None, typer.Option(help="The trained adapter that the explorer answers with.")]
Gate = Annotated[
    str | None,
    typer.Option(
        help="Gate for what the run teaches: probation, strict, quarantine or off.", autocompletion=completion.gates
    ),
]
Instructions = Annotated[
    Path | None, typer.Option(help="A file with instructions for the input; case memory does not store them.")
]
Choices = Annotated[
    list[str] | None,
    typer.Option(help="The answers to choose from: one list separated by commas, or the option repeated."),
]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="A file with the JSON schema of the answer.")]
Effort = Annotated[
    str,
    typer.Option(
        help="instant, reasoning, agentic, or auto: the cheapest mode that past runs show can do the task.",
        autocompletion=completion.efforts,
    ),
]
Samples = Annotated[
    str,
    typer.Option(
        help="Answers to sample and vote on, 1 to 64; auto: as many as are worth their cost.", metavar="N|auto"
    ),
]
Plan = Annotated[bool, typer.Option("--plan", help="Let the explorer split the task into sub-tasks.")]
Evaluator = Annotated[
    bool | None,
    typer.Option(
        "--evaluator/--no-evaluator",
        help="Have the evaluator check answers that no checker can. Default: where it was measured to help.",
        show_default=False,
    ),
]
DeclineBelow = Annotated[float | None, typer.Option(help="Decline answers with a confidence below this, from 0 to 1.")]
MaxError = Annotated[
    float | None, typer.Option(help="Decline so that at most this share of the given answers is wrong, from 0 to 1.")
]
Calibration = Annotated[str, typer.Option(help="The name of the calibration that gives the confidence.")]
Approve = Annotated[
    list[str] | None,
    typer.Option(help="Tools whose calls a person must approve, separated by commas; `answer` for the answer."),
]
MaxRounds = Annotated[int | None, typer.Option(min=1, help="How many answers the explorer may try.")]
Seed = Annotated[int, typer.Option(help="For models that accept a seed, and for randomised recall.")]

LEARNING, FORM = ("playbook", "memory", "adapter", "gate"), ("choices", "schema")
DECLINING = ("decline_below", "max_error", "calibration")
"""Options that belong together, by their names in `AgentOptions`, to be passed as `without`."""


@dataclass(frozen=True, kw_only=True)
class AgentOptions:
    """The options of an agent. An option that a command does not offer keeps its default from here."""

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
        """Build the agent from these options and the settings.

        Raises:
            AgentKitError: the value of an option makes no sense, or a part of the agent is not available.
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
    """Decorate a command that takes the agent's options as its parameter `wanted`. On the command line that parameter
    is replaced, in place, by one option for each field of `AgentOptions`.

    Args:
        without: options that this command does not offer.
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
    """Parse model options given as `NAME=VALUE`; a value that is not JSON is taken as text.

    Raises:
        UserError: a text is not of that form.
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
    """The names in comma-separated lists."""
    return [name.strip() for text in lists or () for name in text.split(",") if name.strip()]


def parse_checker(text: str | None) -> str | JsonObject | None:
    """A checker's name, or its settings as JSON.

    Raises:
        DataError: the text starts like JSON but is not valid.
    """
    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        parsed: JsonObject = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"--checker is not valid JSON: {error.msg}") from None
    return parsed
