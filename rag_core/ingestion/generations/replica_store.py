"""Query servers and the models they can embed queries with: how a promotion knows that all of them can follow it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from rag_core.database.tables.content import query_replicas

ALIVE_SECONDS = 10
"""A server that said nothing for longer is taken for gone; each speaks every two seconds."""
_FORGOTTEN_SECONDS = 3600


def report(connection: Connection, replica: str, embedders: Sequence[str]) -> None:
    """Note that a query server lives and which embedder fingerprints it has loaded."""
    values = {"embedders": sorted(embedders), "seen_at": func.now()}
    statement = insert(query_replicas).values(replica=replica, **values)
    connection.execute(statement.on_conflict_do_update(constraint=query_replicas.primary_key, set_=values))
    old = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, _FORGOTTEN_SECONDS)
    connection.execute(delete(query_replicas).where(query_replicas.c.seen_at < old))


def forget(connection: Connection, replica: str) -> None:
    """Remove a server that stops in good order."""
    connection.execute(delete(query_replicas).where(query_replicas.c.replica == replica))


def unprepared(connection: Connection, embedder: str) -> list[str]:
    """The living servers that cannot embed queries with this embedder yet."""
    columns = query_replicas.c
    alive = columns.seen_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, ALIVE_SECONDS)
    prepared = columns.embedders.any(embedder)
    return list(connection.scalars(select(columns.replica).where(alive, ~prepared).order_by(columns.replica)))
