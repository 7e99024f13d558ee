"""The python tool: code in the sandbox."""

from __future__ import annotations

from langchain_core.tools import BaseTool

from agentkit.errors import ToolError
from agentkit.tools.function import tool
from agentkit.tools.sandbox import Sandbox, SandboxResult


def python_tool(sandbox: Sandbox | None = None) -> BaseTool:
    """The built-in `python` tool.

    Raises:
        SandboxUnavailable: code can't be isolated on this machine; said here, before a run starts.
    """
    box = sandbox or Sandbox()
    box.check()

    async def python(code: str) -> str:
        """Run a Python program in an isolated sandbox without network or files. Returns what it prints.

        Args:
            code: a complete program; use print() for every result you need.
        """
        return report(await box.arun(code), box.limits.seconds)

    return tool(python)


def report(result: SandboxResult, seconds: float) -> str:
    """What the model gets to read.

    Raises:
        ToolError: the program failed; with what it printed and the end of its traceback.
    """
    cut = "\n[… more output was left out …]" if result.truncated else ""
    if result.ok:
        return (result.stdout + cut).strip() or "(the program printed nothing: use print())"
    if result.timed_out:
        raise ToolError(f"the program was stopped after {seconds:g} s")
    error = result.stderr.strip().splitlines()
    reason = error[-1] if error else f"exit code {result.exit_code}"
    where = next((line.strip() for line in reversed(error) if 'File "/work/main.py"' in line), "")
    printed = f"; it had printed: {result.stdout.strip()[-500:]}" if result.stdout.strip() else ""
    raise ToolError(f"the program failed: {reason}{' at ' + where if where else ''}{printed}")
