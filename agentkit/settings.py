"""Settings from agentkit.toml, `AGENTKIT_*` variables and flags; each overrides the one before."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from agentkit.errors import SettingsError
from agentkit.json_types import JsonObject
from agentkit.text import did_you_mean
from agentkit.trusted_files import config_dir, read_checked

FILE_NAME = "agentkit.toml"


DailyGate = Literal["probation", "strict", "quarantine", "off"]
"""What happens to an edit learnt from a trusted run; any other edit needs a person's approval.

`probation` tries it on later runs; `strict` holds it for a test on held-out tasks (`agentkit evolve --retest`);
`quarantine` holds it for a person; `off` applies it at once, untested."""


class BudgetSettings(BaseModel):
    """What one run may use; None means no limit."""

    model_config = ConfigDict(extra="forbid")

    calls: int | None = Field(default=60, gt=0)
    tokens: int | None = Field(default=200_000, gt=0)
    cost: float | None = Field(default=1.0, gt=0, description="US dollars")
    seconds: float | None = Field(default=1800, gt=0)


class _Environment(EnvSettingsSource):
    """`AGENTKIT_*`: lists are JSON or comma-separated, as with flags; tables are JSON."""

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        name = f"{self.env_prefix}{field_name.upper()}"
        if field.annotation == list[str] and isinstance(value, str) and not value.lstrip().startswith("["):
            if items := [item.strip() for item in value.split(",") if item.strip()]:
                return items
            raise SettingsError(f"{name} is empty: unset it, or write [] for none")
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except (ValueError, RecursionError) as error:
            why = "nested too deeply" if isinstance(error, RecursionError) else error
            raise SettingsError(f"{name} is not valid JSON ({why})") from None


class Settings(BaseSettings):
    """AgentKit's settings for a project; every field can be set in agentkit.toml or as `AGENTKIT_<FIELD>`.

    Attributes:
        model: the explorer's model, and that of every role without one of its own.
        evaluator_model: the evaluator's; None takes `model`.
        embedder: turns text into vectors for memory and de-duplication. If this is left at its default, a memory made
            with another embedder keeps using that one.
        weigh_choices: whether a choice among many options is weighed by how much the input resembles each, if the
            embedder is a local one.
        home: the folder for the database, indexes and reports.
        database: a SQLAlchemy URL; None means SQLite under `home`.
        max_rounds: how many answers the explorer may give before the run ends.
        max_steps: how many model turns one answer may take.
        labels: how much of a task's target learning may use.
        gate: what happens to what daily runs teach: tried at random on later runs ("probation"), held for held-out
            tasks ("strict") or for a person ("quarantine"), or applied untested ("off").
        durability: when LangGraph writes checkpoints.
        budget: limits for one run.
        timeout: seconds that a single model call may take.
        concurrency: how many model calls may be in flight at once.
        http_hosts: the hosts that `http_get` may fetch.
        api_base: base URL for hosted models, instead of their provider's.
        model_options: further options for every model, such as `temperature`, `max_tokens`, `n_ctx`.
    """

    model_config = SettingsConfigDict(env_prefix="AGENTKIT_", env_nested_delimiter="__", extra="forbid")

    model: str = "local/qwen2.5-coder-1.5b"
    evaluator_model: str | None = None
    embedder: str = "local/bge-small-en-v1.5"
    weigh_choices: bool = True
    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("agentkit", appauthor=False)))
    database: str | None = None
    max_rounds: int = Field(default=3, ge=1)
    max_steps: int = Field(default=12, ge=1)
    labels: Literal["gold", "check", "none"] = "none"
    durability: Literal["sync", "async"] = "sync"
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    timeout: float = Field(default=600.0, gt=0)
    concurrency: int = Field(default=8, ge=1)
    playbook: str | None = None
    memory: str | None = None
    gate: DailyGate = "probation"
    tools: list[str] = Field(default_factory=lambda: ["calculator", "calculate_answer"])
    http_hosts: list[str] = Field(default_factory=list)
    api_base: str | None = None
    model_options: dict[str, Any] = Field(default_factory=dict)
    mcp: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.home / 'agentkit.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = [InitSettingsSource(settings_cls, init_kwargs=_read(file)) for file in settings_files()]
        return (init_settings, _Environment(settings_cls), *toml)


_ENV_ONLY = {"AGENTKIT_CACHE", "AGENTKIT_SERVE_KEY"}
"""Variables with this prefix that are not settings: the model cache and the server's key."""
_OF_TESTS = {"AGENTKIT_DATA", "AGENTKIT_FAULT", "AGENTKIT_FUZZ", "AGENTKIT_KILLS"}
_FOR_TESTS = "AGENTKIT_TEST_"
"""Prefix of variables that projects may define for their own tests."""


