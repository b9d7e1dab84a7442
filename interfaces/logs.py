"""Log lines as JSON, without anything that a caller or a document said: an exception is its type and its place."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

from rag_tracing import current_ids


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage() if record.name.startswith(("interfaces", "uvicorn")) else "library",
        }
        ids = current_ids()
        if ids is not None:
            line["trace_id"], line["span_id"] = ids
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = place_of(record.exc_info[1])
        return json.dumps(line)


def configure() -> None:
    """Send every log line of this process to standard output. Libraries speak up from warnings on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("interfaces", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)


def place_of(error: BaseException) -> str:
    """Type and innermost place of an exception."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__module__}.{type(error).__qualname__}{where}"
