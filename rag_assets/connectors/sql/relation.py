"""The table or query of a source, with every name compared with the catalogue of the database."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlalchemy import Connection, FromClause, Inspector, TextClause, column, inspect, select, table, text
from sqlalchemy.sql.elements import ColumnClause, ColumnElement, quoted_name
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rag_assets.connectors.sql.dialects import DIALECTS, Dialect
from rag_assets.connectors.sql.options import SqlOptions
from rag_assets.connectors.sql.values import Column, Family, family_of
from rag_core.errors import InvalidInput, Reason

# --------------------------------------------------------------------------------------------------------------------
# Reading a query before any database does: one SELECT, nothing that writes, locks or reaches outside the database.


_DIALECTS = {"postgresql": "postgres", "mysql": "mysql", "sqlite": "sqlite"}
_FORBIDDEN = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock, exp.Pragma, exp.Set, exp.Transaction, exp.Copy)
# The query runs in a read-only transaction by a role that may only read; these could do harm all the same: read files
# of the server, reach other hosts, change the session's own limits, or hold a connection without working.
_FUNCTIONS = re.compile(
    r"^(pg_(?!typeof$|column_size$|client_encoding$)\w+|lo_\w+|dblink\w*|set_config|setval|nextval|query_to_xml\w*"
    r"|cursor_to_xml\w*|database_to_xml\w*|load_file|load_extension|readfile|writefile|edit|fts3_tokenizer|sleep"
    r"|benchmark|get_lock|release_lock\w*|release_all_locks|is_free_lock|sys_\w+|xp_\w+|zeroblob|randomblob"
    r"|master_pos_wait|wait_for_executed_gtid_set|txid_\w+)$",
    re.IGNORECASE,
)


def read_only_query(query: str, driver: str) -> str:
    """The query as it will be run: rewritten from its syntax tree, without comments.

    Raises `InvalidInput` (`QUERY_NOT_READ_ONLY`) unless it is exactly one SELECT that only reads.
    """
    dialect = _DIALECTS[driver]
    try:
        statements = [statement for statement in sqlglot.parse(query, read=dialect) if statement is not None]
    except (SqlglotError, RecursionError):
        raise _refused("it could not be understood") from None
    if len(statements) != 1:
        raise _refused("it must be exactly one statement")
    (statement,) = statements
    if not isinstance(statement, exp.Query):
        raise _refused("it must be a SELECT")
    for node in statement.walk():
        _check(node)
    return statement.sql(dialect=dialect, comments=False)


def _check(node: exp.Expr) -> None:
    if isinstance(node, _FORBIDDEN) and not isinstance(node, exp.Query):
        raise _refused(f"it contains {node.key.upper()}")
    if isinstance(node, exp.Parameter | exp.SessionParameter | exp.Placeholder):
        raise _refused("it contains a variable or a placeholder")
    if isinstance(node, exp.Func):
        names = [*node.sql_names(), node.name] if isinstance(node, exp.Anonymous) else node.sql_names()
        if any(_FUNCTIONS.match(str(name)) for name in names):
            raise _refused("it calls a function that acts on the server")


def _refused(why: str) -> InvalidInput:
    return InvalidInput(Reason.QUERY_NOT_READ_ONLY, f"query: {why}; a source runs one SELECT that only reads")


_PLAIN = re.compile(r"\w[\w$ -]*")
_ALIAS = "q"


@dataclass(frozen=True, slots=True)
class Relation:
    """Something to select from. `columns` are those the source names; every one of them exists."""

    source: FromClause
    columns: dict[str, Column]
    dialect: Dialect

    def element(self, name: str) -> ColumnElement[Any]:
        """The column as an expression: quoted, and with the relation before it.

        Alone, a quoted name that is no column (any more) is a text to SQLite, not an error.
        """
        found: ColumnElement[Any] = self.source.c[name]
        return found

    def text(self, name: str) -> ColumnElement[Any]:
        """The column as text (see `Dialect.text`)."""
        return self.dialect.text(self.element(name), self.columns[name])

    def bind(self, name: str, value: Any) -> ColumnElement[Any]:
        """A value to compare the column with."""
        return self.dialect.bind(value, self.columns[name])


def resolve(connection: Connection, options: SqlOptions) -> Relation:
    """Resolve the names of a source in the catalogue.

    Raises `InvalidInput`: `IDENTIFIER_INVALID` for what cannot be a name, `SCHEMA_CHANGED` for a name that is not
    there, `QUERY_NOT_READ_ONLY`.
    """
    dialect = DIALECTS[options.database.driver]
    wanted: list[ColumnClause[Any]] = [column(quoted_name(name, True)) for name in options.columns]
    if options.query is not None:
        statement = _statement(options.query, options.database.driver)
        found = connection.execute(select(text("*")).select_from(statement.columns().subquery(_ALIAS)).limit(0))
        declared = dict.fromkeys(found.keys(), "")
        source: FromClause = statement.columns(*wanted).subquery(_ALIAS)
    else:
        catalogue = inspect(connection)
        schema, name = find_table(catalogue, options.table or "")
        declared = {item["name"]: str(item["type"]) for item in catalogue.get_columns(name, schema=schema)}
        quoted_schema = quoted_name(schema, True) if schema else None
        source = table(quoted_name(name, True), *wanted, schema=quoted_schema).alias(_ALIAS)
    for name in options.columns:
        if name not in declared:
            raise _unknown("column", name, declared)
    columns = _describe(connection, dialect, source, declared)
    _require_usable(options, columns)
    return Relation(source, columns, dialect)


def _statement(query: str, driver: str) -> TextClause:
    written = read_only_query(query, driver)
    return text(written.replace("\\", "\\\\").replace(":", "\\:"))


def find_table(catalogue: Inspector, wanted: str) -> tuple[str | None, str]:
    """The schema and the name in `wanted`; a name that contains a dot is first resolved as a whole.

    Raises `InvalidInput` (`IDENTIFIER_INVALID`, `SCHEMA_CHANGED`).
    """
    own = relation_names(catalogue, None)
    if wanted in own:
        return None, wanted
    schema, dot, name = wanted.partition(".")
    if dot and schema in catalogue.get_schema_names() and name in relation_names(catalogue, schema):
        return schema, name
    raise _unknown("table", wanted, own)


def relation_names(catalogue: Inspector, schema: str | None) -> set[str]:
    """The tables and views of a schema; `None`: of the connection's own."""
    names = {*catalogue.get_table_names(schema), *catalogue.get_view_names(schema)}
    if catalogue.dialect.name == "postgresql":
        names |= set(catalogue.get_materialized_view_names(schema))
    return names


