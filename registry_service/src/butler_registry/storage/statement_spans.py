# SPDX-License-Identifier: BSD-3-Clause
"""A span of OpenTelemetry for each statement, where tracing is on; nothing of it is loaded otherwise."""

from __future__ import annotations

__all__ = ["RENDERED_INTO", "statement_span", "trace_statements", "tracing_is_set_up"]

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Engine, event

RENDERED_INTO = "butler_rendered_into"
"""An option of what SQLAlchemy only renders, into this list: whoever has it executed makes its span."""

_tracer: Any = None
_MOST_CHARACTERS = 2000


def tracing_is_set_up() -> bool:
    """Return whether this process has a provider of tracers."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    return trace is not None and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def trace_statements(engine: Engine) -> None:
    """Make spans of what an engine executes, and of what `statement_span` is put around."""
    from opentelemetry import trace

    global _tracer
    _tracer = trace.get_tracer(__name__)
    error = trace.StatusCode.ERROR

    @event.listens_for(engine, "before_cursor_execute")
    def begin(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if context is not None and RENDERED_INTO not in context.execution_options:
            context.butler_span = _begin(statement)

    @event.listens_for(engine, "after_cursor_execute")
    def end(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        span = getattr(context, "butler_span", None)
        if span is not None:
            span.end()

    @event.listens_for(engine, "handle_error")
    def fail(failure: Any) -> None:
        span = getattr(failure.execution_context, "butler_span", None)
        if span is not None:
            span.set_status(error, type(failure.original_exception).__name__)
            span.end()


def statement_span(statement: str) -> AbstractContextManager[Any]:
    """Return the span of a statement that goes straight to the driver; a context that does nothing without tracing."""
    if _tracer is None:
        return _NOTHING
    return _tracer.start_as_current_span(_name(statement), attributes=_attributes(statement))  # type: ignore[no-any-return]


def _begin(statement: str) -> Any:
    return _tracer.start_span(_name(statement), attributes=_attributes(statement))


def _name(statement: str) -> str:
    return statement.split(None, 1)[0].upper() if statement.strip() else "SQL"


def _attributes(statement: str) -> dict[str, str]:
    # Values are bound, so the text has none of a user's.
    return {"db.system": "sql", "db.query.text": statement[:_MOST_CHARACTERS]}


_NOTHING: AbstractContextManager[Any] = nullcontext()
