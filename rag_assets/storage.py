"""Dagster's storage in PostgreSQL, for processes that outlive a restart of the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Self

from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config
from sqlalchemy import Engine

from rag_core.database import notice_dead_peers, replace_closed

_KEPT = 3
"""Connections that a process keeps: with one the daemon, which evaluates sensors side by side, opened 50 a minute."""
_RECYCLE_SECONDS = 3600
_MAX_OVERFLOW = 20
"""Further connections of threads that work at once; they are closed after use."""
_STATES = 10_000
"""States that are remembered; a source has two."""

_lock = threading.Lock()
_kept: dict[str, Any] = {}
"""The engine of this process by URL; a process has one database."""
_SCHEMA_QUESTIONS = (
    "has_instigators_table",
    "_has_instigators_table",
    "_has_asset_daemon_asset_evaluations_table",
    "has_built_index",
    "has_secondary_index",
    "has_table",
    "has_run_stats_index_cols",
    "has_bulk_actions_selector_cols",
    "has_backfill_id_column",
    "has_bulk_action_job_name_column",
    "has_backfill_tags_table",
    "_has_asset_key_col_on_connection",
)
"""Methods by which Dagster reads, before many of its statements, how far its schema was migrated."""
_found: set[tuple[object, ...]] = set()
"""The questions that were answered with yes. A migration only adds, so it stays yes."""


class PostgresStorage(DagsterPostgresStorage):
    """Keeps connections open in each process, and the states of sensors and schedules that it has read.

    Left to itself Dagster opens one for each event, query and tick, and looks for its tables before most of them: half
    of what its daemon did at rest. It does not check a kept connection before it uses it: after a restart of the
    database the first calls failed. And it reads the states of all sensors and schedules every five seconds.
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
                    pool_recycle=_RECYCLE_SECONDS,
                )  # fmt: skip
                _keep_usable(_kept[url])
            for part in parts:
                part._engine = _kept[url]
                _remember_schema(part, url)
        _remember_states(self._schedule_storage)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Self:
        created = config_value.get("should_autocreate_tables", True)
        return cls(pg_url_from_config(config_value), created, inst_data=inst_data)


def _check_kept_connections(part: Any) -> None:
    keep = part.optimize_for_webserver

    def keep_checked(*arguments: Any, **options: Any) -> None:
        keep(*arguments, **options)
        _keep_usable(part._engine)

    part.optimize_for_webserver = keep_checked


def _keep_usable(engine: Engine) -> None:
    """Replace connections that the server has closed, and end those whose other end is gone."""
    notice_dead_peers(engine)
    replace_closed(engine)


def _remember_schema(part: Any, url: str) -> None:
    for name in _SCHEMA_QUESTIONS:
        if hasattr(part, name):
            setattr(part, name, _remembered(getattr(part, name), (url, type(part), name)))


def _remember_states(part: Any) -> None:
    part._deserialize_rows = lambda rows, as_type: [_state(part.__class__, row[0], as_type) for row in rows]


@lru_cache(maxsize=_STATES)
def _state(storage: Any, body: str, as_type: type) -> object:
    """Make a state from its text, once in this process: each evaluation of a sensor opens a storage of its own."""
    [state] = storage._deserialize_rows(None, [(body,)], as_type)
    return state


def _remembered(ask: Callable[..., bool], question: tuple[object, ...]) -> Callable[..., bool]:
    def answer(*arguments: object) -> bool:
        asked = (*question, *(one for one in arguments if isinstance(one, str)))  # without the connection
        if asked not in _found and ask(*arguments):
            _found.add(asked)
        return asked in _found

    return answer
