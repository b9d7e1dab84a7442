"""Rows of sources: configuration, cursors, held deletions, and what connectors store between runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, cast, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from rag_core.content.sources.base import Recency, Source
from rag_core.database import Store, copy_rows, page_of
from rag_core.database.tables.content import documents, source_items, sources
from rag_core.errors import Conflict, NotFound, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.ids import document_id, shard_of

# --------------------------------------------------------------------------------------------------------------------
# Sources: the configuration that their rows were written with, cursors and held deletions.


_PAGE = 10_000


def find(connection: Connection, tenant: str, name: str) -> Row[tuple[object, ...]] | None:
    """The row of a source; `None` before its first run."""
    return connection.execute(select(sources).where(_is(tenant, name))).one_or_none()


# Dagster identifies a source by its key, the name with underscores. Push sources have no runs, and may have the name of
# another tenant's source. A source that moved to another tenant belongs to the newer row.
_OWN = text("""
SELECT EXISTS (
    SELECT FROM rag.sources s
    WHERE s.tenant = :tenant AND replace(s.name, '-', '_') = replace(:name, '-', '_') AND s.kind <> 'push'
      AND NOT EXISTS (
          SELECT FROM rag.sources o WHERE replace(o.name, '-', '_') = replace(s.name, '-', '_') AND o.kind <> 'push'
            AND o.tenant <> s.tenant AND o.updated_at > s.updated_at))
""")


def is_own(connection: Connection, tenant: str, name: str) -> bool:
    """Return whether a source, by name or Dagster key, belongs to the tenant."""
    return bool(connection.scalar(_OWN, {"tenant": tenant, "name": name}))


def is_current(connection: Connection, source: Source) -> bool:
    """Return whether the source's rows were written with this configuration."""
    row = find(connection, source.tenant, source.name)
    acl = list(source.acl) if source.acl is not None else None
    return row is not None and (row.kind, row.shards, row.acl, row.egress, row.freshness) == (
        source.kind,
        source.shards,
        acl,
        _egress(source),
        _freshness(source),
    )


def configure(connection: Connection, source: Source, run_id: str) -> None:
    """Update the rows of a source to its configuration, in one transaction.

    Call it with the exclusive lock of the source. A new default ACL is applied to every document that inherits it, with
    a new version for the index, without reading a document; removing the default changes no document. A new number of
    shards moves rows between shards.
    """
    row = find(connection, source.tenant, source.name)
    acl = list(source.acl) if source.acl is not None else None
    values = {
        "kind": source.kind,
        "shards": source.shards,
        "acl": acl,
        "egress": _egress(source),
        "freshness": _freshness(source),
        "updated_at": func.now(),
    }
    if row is not None and (row.kind, row.shards) != (source.kind, source.shards):
        values["cursor"] = {}  # another kind of source, or other shards
    statement = insert(sources).values(tenant=source.tenant, name=source.name, **values)
    connection.execute(statement.on_conflict_do_update(constraint=sources.primary_key, set_=values))
    if row is not None and row.shards != source.shards:
        _reshard(connection, source)
    if acl is not None:
        _inherit(connection, source, acl, run_id)


def hold(connection: Connection, tenant: str, name: str, deletions: int) -> None:
    """Store the number of held deletions; 0 also ends an approval."""
    values = {
        "held_deletions": deletions,
        "held_at": func.coalesce(sources.c.held_at, func.now()) if deletions else None,
        "updated_at": func.now(),
    }
    if not deletions:
        values |= {"deletions_approved_at": None, "deletions_approved": None}
    connection.execute(update(sources).where(_is(tenant, name)).values(**values))


def approve(
    connection: Connection, tenant: str, name: str, actor: str, *, why: str = "", expected: int | None = None
) -> int:
    """Approve the deletions held now (`rag_core.content.sources.deletion_store`); returns their number.

    Raises `NotFound` (`SOURCE_NOT_FOUND`), and `Conflict` (`MASS_DELETE_HELD`) when none are held or their number is
    not `expected`.
    """
    held: int | None = connection.scalar(select(sources.c.held_deletions).where(_is(tenant, name)).with_for_update())
    if held is None:
        raise NotFound(Reason.SOURCE_NOT_FOUND, f"source: no source {name!r}")
    if held == 0:
        raise Conflict(Reason.MASS_DELETE_HELD, f"source {name}: no deletions are held")
    if expected not in (None, held):
        raise Conflict(Reason.MASS_DELETE_HELD, f"source {name}: {held} deletions are held now; review them again")
    # clock_timestamp(), not now(): deletions held while this waited for the row are in the number just read.
    approval = {"deletions_approved_at": func.clock_timestamp(), "deletions_approved": held}
    connection.execute(update(sources).where(_is(tenant, name)).values(**approval))
    audit.record(
        connection,
        actor=actor,
        action="source.approve_deletions",
        target=name,
        details={"tenant": tenant, "held": held} | ({"reason": why} if why else {}),
    )
    return held


