"""Dagster's storage in PostgreSQL, for processes that outlive a restart of the database."""

from __future__ import annotations

from typing import Any, Self

from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import event, exc

_RECYCLE_SECONDS = 3600
_MAX_OVERFLOW = 20
"""Further connections of threads that work at once; they are closed after use."""


class PostgresStorage(DagsterPostgresStorage):
    """Keeps one connection open.

    Left to itself Dagster opens one for each event, query and tick, which is much of what a daemon at rest does, and
    does not try a kept one before it uses it: after a restart of the database the first calls failed.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        parts = (self._run_storage, self._event_log_storage, self._schedule_storage)
        for part in parts:
            _check_kept_connections(part)
        first, *others = parts
        first.optimize_for_webserver(statement_timeout=0, pool_recycle=_RECYCLE_SECONDS, max_overflow=_MAX_OVERFLOW)
        for part in others:  # one connection for all three: a cluster has many processes
            part._engine = first._engine

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Self:
        created = config_value.get("should_autocreate_tables", True)
        return cls(pg_url_from_config(config_value), created, inst_data=inst_data)


def _check_kept_connections(part: Any) -> None:
    keep = part.optimize_for_webserver

    def keep_checked(*arguments: Any, **options: Any) -> None:
        keep(*arguments, **options)
        event.listen(part._engine, "checkout", _check)

    part.optimize_for_webserver = keep_checked


def _check(connection: Any, record: object, proxy: object) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except connection.Error:
        raise exc.DisconnectionError from None  # the pool opens another one
