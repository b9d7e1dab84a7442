"""Translate database driver errors into `RagError`, without SQL, parameters or host names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors
from sqlalchemy import exc

from rag_core.errors import (
    Conflict,
    DeadlineExceeded,
    Exhausted,
    InvalidInput,
    PermissionDenied,
    RagError,
    Reason,
    Unavailable,
)

_FULL = (errors.DiskFull, errors.OutOfMemory)
_ERASED = "RAG01"
"""Raised by the trigger of tables/erased_tenants.sql."""
_DOWN = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.TooManyConnections,
    errors.ConnectionException,
    errors.InvalidAuthorizationSpecification,
    errors.InvalidCatalogName,
)


@contextmanager
def translated() -> Iterator[None]:
    """Context manager that re-raises driver errors as `RagError`; an error that indicates a bug passes unchanged."""
    try:
        yield
    except (exc.SQLAlchemyError, psycopg.Error) as error:
        known = translate(error)
        if known is None:
            raise
        raise known from None


def translate(error: BaseException) -> RagError | None:
    """The `RagError` for a driver error, or `None` when it indicates a bug (a broken statement, a wrong type)."""
    cause: BaseException | None = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(cause, psycopg.Error) and cause.sqlstate == _ERASED:
        return PermissionDenied(Reason.TENANT_ERASED, cause.diag.message_primary or "the tenant was erased")
    if isinstance(cause, psycopg.DataError) and _names_nul(cause):
        return InvalidInput(Reason.TEXT_INVALID, "a text contains a NUL character, which the database cannot store")
    if isinstance(cause, _FULL):
        return Exhausted(Reason.STORAGE_FULL, "the database has no space left; free space and run again")
    if isinstance(cause, errors.LockNotAvailable):
        return Conflict(Reason.SOURCE_BUSY, "another run holds the rows; try again when it has finished")
    if isinstance(cause, errors.QueryCanceled):
        return DeadlineExceeded(
            Reason.DEADLINE, "a database statement took longer than RAG_DATABASE_STATEMENT_TIMEOUT_SECONDS"
        )
    if isinstance(cause, (errors.SerializationFailure, errors.DeadlockDetected)):
        return Unavailable(Reason.DATABASE_UNAVAILABLE, "the database asked for a retry; run again")
    if isinstance(error, exc.TimeoutError):
        return Unavailable(
            Reason.DATABASE_UNAVAILABLE,
            "every database connection of this process is in use; raise RAG_DATABASE_POOL_SIZE",
        )
    if refused_login(cause):
        return Unavailable(
            Reason.DATABASE_UNAVAILABLE, "the database refuses the user, the password or the database's name in its URL"
        )
    if isinstance(cause, errors.ReadOnlySqlTransaction) or "session is read-only" in str(cause):
        return Unavailable(
            Reason.DATABASE_UNAVAILABLE, "the database takes no writes: its servers change places, or it was set so"
        )
    if recovering(cause):
        return Unavailable(
            Reason.DATABASE_UNAVAILABLE,
            "the database recovers from a crash and takes no connections yet; its log says how far it is",
        )
    if _lost(error, cause):
        return Unavailable(
            Reason.DATABASE_UNAVAILABLE, "the database cannot be reached; check that it runs and its URL"
        )
    return None


def refused_login(cause: BaseException | None) -> bool:
    """Return whether a PostgreSQL server answered and refused the login. libpq reports it as text only, without
    SQLSTATE."""
    if isinstance(cause, (errors.InvalidAuthorizationSpecification, errors.InvalidCatalogName)):
        return True
    text = str(cause) if isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None else ""
    return any(
        sign in text
        for sign in (
            "password authentication failed",
            "no password supplied",
            "no pg_hba.conf entry",
            "is not permitted to log in",
            "permission denied for database",
        )
    ) or ("FATAL: " in text and text.rstrip().endswith("does not exist"))


def recovering(cause: BaseException | None) -> bool:
    """Return whether a PostgreSQL server answered that it is starting or recovering from a crash."""
    return isinstance(cause, psycopg.OperationalError) and any(
        sign in str(cause) for sign in ("in recovery mode", "database system is starting up", "not yet accepting")
    )


def _lost(error: BaseException, cause: BaseException | None) -> bool:
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(cause, _DOWN):
        return True
    # A connection that broke or was never established has no SQLSTATE.
    return isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)) and cause.sqlstate is None


def _names_nul(cause: psycopg.DataError) -> bool:
    """The driver refuses NUL before it sends a parameter, the server in COPY and in JSON."""
    refused = (errors.CharacterNotInRepertoire, errors.UntranslatableCharacter)
    return isinstance(cause, refused) or (cause.sqlstate is None and "NUL" in str(cause))