def held_deletions(connection: Connection, tenant: str, name: str) -> int:
    """Count the deletions that wait for an operator."""
    return connection.scalar(select(sources.c.held_deletions).where(_is(tenant, name))) or 0


def cursor(connection: Connection, tenant: str, name: str, shard: int) -> dict[str, Any]:
    """The cursor of a shard's last run; empty before the first."""
    found: dict[str, Any] | None = connection.scalar(select(sources.c.cursor[str(shard)]).where(_is(tenant, name)))
    return found or {}


def save_cursor(connection: Connection, tenant: str, name: str, shard: int, value: dict[str, Any]) -> None:
    """Store the cursor of a shard's run; other shards' cursors stay unchanged."""
    merged = sources.c.cursor.op("||")(func.jsonb_build_object(str(shard), cast(value, JSONB)))
    connection.execute(update(sources).where(_is(tenant, name)).values(cursor=merged))


def listed(
    connection: Connection, tenant: str, *, limit: int, after: Sequence[Any] | None
) -> list[Row[tuple[object, ...]]]:
    """Sources of a tenant, by name."""
    of_tenant = select(sources).where(sources.c.tenant == tenant)
    return list(connection.execute(page_of(of_tenant, [sources.c.name], after=after, limit=limit)))


def of_kinds(connection: Connection, kinds: Sequence[str]) -> list[Source]:
    """The sources of these kinds, of all tenants, as their rows say."""
    statement = select(sources.c.name, sources.c.tenant, sources.c.kind, sources.c.acl)
    found = connection.execute(statement.where(sources.c.kind.in_(kinds)))
    return [Source(row.name, row.tenant, row.kind, acl_of(row)) for row in found]


def acl_of(row: Row[Any]) -> tuple[str, ...] | None:
    """The default ACL in a row of a source."""
    return None if row.acl is None else tuple(row.acl)


def finish(connection: Connection, tenant: str, name: str) -> None:
    """Record a run that listed the source to its end."""
    values = {"last_complete_at": func.now(), "updated_at": func.now()}
    connection.execute(update(sources).where(_is(tenant, name)).values(**values))


_APPLIED = text("UPDATE rag.sources SET change_token = :tag WHERE tenant = :tenant AND name = :name")
_APPLIED_TAG = text("SELECT change_token FROM rag.sources WHERE tenant = :tenant AND name = :name")


def record_applied(connection: Connection, tenant: str, name: str, tag: str) -> None:
    """Record the fingerprint of the version tag of a source whose state is searchable as a whole."""
    connection.execute(_APPLIED, {"tenant": tenant, "name": name, "tag": tag})


def applied_tag(connection: Connection, tenant: str, name: str) -> str | None:
    """The tag of `record_applied`; `None` before the first, and for a source that was removed."""
    found: str | None = connection.scalar(_APPLIED_TAG, {"tenant": tenant, "name": name})
    return found


_REFUSED = text("""
UPDATE rag.sources SET egress_refused_at = CASE WHEN :refused THEN now() END
WHERE tenant = :tenant AND name = :name AND (egress_refused_at IS NOT NULL) <> :refused
""")


def record_egress(connection: Connection, tenant: str, name: str, *, refused: bool) -> None:
    """Store whether text of a source waits that may not go to the embedding model."""
    connection.execute(_REFUSED, {"tenant": tenant, "name": name, "refused": refused})


_SET_OPTIONS = text("""
UPDATE rag.sources s SET egress = f.egress, freshness = nullif(f.freshness, 'null')
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS f(tenant text, name text, egress text[], freshness jsonb)
WHERE s.tenant = f.tenant AND s.name = f.name
    AND (s.egress, s.freshness) IS DISTINCT FROM (f.egress, nullif(f.freshness, 'null'))
""")


def set_serving_options(connection: Connection, sources: Sequence[Source]) -> None:
    """Store what query servers need of the files of sources, of those that have rows."""
    rows = [
        {"tenant": one.tenant, "name": one.name, "egress": _egress(one), "freshness": _freshness(one)}
        for one in sources
    ]
    connection.execute(_SET_OPTIONS, {"rows": json.dumps(rows)})


_FRESHNESS = text("SELECT tenant, name, freshness FROM rag.sources WHERE freshness IS NOT NULL")


def freshness_of_sources(connection: Connection) -> dict[str, dict[str, Recency]]:
    """Return how much newer documents are preferred, by tenant and source."""
    found: dict[str, dict[str, Recency]] = {}
    for row in connection.execute(_FRESHNESS):
        found.setdefault(row.tenant, {})[row.name] = Recency(**row.freshness)
    return found


