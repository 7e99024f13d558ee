"""Errors in the format that OpenAI's clients expect, with statuses that tell them whether to retry."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from agentkit.errors import (
    AgentKitError,
    BudgetExceeded,
    ContextOverflow,
    Declined,
    InvalidOutput,
    ModelError,
    QuotaUsedUp,
    StoreError,
    UserError,
)


class Refused(Exception):
    """An error response to a request.

    Args:
        status: the HTTP status.
        message: one line for the client.
        kind, code, param: OpenAI's fields: the type of error, the specific error, and the field that it is about.
        retry_after: seconds after which the same request may succeed; None tells clients not to retry.
        run_id: the run that the error is about.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        run_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.code, self.param = status, message, kind, code, param
        self.retry_after, self.run_id = retry_after, run_id

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        headers = {"x-should-retry": "false" if self.retry_after is None else "true"}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.run_id is not None:
            headers["x-agentkit-run"] = self.run_id
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return JSONResponse(self.body(), self.status, headers)


def refused(error: BaseException, run_id: str | None = None) -> Refused:
    """The error response for an exception. For an unexpected exception, the client is told only that there was one."""
    if isinstance(error, Refused):
        return error
    if not isinstance(error, AgentKitError):
        return Refused(500, "the server failed; its log says why", kind="server_error", run_id=run_id)
    said = str(error)
    match error:
        case QuotaUsedUp():
            return Refused(429, said, kind="insufficient_quota", code="insufficient_quota", run_id=run_id)
        case ContextOverflow():
            return Refused(400, said, code="context_length_exceeded", run_id=run_id)
        case Declined():
            return Refused(400, said, code="content_filter", run_id=run_id)
        case BudgetExceeded():
            return Refused(422, said, kind="budget_exceeded", code="budget_exceeded", run_id=run_id)
        case InvalidOutput():
            return Refused(502, said, kind="server_error", code="invalid_output", run_id=run_id)
        case ModelError(retryable=True):
            later = max(1, round(error.retry_after or 1))
            status = 429 if error.status == 429 else 503
            kind = "rate_limit_error" if status == 429 else "server_error"
            return Refused(status, said, kind=kind, code="model_unavailable", retry_after=later, run_id=run_id)
        case StoreError():
            return Refused(503, "the server's database failed; its log says why", kind="server_error", retry_after=2)
        case UserError():
            return Refused(400, said, run_id=run_id)
        case _:
            return Refused(502, said, kind="server_error", code="run_failed", run_id=run_id)


def stopping(run_id: str) -> Refused:
    """The error for the client of a run that is interrupted because the server stops."""
    return Refused(
        503,
        f"the server is stopping; run {run_id} is kept and resumes when the server is back",
        kind="server_error",
        code="server_stopping",
        retry_after=5,
        run_id=run_id,
    )
