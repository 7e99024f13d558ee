"""The python tool: runs code in the sandbox."""

from __future__ import annotations

from langchain_core.tools import BaseTool

from agentkit.errors import ToolError
from agentkit.tools.function import tool
from agentkit.tools.isolation import SandboxResult
from agentkit.tools.sandbox import Sandbox

_PURPOSE = "Run a Python program in an isolated sandbox without network or files. Returns what it prints."


def python_tool(sandbox: Sandbox | None = None) -> BaseTool:
    """The built-in `python` tool. If the sandbox runs only a subset of Python, the tool's description says so.

    Raises:
        SandboxUnavailable: this machine can't isolate code; raised here, before a run starts.
    """
    box = sandbox or Sandbox()
    subset = box.check().subset

    async def python(code: str) -> str:
        """Run a program.

        Args:
            code: a complete program; use print() for every result you need.
        """
        return report(await box.arun(code), box.limits.seconds)

    text = f"{_PURPOSE} It knows {subset}." if subset else _PURPOSE
    return tool(python, description=text, reads_outside=bool(box.readable or box.python_path))


def report(result: SandboxResult, seconds: float) -> str:
    """The text that the model sees.

    Raises:
        ToolError: the program failed; includes its output and the end of its traceback.
    """
    cut = "\n[… more output was left out …]" if result.truncated else ""
    if result.ok:
        return (result.stdout + cut).strip() or "(the program printed nothing: use print())"
    stopped = stop_reason(result, seconds)
    if stopped:
        raise ToolError(f"the program was stopped: {stopped}")
    error = result.stderr.strip().splitlines()
    reason = error[-1] if error else f"exit code {result.exit_code}"
    if result.unsupported:
        reason = f"this sandbox has no {result.unsupported}; write it without"
    where = next((line.strip() for line in reversed(error) if 'File "/work/main.py"' in line), "")
    printed = f"; it had printed: {result.stdout.strip()[-500:]}" if result.stdout.strip() else ""
    raise ToolError(f"the program failed: {reason}{' at ' + where if where else ''}{printed}")


def stop_reason(result: SandboxResult, seconds: float) -> str:
    """The limit at which a program was stopped; empty if it ended by itself."""
    if result.timed_out:
        return f"it ran longer than {seconds:g} s"
    return f"it used more than {result.exceeded}" if result.exceeded else ""
