"""Every error that AgentKit raises on purpose.

AgentKitError                 shown by the command line as one line, exit code 2
├── UserError                 the caller can fix it: what, where, and how
│   ├── SettingsError         agentkit.toml, AGENTKIT_* or a flag
│   ├── DataError             a file of tasks, cases, bullets or papers (path and line)
│   ├── ModelNotFound         no such model, provider or catalog entry
│   ├── MissingKey            a hosted provider without its API key
│   ├── MissingExtra          an optional dependency that is not installed
│   └── StoreError            a database that is missing, newer, locked or unreachable
├── RunError                  a run stopped early; it can be resumed
│   ├── BudgetExceeded        calls, tokens, cost or seconds
│   ├── ModelError            a model call failed for good (status, retryable, retry_after)
│   │   ├── ContextOverflow   the prompt does not fit the model's context
│   │   ├── Declined          the model refused, or a filter blocked its answer
│   │   ├── QuotaUsedUp       the account's quota is exhausted; an immediate retry can't help
│   │   └── InvalidOutput     no valid structured answer after the allowed retries
│   ├── ModelFileError        a model file is missing, broken or has a wrong hash
│   ├── ToolError             a tool raised, hung, or its server died
│   └── SandboxUnavailable    code can't be isolated on this machine, so it is not run
├── Conflict                  the ledger moved on: the change was made against an older version
└── IntegrityError            stored data contradicts its own hash
"""

from __future__ import annotations


class AgentKitError(Exception):
    """Base class; `str(error)` is one line that says what, where and how to fix it."""


class UserError(AgentKitError): ...


class SettingsError(UserError): ...


class DataError(UserError):
    """A row or a file that can't be read.

    Args:
        message: what is wrong and how to fix it.
        path: the file, if there is one.
        line: its line, counted from 1.
    """

    def __init__(self, message: str, *, path: object = None, line: int | None = None) -> None:
        self.path, self.line = path, line
        where = "" if path is None else f"{path}:{line}: " if line is not None else f"{path}: "
        super().__init__(where + message)


class ModelNotFound(UserError): ...


class MissingKey(UserError): ...


class MissingExtra(UserError):
    """Says which extra to install: `MissingExtra("hf", "torch")`."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(f"{package} is not installed: run  pip install 'agentkit-evolve[{extra}]'")


class StoreError(UserError): ...


class RunError(AgentKitError): ...


class BudgetExceeded(RunError): ...


class ModelError(RunError):
    """A model call that failed.

    Args:
        message: one line.
        retryable: whether the same call may succeed later.
        status: the HTTP status, if the model is hosted.
        retry_after: seconds the provider asked us to wait.
    """

    def __init__(
        self, message: str, *, retryable: bool = False, status: int | None = None, retry_after: float | None = None
    ) -> None:
        self.retryable, self.status, self.retry_after = retryable, status, retry_after
        super().__init__(message)


class ContextOverflow(ModelError): ...


class Declined(ModelError): ...


class QuotaUsedUp(ModelError):
    """The account's quota is exhausted: the same call may succeed once that is fixed, but not before."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message, retryable=True, status=status)


class InvalidOutput(ModelError): ...


class ModelFileError(RunError): ...


class ToolError(RunError): ...


class SandboxUnavailable(RunError): ...


class Conflict(AgentKitError): ...


class IntegrityError(AgentKitError): ...
