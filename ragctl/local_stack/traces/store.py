"""The kept traces: a SQLite file of a bounded number of traces, each of a bounded number of spans."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from typing import Any

from ragctl.local_stack.traces.otlp import SpanRow

MAX_SPANS = 2000
"""Of one trace; the ingest of a large source has more, and the first show how it went."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS traces (
    trace_id TEXT PRIMARY KEY, started INTEGER NOT NULL, spans INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS traces_started ON traces (started);
CREATE TABLE IF NOT EXISTS spans (
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT NOT NULL, service TEXT NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, started INTEGER NOT NULL, duration INTEGER NOT NULL, failed INTEGER NOT NULL,
    attributes TEXT NOT NULL, PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS spans_service ON spans (service, name, trace_id);
"""
_COLUMNS = "trace_id, span_id, parent_id, service, name, kind, started, duration, failed, attributes"


class TraceStore:
    """One file; every method may be called from any thread."""

    def __init__(self, path: Path, *, keep: int) -> None:
        """Open or create it. A damaged file is replaced by an empty one: it holds nothing that is needed."""
        self._keep = keep
        self._lock = threading.Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._open(path)
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            self._open(path)
        path.chmod(0o600)

    def _open(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False)
        # What a power cut takes is the last traces, and no write waits for the disk.
        self._db.executescript(
            "PRAGMA auto_vacuum = FULL; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + _SCHEMA
        )

    def add(self, rows: Sequence[SpanRow]) -> None:
        """Keep spans, and forget the oldest traces that are too many."""
        with self._lock, self._db:
            for row in rows:
                known = self._db.execute("SELECT spans FROM traces WHERE trace_id = ?", (row.trace_id,)).fetchone()
                if known and known[0] >= MAX_SPANS:
                    continue
                added = self._db.execute(
                    f"INSERT OR IGNORE INTO spans ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                    astuple(row),
                ).rowcount
                self._db.execute(
                    "INSERT INTO traces (trace_id, started, spans) VALUES (?, ?, ?) ON CONFLICT (trace_id) DO UPDATE"
                    " SET started = min(started, excluded.started), spans = spans + excluded.spans",
                    (row.trace_id, row.started, added),
                )
            old = self._db.execute("SELECT trace_id FROM traces ORDER BY started DESC LIMIT -1 OFFSET ?", (self._keep,))
            for (trace_id,) in old.fetchall():
                self._db.execute("DELETE FROM spans WHERE trace_id = ?", (trace_id,))
                self._db.execute("DELETE FROM traces WHERE trace_id = ?", (trace_id,))

    def services(self) -> list[str]:
        """Names of the services that have spans."""
        return [name for (name,) in self._read("SELECT DISTINCT service FROM spans ORDER BY service")]

    def operations(self, service: str) -> list[str]:
        """Names of the spans of a service."""
        return [
            name for (name,) in self._read("SELECT DISTINCT name FROM spans WHERE service = ? ORDER BY name", service)
        ]

    def find(self, *, service: str, operation: str, least: int, before: int, limit: int) -> list[str]:
        """Ids of traces with a span of this service and name (empty: any) that took at least so many microseconds, the
        newest first, begun before a time."""
        return [
            trace_id
            for (trace_id,) in self._read(
                "SELECT trace_id FROM traces t WHERE started < ? AND EXISTS (SELECT 1 FROM spans s"
                " WHERE s.trace_id = t.trace_id AND (? = '' OR s.service = ?) AND (? = '' OR s.name = ?)"
                " AND s.duration >= ?) ORDER BY started DESC LIMIT ?",
                before, service, service, operation, operation, least, limit,
            )
        ]  # fmt: skip

    def trace(self, trace_id: str) -> list[SpanRow]:
        """The spans of a trace in the order in which they began; empty when it is not kept."""
        found = self._read(f"SELECT {_COLUMNS} FROM spans WHERE trace_id = ? ORDER BY started, duration DESC", trace_id)  # noqa: S608
        return [SpanRow(*row) for row in found]

    def _read(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self._lock, closing(self._db.execute(statement, values)) as cursor:
            return cursor.fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def attributes_of(row: SpanRow) -> dict[str, str | int | float | bool]:
    """The attributes of a span."""
    found: dict[str, str | int | float | bool] = json.loads(row.attributes)
    return found
