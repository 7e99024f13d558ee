"""`agentkit init`: a settings file to edit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentkit.cli.output import say

app = typer.Typer()

TEMPLATE = """\
# AgentKit's settings for this folder and those below it. Each line shows a default; take the # away to change it.
# AGENTKIT_MODEL=… in the environment is stronger than this file, and a flag such as --model is stronger than both.

# The model: local/NAME (see `agentkit models ls`), hf/REPO-OR-FOLDER, or a hosted one such as openai/gpt-5-mini.
#model = "local/qwen2.5-coder-1.5b"
# The evaluator's model, where it is not to be the same one.
#evaluator_model = "openai/gpt-5-mini"
# What turns text into vectors for memory, playbooks and grounding.
#embedder = "local/bge-small-en-v1.5"

# Where the database, indexes and reports live. A relative path starts at this file's folder.
#home = ".agentkit"
# The database, where it is not to be SQLite in `home`.
#database = "postgresql://user@host/agentkit"

# Built-in tools (calculator, python, search, read_file, http_get) or functions as "module:function"; these run code, so
# that the file must be trusted once it names one:  agentkit trust agentkit.toml
#tools = ["calculator", "calculate_answer"]
# The hosts that http_get may fetch, such as "example.org" or "*.example.org"; needs trust as well.
#http_hosts = []
# The server that hosted models are asked at, where it is not their provider's; needs trust as well.
#api_base = "http://127.0.0.1:8000/v1"
# A playbook and a case memory to use and to learn into, by name.
#playbook = "main"
#memory = "main"
# What becomes of what daily runs teach: "probation" tries it on coming runs at random and keeps what helps; "strict"
# keeps it for held-out tasks, "quarantine" for a person; "off" applies it untested.
#gate = "probation"

# Answers the explorer may give, and model turns one answer may take.
#max_rounds = 3
#max_steps = 12
# How much of a task's target learning may use: "gold" (all), "check" (right or wrong), "none".
#labels = "none"

# When checkpoints are written: "sync" before the next step starts, "async" beside it.
#durability = "sync"
# Seconds a single model call may take, and model calls in flight at once.
#timeout = 600.0
#concurrency = 8

# Options of every model, such as temperature, max_tokens, seed or, of local ones, n_ctx.
#[model_options]
#temperature = 0.0

# What one run may use. Unset, these limits hold; a limit is lifted only in code, by Budget.
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
    """Write an agentkit.toml whose lines are the defaults, commented out. An existing file is left alone."""
    from agentkit.errors import SettingsError
    from agentkit.settings import FILE_NAME

    path = folder / FILE_NAME
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        raise SettingsError(f"{path} is already there; edit it, or move it away first") from None
    except OSError as error:
        raise SettingsError(f"{path} can't be written: {error.strerror}") from None
    say(f"wrote {path}")
