"""List the tables of a database and the columns of one, for who adds a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Final

from sqlalchemy import Connection, Inspector, inspect

from rag_assets.connectors.kind import Offer, Offers
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.sql.options import DatabaseOptions
from rag_assets.connectors.sql.reader import SqlReader
from rag_assets.connectors.sql.relation import find_table, relation_names
from rag_assets.connectors.sql.values import Family, family_of
from rag_core.errors import InvalidInput

MAX_TABLES, MAX_COLUMNS, MAX_SCHEMAS = 500, 300, 20
_INTERNAL: Final = ("pg_", "information_schema", "mysql", "performance_schema", "sys")
_TITLES: Final = ("title", "name", "subject", "heading", "headline")
_CHANGES: Final = ("updated", "changed", "modified", "changed_at", "updated_at", "modified_at", "last_", "version")


def list_tables(options: DatabaseOptions, context: ConnectorContext) -> Offers:
    """The tables and views; with a `table` its columns too, and which of them fit. Raises `RagError` only."""
    with closing(SqlReader(options, context)) as reader:
        return reader.run(partial(_offers, table=options.table))


def _offers(connection: Connection, *, table: str | None) -> Offers:
    catalogue = inspect(connection)
    names = sorted(name for name in _tables(catalogue) if name.isprintable())
    offers = [Offer("table", name) for name in names[:MAX_TABLES]]
    more = len(names) > MAX_TABLES
    try:
        schema, name = find_table(catalogue, table or "")
    except InvalidInput:  # none was named yet, or one that is not there
        return Offers(tuple(offers), more)
    types = {str(column["name"]): str(column["type"]) for column in catalogue.get_columns(name, schema=schema)}
    shown = {column: kind for column, kind in list(types.items())[:MAX_COLUMNS] if column.isprintable()}
    offers += [Offer("column", column, kind.lower()) for column, kind in shown.items()]
    key = _key(catalogue, schema, name)
    return Offers(tuple(offers), more or len(types) > MAX_COLUMNS, suggested=_suggested(shown, key))


def _tables(catalogue: Inspector) -> Iterator[str]:
    yield from relation_names(catalogue, None)
    others = [name for name in catalogue.get_schema_names() if name != catalogue.default_schema_name]
    for schema in [name for name in others if not name.startswith(_INTERNAL)][:MAX_SCHEMAS]:
        yield from (f"{schema}.{name}" for name in relation_names(catalogue, schema))


def _key(catalogue: Inspector, schema: str | None, name: str) -> list[str]:
    """The primary key, else the columns of a unique index."""
    if columns := catalogue.get_pk_constraint(name, schema=schema)["constrained_columns"]:
        return columns
    indexes = (index["column_names"] for index in catalogue.get_indexes(name, schema=schema) if index.get("unique"))
    return next(([str(column) for column in columns] for columns in indexes if None not in columns), [])


def _suggested(types: Mapping[str, str], key: list[str]) -> dict[str, str]:
    """Columns that fit, by their type and name; what nothing fits is left to who adds the source."""
    families = {name: family_of(kind) for name, kind in types.items() if "," not in name}
    texts = [name for name, family in families.items() if family is Family.TEXT and name not in key]
    titles = [name for name in texts if name.lower() in _TITLES]
    bodies = [name for name in texts if name not in titles[:1]]
    times = [name for name, family in families.items() if family is Family.TIME]
    numbers = [name for name, family in families.items() if family is Family.INTEGER and name not in key]
    changed = _named(times, _CHANGES) or _named(numbers, _CHANGES) or times
    found = {"key": ", ".join(key), "content": ", ".join(bodies or titles), "title": next(iter(titles), ""),
             "updated_at": next(iter(changed), "")}  # fmt: skip
    return {path: value for path, value in found.items() if value}


def _named(names: Iterable[str], words: Iterable[str]) -> list[str]:
    return [name for name in names if any(word in name.lower() for word in words)]