def _egress(source: Source) -> list[str] | None:
    return None if source.egress is None else list(source.egress)


def _freshness(source: Source) -> dict[str, float] | None:
    return None if source.freshness is None else asdict(source.freshness)


def _is(tenant: str, name: str) -> ColumnElement[bool]:
    return (sources.c.tenant == tenant) & (sources.c.name == name)


def _inherit(connection: Connection, source: Source, acl: list[str], run_id: str) -> None:
    connection.execute(
        update(documents)
        .where(
            documents.c.tenant == source.tenant,
            documents.c.source == source.name,
            documents.c.deleted_at.is_(None),
            or_(documents.c.acl_inherited, documents.c.acl.is_(None)),
            documents.c.acl.is_distinct_from(acl),
        )
        .values(
            acl=acl,
            acl_inherited=True,
            version=documents.c.version + 1,
            source_version=documents.c.version + 1,
            run_id=run_id,
        )
    )


def _reshard(connection: Connection, source: Source) -> None:
    connection.execute(text("CREATE TEMP TABLE resharded (locator text, shard smallint)"))
    params = {"tenant": source.tenant, "source": source.name}
    for table in ("documents", "quarantine"):
        _move(connection, table, params, source.shards)
    connection.execute(text("DROP TABLE resharded"))


_LOCATORS = {
    "documents": text(
        "SELECT locator FROM rag.documents WHERE tenant = :tenant AND source = :source AND locator > :after"
        " ORDER BY locator LIMIT :page"
    ),
    "quarantine": text(
        "SELECT locator FROM rag.quarantine WHERE tenant = :tenant AND source = :source AND locator > :after"
        " ORDER BY locator LIMIT :page"
    ),
}
_MOVE = {
    "documents": text(
        "UPDATE rag.documents t SET shard = r.shard FROM resharded r"
        " WHERE t.tenant = :tenant AND t.source = :source AND t.locator = r.locator AND t.shard <> r.shard"
    ),
    "quarantine": text(
        "UPDATE rag.quarantine t SET shard = r.shard FROM resharded r"
        " WHERE t.tenant = :tenant AND t.source = :source AND t.locator = r.locator AND t.shard <> r.shard"
    ),
}


def _move(connection: Connection, table: str, params: dict[str, str], shards: int) -> None:
    after = ""
    while page := connection.scalars(_LOCATORS[table], params | {"after": after, "page": _PAGE}).all():
        rows = [(locator, _shard(params, locator, shards)) for locator in page]
        copy_rows(connection, "resharded", [("locator", "text"), ("shard", "int2")], rows)
        connection.execute(_MOVE[table], params)
        connection.execute(text("TRUNCATE resharded"))
        after = page[-1]


def _shard(params: dict[str, str], locator: str, shards: int) -> int:
    return shard_of(document_id(params["tenant"], params["source"], locator), shards)


# --------------------------------------------------------------------------------------------------------------------
# What connectors store per item.


_SOURCE_MEMORY_PAGE = 1000


class StoredMemory:
    """The `rag_core.content.sources.SourceMemory` of one source, in PostgreSQL. Each call is a transaction."""

    def __init__(self, store: Store, tenant: str, source: str) -> None:
        self._store = store
        self._tenant, self._source = tenant, source

    def get(self, locator: str) -> dict[str, Any] | None:
        statement = select(source_items.c.state).where(self._mine(), source_items.c.locator == locator)
        with self._store.engine.connect() as connection:
            found: dict[str, Any] | None = connection.scalar(statement)
            return found

    def put(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        if not states:
            return
        common = {"tenant": self._tenant, "source": self._source}
        rows = [{**common, "locator": locator, "state": dict(state)} for locator, state in states.items()]
        statement = insert(source_items)
        changed = {"state": statement.excluded.state, "updated_at": func.now()}
        with self._store.engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(constraint=source_items.primary_key, set_=changed), rows)

    def forget(self, locators: Sequence[str]) -> None:
        if not locators:
            return
        with self._store.engine.begin() as connection:
            connection.execute(delete(source_items).where(self._mine(), source_items.c.locator.in_(locators)))

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        after = ""
        while True:
            statement = (
                select(source_items.c.locator, source_items.c.state)
                .where(self._mine(), source_items.c.locator > after)
                .order_by(source_items.c.locator)
                .limit(_SOURCE_MEMORY_PAGE)
            )
            with self._store.engine.connect() as connection:
                page = connection.execute(statement).all()
            if not page:
                return
            for row in page:
                yield row.locator, row.state
            after = page[-1].locator

    def _mine(self) -> ColumnElement[bool]:
        return (source_items.c.tenant == self._tenant) & (source_items.c.source == self._source)
