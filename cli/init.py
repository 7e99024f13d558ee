"""`agentkit init`: write a settings file to edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentkit.cli.output import say

app = typer.Typer()

TEMPLATE = """\
# AgentKit's settings for this folder and the folders below it. Each line shows a default; remove the # to change it.
# AGENTKIT_MODEL=… in the environment overrides this file, and a flag such as --model overrides both.

# The model: local/NAME (see `agentkit models ls`), hf/REPO-OR-FOLDER, or a hosted one such as openai/gpt-5-mini.
#model = "local/qwen2.5-coder-1.5b"
# The evaluator's model, if it is not the same one.
#evaluator_model = "openai/gpt-5-mini"
# The model that turns text into vectors for memory, playbooks and grounding.
#embedder = "local/bge-small-en-v1.5"

# Weigh a choice among many options by how much the input resembles each, if the embedder is a local one.
#weigh_choices = true

# Folder of the database, indexes and reports. A relative path is relative to this file's folder.
#home = ".agentkit"
# The database, if it is not SQLite in `home`.
#database = "postgresql://user@host/agentkit"

# Built-in tools (calculator, python, search, read_file, http_get) or functions as "module:function"; these run
# code, so a file that names one must be trusted:  agentkit trust agentkit.toml
#tools = ["calculator", "calculate_answer"]
# The hosts that http_get may fetch from, such as "example.org" or "*.example.org"; needs trust as well.
#http_hosts = []
# Base URL of the server for hosted models, if it is not their provider's; needs trust as well.
#api_base = "http://127.0.0.1:8000/v1"
# The names of the playbook and the case memory to use and to add lessons to.
#playbook = "main"
#memory = "main"
# What happens to lessons of daily runs: "probation" tries them on future runs at random and keeps what helps; "strict"
# holds them for a test on held-out tasks, "quarantine" for a person; "off" applies them untested.
#gate = "probation"

# How many answers the explorer may try, and how many model turns one answer may take.
#max_rounds = 3
#max_steps = 12
# How much of a task's target learning may see: "gold" (all), "check" (right or wrong), "none".
#labels = "none"

# When checkpoints are written: "sync" before the next step starts, "async" while it runs.
#durability = "sync"
# Seconds a single model call may take, and model calls in flight at once.
#timeout = 600.0
#concurrency = 8

# Options for every model, such as temperature, max_tokens, seed or, for local ones, n_ctx.
#[model_options]
#temperature = 0.0

# What one run may use. These limits apply unless changed; only code can lift a limit, with Budget.
#[budget]
#calls = 60
#tokens = 200000
#cost = 1.0
#seconds = 1800.0

# Tool servers (Model Context Protocol), one table each. A command runs only from a file that is trusted (see above).
#[mcp.files]
#command = "npx"
#args = ["-y", "@modelcontextprotocol/server-filesystem", "."]
"""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it.")] = Path(),
) -> None:
    """Write an agentkit.toml with the defaults, commented out. An existing file is left alone."""
    from agentkit.errors import SettingsError
    from agentkit.settings import FILE_NAME

    path = folder / FILE_NAME
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        raise SettingsError(f"{path} already exists; edit it, or move it away first") from None
    except OSError as error:
        raise SettingsError(f"{path} can't be written: {error.strerror}") from None
    say(f"wrote {path}")
