"""Differences between the databases: types, casts, sizes, the clock."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from psycopg.postgres import types as postgres_types
from sqlalchemy import ColumnElement, String, Text, and_, case, cast, false, func, literal, literal_column, not_, or_
from sqlalchemy.types import UserDefinedType

from rag_assets.connectors.sql.values import Column, Family, family_of


class _Named(UserDefinedType[Any]):
    """A type by the name the database gave us itself."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_options: Any) -> str:
        return self.name


class Dialect(ABC):
    """Common behaviour; values cross the wire as text, so that no value of a row can break its whole page."""

    now: ClassVar[str]
    """Expression of the database's clock in UTC, as text."""
    tomorrow: ClassVar[str]
    """The same a day later."""
    tomorrow_time: ClassVar[str]
    """The latter as a time, to compare with columns of times."""

    @abstractmethod
    def described(self, name: str, code: Any) -> Column:
        """A column from the description of a result."""

    def text(self, element: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
        """The column as text that `bind` understands."""
        return cast(element, Text)

    def bind(self, value: Any, column: Column) -> ColumnElement[Any]:
        """A value of `text` as something the column is compared with, so that its index can be used."""
        return literal(value, String)

    def equals(self, element: ColumnElement[Any], value: str, column: Column) -> ColumnElement[bool]:
        """The column has the value that was written down as text."""
        return element == self.bind(value, column)

    def size(self, element: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
        """Bytes of a value, known without sending it."""
        return func.octet_length(element if column.family in (Family.TEXT, Family.BINARY) else cast(element, Text))

    def content(self, element: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
        """The value to read: text, or bytes of a binary column."""
        return element if column.family in (Family.TEXT, Family.BINARY) else self.text(element, column)

    def items(self, element: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
        """A list of names: JSON, or text with separators."""
        return self.text(element, column)

    def is_deleted(self, element: ColumnElement[Any], column: Column) -> ColumnElement[bool]:
        """The soft-delete column says so. Never null."""
        if column.family is Family.BOOLEAN:
            return func.coalesce(element, literal_column("false"))
        if column.family is Family.INTEGER:
            return func.coalesce(element, 0) != 0
        if column.family is Family.TEXT:
            return func.coalesce(element, "").not_in(["", "0", "f", "false", "n", "no"])
        return element.is_not(None)

    def is_ahead(self, element: ColumnElement[Any], column: Column, furthest: int) -> ColumnElement[bool]:
        """The position is more than a day ahead of the clock, or a number beyond `furthest`. Null where it is null."""
        if column.family is Family.TEXT:
            return element > literal_column(self.tomorrow)
        if column.family is Family.TIME:
            return element > literal_column(self.tomorrow_time)
        return element > self.bind(str(furthest), column)

    def is_numeric(self, element: ColumnElement[Any]) -> ColumnElement[bool]:
        """The value is a number: in a column of text, none is."""
        return false()

    def guarded(self, element: ColumnElement[Any], column: Column, limit: int) -> tuple[ColumnElement[Any], ...]:
        """(value or null when it is larger than `limit` bytes, its size)."""
        size = self.size(element, column)
        return case((size <= limit, self.content(element, column)), else_=None), size


class PostgresDialect(Dialect):
    """PostgreSQL types every column, also columns of a query."""

    now = "CAST(timezone('UTC', now()) AS text)"
    tomorrow = "CAST(timezone('UTC', now() + interval '1 day') AS text)"
    tomorrow_time = "(now() + interval '1 day')"

    def described(self, name: str, code: Any) -> Column:
        known = postgres_types.get(code)
        if known is None:
            return Column(name, Family.OTHER, "text")  # enumerations and types of extensions have a text form
        if code == known.array_oid:
            return Column(name, Family.ARRAY, f"{known.name}[]")
        return Column(name, family_of(known.name), known.name)

    def bind(self, value: Any, column: Column) -> ColumnElement[Any]:
        return cast(literal(value, String), _Named(column.type_name or "text"))

    def items(self, element: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
        return cast(func.to_json(element), Text) if column.family is Family.ARRAY else self.text(element, column)


class MysqlDialect(Dialect):
    """MySQL converts text to the type of the column it is compared with."""

    now = "CAST(utc_timestamp(6) AS char)"
    tomorrow = "CAST(utc_timestamp(6) + INTERVAL 1 DAY AS char)"
    tomorrow_time = "(utc_timestamp(6) + INTERVAL 1 DAY)"
    _TYPES: ClassVar[dict[int, str]] = {
        1: "int", 2: "int", 3: "int", 8: "int", 9: "int", 7: "timestamp", 10: "date", 12: "datetime", 15: "varchar",
        253: "varchar", 254: "varchar", 249: "text", 250: "text", 251: "text", 252: "text", 16: "bool",
    }  # fmt: skip

    def described(self, name: str, code: Any) -> Column:
        type_name = self._TYPES.get(code, "other")
        return Column(name, family_of(type_name), type_name)

    def text(self, element: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
        return cast(element, String)

    def size(self, element: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
        return func.octet_length(element)


class SqliteDialect(Dialect):
    """SQLite types values, not columns: they are read and compared as they are."""

    now = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    tomorrow = tomorrow_time = "strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 day')"

    def described(self, name: str, code: Any) -> Column:
        return Column(name, Family.UNKNOWN)

    def text(self, element: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
        return element

    def bind(self, value: Any, column: Column) -> ColumnElement[Any]:
        return literal(value)

    def equals(self, element: ColumnElement[Any], value: str, column: Column) -> ColumnElement[bool]:
        # 5 and '5' are two values; the locator has one form for both, and a key that is ambiguous is reported as such.
        number = int(value) if value.lstrip("-").isdecimal() and len(value) < 19 else None
        canonical = number is not None and str(number) == value
        return element.in_([literal(value), literal(number)]) if canonical else element == literal(value)

    def size(self, element: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
        return func.length(cast(element, _Named("BLOB")))

    def content(self, element: ColumnElement[Any], column: Column) -> ColumnElement[Any]:
        return element

    def is_ahead(self, element: ColumnElement[Any], column: Column, furthest: int) -> ColumnElement[bool]:
        # Any number is smaller than any text.
        number = and_(self.is_numeric(element), element > literal(furthest))
        return or_(element > literal_column(self.tomorrow), number)

    def is_numeric(self, element: ColumnElement[Any]) -> ColumnElement[bool]:
        return func.typeof(element).in_(["integer", "real"])

    def is_deleted(self, element: ColumnElement[Any], column: Column) -> ColumnElement[bool]:
        return and_(element.is_not(None), not_(or_(element == 0, func.lower(element).in_(["", "0", "f", "false"]))))


DIALECTS: dict[str, Dialect] = {
    "postgresql": PostgresDialect(),
    "mysql": MysqlDialect(),
    "sqlite": SqliteDialect(),
}
