"""Content that came with a listing, kept on disk until it is fetched, so that memory does not grow with the source."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_COMMIT_EVERY = 500


class Spool:
    """Content by locator in a temporary file that is removed by `close`. Used from one thread."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="rag-spool-")
        self._database = sqlite3.connect(Path(self._folder.name) / "spool.sqlite", isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -4096;"
            "CREATE TABLE items (locator TEXT PRIMARY KEY, about TEXT NOT NULL, content BLOB NOT NULL) WITHOUT ROWID;"
        )
        self._writes = 0

    def put(self, locator: str, content: bytes, **about: Any) -> bool:
        """Store one; false when the locator exists already (the first stays)."""
        return self._write("INSERT OR IGNORE INTO items VALUES (?, ?, ?)", locator, content, about)

    def replace(self, locator: str, content: bytes, **about: Any) -> None:
        """Store one in place of the content before."""
        self._write("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", locator, content, about)

    def get(self, locator: str) -> tuple[bytes, dict[str, Any]] | None:
        """The stored content, `None` when there is none."""
        found = self._database.execute("SELECT content, about FROM items WHERE locator = ?", (locator,)).fetchone()
        return (bytes(found[0]), json.loads(found[1])) if found else None

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM items").fetchone()[0])

    def locators(self) -> Iterator[str]:
        """All locators in order."""
        for (locator,) in self._database.execute("SELECT locator FROM items ORDER BY locator"):
            yield locator

    def _write(self, statement: str, locator: str, content: bytes, about: dict[str, Any]) -> bool:
        if self._writes % _COMMIT_EVERY == 0:
            if self._writes:
                self._database.execute("COMMIT")
            self._database.execute("BEGIN")
        self._writes += 1
        return self._database.execute(statement, (locator, json.dumps(about), content)).rowcount == 1

    def close(self) -> None:
        """Remove the file. Idempotent."""
        self._database.close()
        self._folder.cleanup()
