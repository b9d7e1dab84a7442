"""Console tracebacks without quoted content: an exception may contain a question, a document or a token."""

from __future__ import annotations

import logging
import traceback


def keep_content_out() -> None:
    """Reduce exceptions in every log record of this process to type and place. Idempotent."""
    logging.setLogRecordFactory(_record)


def _record(*args: object, **kwargs: object) -> logging.LogRecord:
    record = logging.LogRecord(*args, **kwargs)  # type: ignore[arg-type]
    if record.exc_info and record.exc_info[1] is not None:
        # A formatter writes this text when it is there, and nothing of its own then.
        record.exc_text = _place(record.exc_info[1])
    return record


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return "\n".join([f"{type(error).__module__}.{type(error).__qualname__}", *lines])