def _describe(
    connection: Connection, dialect: Dialect, source: FromClause, declared: dict[str, str]
) -> dict[str, Column]:
    found = connection.execute(select(*source.c).limit(0))
    described = zip(source.c.keys(), found.cursor.description, strict=True)
    columns = [_typed(dialect.described(name, item[1]), declared[name]) for name, item in described]
    found.close()
    return {item.name: item for item in columns}


def _typed(found: Column, declared: str) -> Column:
    """SQLite describes no result; the declared type of a table's column has to do."""
    if found.family is not Family.UNKNOWN or not declared:
        return found
    return Column(found.name, family_of(declared), declared)


def _require_usable(options: SqlOptions, columns: dict[str, Column]) -> None:
    for name in options.key:
        if columns[name].family in (Family.BINARY, Family.ARRAY):
            raise InvalidInput(Reason.CONFIG_INVALID, "key: a binary or array column cannot name a row")
    if columns[options.updated_at].family not in (Family.TIME, Family.INTEGER, Family.TEXT, Family.UNKNOWN):
        type_name = columns[options.updated_at].type_name
        if type_name not in ("numeric", "xid8"):
            message = f"updated_at: must be a time or an integer, not {type_name or 'what the database does not name'}"
            raise InvalidInput(Reason.CURSOR_NOT_USABLE, message)
    if len(options.content) > 1 and any(columns[name].family is Family.BINARY for name in options.content):
        raise InvalidInput(Reason.CONFIG_INVALID, "content: a binary column must be the only one")


def _unknown(what: str, name: str, known: Iterable[str]) -> InvalidInput:
    shown = name[:64]
    if not _PLAIN.fullmatch(name.replace(".", "", 1)):
        return InvalidInput(Reason.IDENTIFIER_INVALID, f"{what}: no {what} of the database has the name {shown!r}")
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return InvalidInput(Reason.SCHEMA_CHANGED, f"{what}: there is no {what} {shown!r} (any more){hint}")
