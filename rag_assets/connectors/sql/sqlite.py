"""Open a SQLite file for reading, and only the file that was accepted.

SQLite opens by name and follows links by itself, and it reads the log beside the file (`-wal`). So what it opened is
compared with what may be opened, by the process's own descriptors, before anything is read from it.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from rag_assets.connectors.filesystem.safe_open import PathRules, closing_fd
from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.platform import OPEN_PATH

_DESCRIPTORS: Final = Path("/dev/fd")
_REPLACED: Final = "the file was replaced while it was opened; the next run retries"
_BESIDE: Final = ("-wal", "-shm", "-journal")
_connecting = threading.Lock()
_Identity = tuple[int, int]


def connect_accepted(path: str, paths: PathRules, connect: Callable[[], sqlite3.Connection]) -> sqlite3.Connection:
    """Connect to the file that a path leads to now. Raises `Unavailable` (`SOURCE_UNAVAILABLE`, `UNREADABLE`), as
    `PathRules.accept`, `InvalidInput` (`SYMLINK_ESCAPE`), and what `connect` raises."""
    # `OPEN_PATH`: to close another descriptor of the file would end the locks that SQLite holds on it.
    try:
        accepted = paths.open(path, OPEN_PATH)
    except OSError:
        message = "the SQLite file does not exist, or the platform may not read it"
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, message) from None
    with closing_fd(accepted) as fd, _connecting:
        real = _path_of(fd, path)
        _require_no_links(real)
        before = _open_files()
        connection = connect()
        try:
            _require_opened(connection, _identity(os.fstat(fd)), real, before)
        except BaseException:
            connection.close()
            raise
    return connection


def _path_of(fd: int, path: str) -> Path:
    """The path without links of the open file. Raises `Unavailable` (`SOURCE_UNAVAILABLE`) when it is another's now."""
    with suppress(OSError, RuntimeError):
        real = Path(path).resolve(strict=True)
        if _identity(real.lstat()) == _identity(os.fstat(fd)):
            return real
    raise Unavailable(Reason.SOURCE_UNAVAILABLE, _REPLACED)


def _require_opened(connection: sqlite3.Connection, main: _Identity, real: Path, before: Counter[_Identity]) -> None:
    # No other file comes in by a statement: not by ATTACH, and none by the first read, which opens the log.
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    expected = [main]
    _require_no_links(real)
    if mode == "wal":
        with suppress(FileNotFoundError):
            expected.append(_identity(os.lstat(f"{real}-wal")))
    after = _open_files()
    if not all(after[identity] > before[identity] for identity in expected):
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, _REPLACED)


def _require_no_links(real: Path) -> None:
    for name in (f"{real}{end}" for end in _BESIDE):
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(name).st_mode):
                message = "a file beside the database (-wal, -shm, -journal) is a link, which is not followed"
                raise InvalidInput(Reason.SYMLINK_ESCAPE, message)


def _open_files() -> Counter[_Identity]:
    """The files that this process has open, and how often."""
    found: Counter[_Identity] = Counter()
    for descriptor in _DESCRIPTORS.iterdir():
        with suppress(OSError):  # closed meanwhile
            found[_identity(os.fstat(int(descriptor.name)))] += 1
    return found


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino
