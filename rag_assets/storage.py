"""Dagster's storage in PostgreSQL, for processes that outlive a restart of the database."""

from __future__ import annotations

from typing import Any, Self

from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import event, exc


class PostgresStorage(DagsterPostgresStorage):
    """The webserver keeps connections open, and Dagster does not try them before it uses them: after a restart of the
    database the first call over each of them failed. Every other process opens one for each call."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for part in (self._run_storage, self._event_log_storage, self._schedule_storage):
            _check_kept_connections(part)

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