def _check_environment() -> None:
    """Raises SettingsError: a variable with our prefix that nothing reads, such as a misspelt one."""
    known = {f"AGENTKIT_{name.upper()}" for name in Settings.model_fields} | _ENV_ONLY
    for name in sorted(os.environ):
        own = name.upper().split("__")[0]
        if not own.startswith("AGENTKIT_") or own.startswith(_FOR_TESTS):
            continue
        if own not in known | _OF_TESTS:
            raise SettingsError(f"{name} is not a setting{did_you_mean(own, sorted(known))}: unset it, or fix its name")


def settings_file() -> Path | None:
    """The agentkit.toml of the current folder or of the nearest parent that has one."""
    here = Path.cwd()
    return next((folder / FILE_NAME for folder in (here, *here.parents) if (folder / FILE_NAME).is_file()), None)


def settings_files() -> list[Path]:
    """The settings files that apply here, strongest first: the project's, then the user's own."""
    own = config_dir() / FILE_NAME
    return list(dict.fromkeys(file for file in (settings_file(), own) if file is not None and file.is_file()))


def _read(file: Path) -> dict[str, Any]:
    """The content of a settings file.

    Raises:
        SettingsError: it is not valid TOML, another user could have written it, or it would run code and is not
            trusted.
    """
    text, trusted = read_checked(file)
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise SettingsError(f"{file}: nested too deeply") from None
    except ValueError as error:
        raise SettingsError(f"{file}: {error}") from None
    if not trusted and (found := _programs(data)):
        raise SettingsError(f"{file}: {found}; once you have read the file:  agentkit trust {file}")
    return data


def _programs(data: dict[str, Any]) -> str | None:
    """Describe the first setting that would run code (the command of a tool server, a function named by its module) or
    send prompts, files or keys somewhere; None if there is none."""
    servers, tools = data.get("mcp"), data.get("tools")
    if isinstance(servers, dict):
        for name, server in servers.items():
            if isinstance(server, dict) and server.get("command"):
                return f"[mcp.{name}] command runs code"
    if isinstance(tools, list) and (found := next((tool for tool in tools if ":" in str(tool)), None)):
        return f"the tool {found!r} runs code"
    options = data.get("model_options")
    if data.get("api_base") or (isinstance(options, dict) and "api_base" in options):
        return "api_base sends prompts and keys to a server of the file's choice"
    return "http_hosts lets http_get send to hosts of the file's choice" if data.get("http_hosts") else None


def load_settings(**flags: object) -> Settings:
    """Read the settings; a flag that is None counts as not given. A relative `home` is resolved from the file's folder.

    Raises:
        SettingsError: an unknown name or a value of the wrong type; says where it was set.
    """
    given: JsonObject = {name: value for name, value in flags.items() if value is not None}
    _check_environment()
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        why = first["msg"]
        if first["type"] == "extra_forbidden":
            known = BudgetSettings.model_fields if name.startswith("budget.") else Settings.model_fields
            why = f"there is no such setting{did_you_mean(str(first['loc'][-1]), known)}"
        raise SettingsError(f"setting {name!r} from {_source(name, given)}: {why}") from None
    file = _saying("home")
    if file is not None and not settings.home.is_absolute():
        settings = settings.model_copy(update={"home": file.parent / settings.home})
    return settings


def _saying(name: str) -> Path | None:
    """The strongest settings file that sets a name, or else the strongest file there is."""
    files = settings_files()
    return next((file for file in files if name in _read(file)), files[0] if files else None)


def _source(name: str, flags: dict[str, Any]) -> str:
    top = name.split(".")[0]
    if top in flags:
        return "a flag"
    if f"AGENTKIT_{top.upper()}" in {key.split("__")[0].upper() for key in os.environ}:
        return f"AGENTKIT_{top.upper()}"
    return str(_saying(top) or "the defaults")


def cache_dir() -> Path:
    """Where downloaded model files are kept: `AGENTKIT_CACHE`, or else the user's cache folder."""
    return Path(os.environ.get("AGENTKIT_CACHE") or platformdirs.user_cache_dir("agentkit", appauthor=False))
