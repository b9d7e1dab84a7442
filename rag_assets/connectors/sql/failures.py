"""Errors of any database driver as errors of the platform: without SQL, values, host, user or password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from rag_assets.connectors.servers import DATABASE_AWAY
from rag_core.database import refused_login
from rag_core.errors import DeadlineExceeded, InvalidInput, RagError, Reason, Unavailable

# SQLSTATE classes and codes of PostgreSQL, error numbers of MySQL.
_SCHEMA = {"42P01", "42703", "3F000", "3D000", 1146, 1054, 1049}
_DENIED = {"42501", "28P01", "28000", 1044, 1045, 1142, 1143, 1227}
_READ_ONLY = {"25006", 1792, 1290}
_TIMEOUT = {"57014", "55P03", 3024, 1969, 1205}
_DOWN = {"57P01", "57P02", "57P03", "53300", "40001", "40P01", 1040, 1203, 1213, 2002, 2003, 2006, 2013, 2055}
_VALUES = ("22",)
_SQLITE_FILE = {
    "unable to open": "the SQLite file does not exist, or the platform may not read it",
    "locked": "another program holds a lock on the SQLite file",
    "disk I/O": "the disk failed while the SQLite file was read",
    "malformed": "the SQLite file is damaged",
    "not a database": "the file is no SQLite database",
}


@contextmanager
def translated() -> Iterator[None]:
    """Every driver error raised inside leaves as a `RagError`: what a database says may repeat what it was sent."""
    try:
        yield
    except exc.TimeoutError:
        raise Unavailable(Reason.SOURCE_UNAVAILABLE, "the database gave no connection in time") from None
    except exc.DBAPIError as error:
        raise translate(error) from None
    except (UnicodeError, OverflowError, ValueError) as error:
        message = f"a value of the row cannot be converted ({type(error).__name__})"
        raise InvalidInput(Reason.VALUE_INVALID, message) from None


def translate(error: exc.DBAPIError) -> RagError:
    """The platform's error for one of the driver."""
    code = _code(error)
    known = _by_code(code) or (_sqlite(str(error.orig)) if _is_sqlite(error) else None)
    if known is not None:
        return known
    if refused_login(error.orig):
        return _denied()
    if error.connection_invalidated or isinstance(error, exc.InterfaceError):
        return _unavailable()
    if isinstance(error, exc.DataError):
        return _value()
    if isinstance(error, exc.OperationalError) and (code is None or isinstance(code, int)):
        return _unavailable()
    return InvalidInput(Reason.QUERY_INVALID, f"the database refused the statement{_shown(code)}; try the query there")


def _code(error: exc.DBAPIError) -> str | int | None:
    """MySQL's error number, else the SQLSTATE; neither carries text."""
    first = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if isinstance(first, int):
        return first
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None


def _is_sqlite(error: exc.DBAPIError) -> bool:
    return type(error.orig).__module__ == "sqlite3"


def _by_code(code: str | int | None) -> RagError | None:
    if code in _SCHEMA:
        return _schema()
    if code in _DENIED:
        return _denied()
    if code in _READ_ONLY:
        return _read_only()
    if code in _TIMEOUT:
        return _timeout()
    if code in _DOWN or (isinstance(code, str) and code.startswith("08")):
        return _unavailable()
    return _value() if isinstance(code, str) and code.startswith(_VALUES) else None


def _sqlite(text: str) -> RagError | None:
    """SQLite has texts instead of codes for most of these; they are only matched, never passed on."""
    if text.startswith(("no such table", "no such column")):
        return _schema()
    if "readonly" in text or "not authorized" in text:
        return _read_only()
    if "interrupted" in text:
        return _timeout()
    for part, what in _SQLITE_FILE.items():
        if part in text:
            return Unavailable(Reason.SOURCE_UNAVAILABLE, what)
    return InvalidInput(Reason.QUERY_INVALID, "the database refused the statement; try the query there")


def _denied() -> RagError:
    return Unavailable(
        Reason.SOURCE_DENIED, "the database refuses this user, password or database name, or what it may read"
    )


def _schema() -> RagError:
    return InvalidInput(Reason.SCHEMA_CHANGED, "a table or column that the source names does not exist any more")


def _read_only() -> RagError:
    return InvalidInput(Reason.QUERY_NOT_READ_ONLY, "the statement wants to change something; a source only reads")


def _timeout() -> RagError:
    return DeadlineExceeded(
        Reason.QUERY_TIMEOUT, "a statement took longer than statement_timeout_seconds; add an index or a smaller page"
    )


def _unavailable() -> RagError:
    return Unavailable(Reason.SOURCE_UNAVAILABLE, DATABASE_AWAY)


def _value() -> RagError:
    return InvalidInput(Reason.VALUE_INVALID, "the database holds a value that cannot be converted")


def _shown(code: str | int | None) -> str:
    return "" if code is None else f" (code {code})"
