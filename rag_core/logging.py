"""Structured logs: JSON lines when not on a terminal, one canonical line per request, no document or query text.

Get every logger from `get_logger`: structlog's defaults print the local variables of each frame of a traceback, which
may be secrets, questions and documents.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

# structlog loads rich for tracebacks, which `format_exception` writes: a twentieth of a server's start, 5 MB a process.
_rich = sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
import structlog  # noqa: E402

if _rich is None:
    del sys.modules["rich"]

from rag_core.errors import RagError  # noqa: E402
from rag_tracing import current_ids  # noqa: E402

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
_MAX_ERRORS = 20
"""Maximum errors of one chain or group to log; a retry loop can make a chain of any length."""


def get_logger(name: str) -> Any:
    """The logger of a module."""
    return structlog.get_logger(name)


def format_exception(exc_info: BaseException | ExcInfo) -> str:
    """Format an exception with its causes: type, location, and the message of `RagError`s only.

    Local variables and messages of other libraries are left out: a parser, a driver or `int()` quotes its input.
    """
    root = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    return "\n".join(line for found in list(_chain(root))[:_MAX_ERRORS] for line in _lines(found))


def configure_logging(*, level: str = "INFO", json: bool | None = None) -> None:
    """Set up structlog and the standard library's root logger to write to standard error. Idempotent.

    The platform's own lines do not pass through the standard library, which takes most of the time of a line.
    """
    shared = [structlog.stdlib.add_logger_name, *_SHARED]
    structlog.configure(
        processors=[*shared, _FORMAT, _renderer(json)],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _FORMAT, _renderer(json)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "urllib3", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_thread_error


class _Lines(structlog.WriteLogger):
    """Writes the lines of one logger. A full disk or a closed stream fails nothing that is logged about."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):
            super().msg(message)

    debug = info = warning = error = critical = exception = msg


def log_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Log unhandled errors of an event loop; asyncio's default handler would log the exception's text."""
    loop.set_exception_handler(_log_loop_error)


def _renderer(json: bool | None) -> structlog.typing.Processor:
    if (not sys.stderr.isatty()) if json is None else json:
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer()


def _chain(error: BaseException, seen: frozenset[int] = frozenset()) -> Iterator[BaseException]:
    """The error, its causes, and the members of exception groups, each once."""
    if id(error) in seen:
        return
    yield error
    seen |= {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for other in (*members, *([cause] if cause is not None else [])):
        yield from _chain(other, seen)


def _lines(error: BaseException) -> Iterator[str]:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    yield f"{name}: {error}" if isinstance(error, RagError) else name
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} {frame.name}"


def _log_uncaught(_kind: type[BaseException], error: BaseException, _frames: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.exit(130)
    get_logger("rag").critical("uncaught", exception=format_exception(error))


def _log_thread_error(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
        get_logger("rag").critical("a thread ended", exception=format_exception(found.exc_value))


def _log_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    shown = {"exception": format_exception(error)} if error is not None else {}
    get_logger("asyncio").error("unhandled in the event loop", problem=str(context["message"]), **shown)


def use_safe_defaults() -> None:
    """Defaults for processes that others configure, such as Dagster's, and for logs before `configure_logging`."""
    structlog.configure(
        processors=[*_SHARED, _FORMAT, _render_default],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Dagster, gRPC and asyncio log exceptions of the platform's code.
    logging.setLogRecordFactory(_without_content)


def _without_content(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """Remove content from a standard library record; a formatter with `exc_text` does not format the exception."""
    record = _new_record(*args, **kwargs)
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = format_exception(record.exc_info[1])
    return record


def _render_default(logger: Any, method: str, event: structlog.typing.EventDict) -> Any:
    return _renderer(None)(logger, method, event)


def _add_trace(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Name the trace that a line belongs to, where there is one."""
    ids = current_ids()
    if ids is not None:
        event["trace_id"], event["span_id"] = ids
    return event


_new_record = logging.LogRecord
_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    _add_trace,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
_FORMAT = structlog.processors.ExceptionRenderer(format_exception)
use_safe_defaults()
