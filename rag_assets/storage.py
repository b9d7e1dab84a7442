"""Dagster's storage in PostgreSQL, for processes that outlive a restart of the database."""

from __future__ import annotations

import threading
from typing import Any, Self

from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config
from sqlalchemy import event, exc

_KEPT = 3
"""Connections that a process keeps: with one the daemon, which evaluates sensors side by side, opened 50 a minute."""
_RECYCLE_SECONDS = 3600
_MAX_OVERFLOW = 20
"""Further connections of threads that work at once; they are closed after use."""


_lock = threading.Lock()
_kept: dict[str, Any] = {}
"""The engine of this process by URL; a process has one database."""


class PostgresStorage(DagsterPostgresStorage):
    """Keeps connections open in each process.

    Left to itself Dagster opens one for each event, query and tick, and looks for its tables each time a sensor is
    evaluated. It does not try a kept connection before it uses it: after a restart of the database the first calls
    failed.
    """

    def __init__(self, url: str, create: bool = True, **options: Any) -> None:
        with _lock:
            super().__init__(url, create and url not in _kept, **options)
            parts = (self._run_storage, self._event_log_storage, self._schedule_storage)
            for part in parts:
                _check_kept_connections(part)
            if url not in _kept:
                while _kept:
                    _kept.popitem()[1].dispose()
                _kept[url] = create_pg_engine(
                    url, isolation_level="AUTOCOMMIT", pool_size=_KEPT, max_overflow=_MAX_OVERFLOW,
                    pool_recycle=_RECYCLE_SECONDS, pool_pre_ping=True,
                )  # fmt: skip
            for part in parts:
                part._engine = _kept[url]

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
