"""OpenTelemetry spans after the GenAI semantic conventions, through the API package alone.

Without an SDK the spans cost nothing. Message content is recorded only where
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true`. Names follow semantic conventions 1.41 (development status).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

_tracer = trace.get_tracer("agentkit", schema_url="https://opentelemetry.io/schemas/1.41.0")


@contextmanager
def span(operation: str, name: str, **attributes: str | int | float | None) -> Iterator[Span]:
    """A span `"{operation} {name}"`; see `set_attributes` for their names.

    Operations of the conventions: `chat`, `execute_tool`, `invoke_agent`, `invoke_workflow`, `plan`, `embeddings`.
    """
    with _tracer.start_as_current_span(f"{operation} {name}", record_exception=False) as current:
        current.set_attribute("gen_ai.operation.name", operation)
        set_attributes(current, **attributes)
        try:
            yield current
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            current.set_attribute("error.type", type(error).__name__)
            raise


def set_attributes(current: Span, **attributes: str | int | float | None) -> None:
    """Add `gen_ai.*` attributes: `usage__input_tokens=3` becomes `gen_ai.usage.input_tokens`."""
    for key, value in attributes.items():
        if value is not None:
            current.set_attribute("gen_ai." + key.replace("__", "."), value)


def capture_content() -> bool:
    """Whether prompts and answers may go into spans; off by default."""
    return os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").lower() == "true"
