"""Settings from agentkit.toml, `AGENTKIT_*` and flags, in that order of strength from weak to strong."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from agentkit.errors import SettingsError

FILE_NAME = "agentkit.toml"


class BudgetSettings(BaseModel):
    """What one run may use; None lifts a limit."""

    model_config = ConfigDict(extra="forbid")

    calls: int | None = Field(default=60, gt=0)
    tokens: int | None = Field(default=200_000, gt=0)
    cost: float | None = Field(default=1.0, gt=0, description="US dollars")
    seconds: float | None = Field(default=1800, gt=0)


class Settings(BaseSettings):
    """What AgentKit needs to know about a project; every field can be set in agentkit.toml or as `AGENTKIT_<FIELD>`.

    Attributes:
        model: the explorer's model, and the one every role takes unless it names its own.
        evaluator_model: the evaluator's; None takes `model`.
        embedder: what turns text into vectors for memory and de-duplication; left alone, a memory that was made with
            another one keeps it.
        home: where the database, indexes and reports live.
        database: a SQLAlchemy URL; None is SQLite under `home`.
        max_rounds: how many answers the explorer may give before the run ends.
        max_steps: how many model turns one answer may take.
        labels: how much of a task's target learning may use.
        durability: when LangGraph writes checkpoints.
        budget: limits of one run.
        timeout: seconds a single model call may take.
        concurrency: model calls in flight at once.
    """

    model_config = SettingsConfigDict(env_prefix="AGENTKIT_", env_nested_delimiter="__", extra="forbid")

    model: str = "local/qwen2.5-coder-1.5b"
    evaluator_model: str | None = None
    embedder: str = "local/bge-small-en-v1.5"
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
    tools: list[str] = Field(default_factory=lambda: ["calculator"])
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
        file = settings_file()
        toml = () if file is None else (TomlConfigSettingsSource(settings_cls, file),)
        return (init_settings, env_settings, *toml)


_ENV_ONLY = {"AGENTKIT_DATA", "AGENTKIT_FAULT", "AGENTKIT_CACHE"}
"""Variables of this prefix that are not settings: test data, fault injection, the model cache."""


def settings_file() -> Path | None:
    """The agentkit.toml of this folder or of the nearest one above it."""
    here = Path.cwd()
    return next((folder / FILE_NAME for folder in (here, *here.parents) if (folder / FILE_NAME).is_file()), None)


def load_settings(**flags: Any) -> Settings:
    """Read the settings; a flag that is None counts as not given. A relative `home` is taken from the file's folder.

    Raises:
        SettingsError: an unknown name or a value of the wrong kind, with where it stands.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    file = settings_file()
    try:
        settings = Settings(**given)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"setting {name!r} from {_source(name, given, file)}: {first['msg']}") from None
    if file is not None and not settings.home.is_absolute():
        settings = settings.model_copy(update={"home": file.parent / settings.home})
    return settings


def _source(name: str, flags: dict[str, Any], file: Path | None) -> str:
    top = name.split(".")[0]
    if top in flags:
        return "a flag"
    if f"AGENTKIT_{top.upper()}" in {key.split("__")[0].upper() for key in os.environ}:
        return f"AGENTKIT_{top.upper()}"
    return str(file) if file else "the defaults"


def cache_dir() -> Path:
    """Where downloaded model files live: `AGENTKIT_CACHE`, else the user's cache folder."""
    return Path(os.environ.get("AGENTKIT_CACHE") or platformdirs.user_cache_dir("agentkit", appauthor=False))
