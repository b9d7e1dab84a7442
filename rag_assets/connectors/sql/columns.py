"""A column as the database types it, in the few families that reading has to tell apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Family(Enum):
    """What a column's values are good for."""

    TEXT = "text"
    INTEGER = "integer"
    TIME = "time"
    BOOLEAN = "boolean"
    BINARY = "binary"
    ARRAY = "array"
    OTHER = "other"
    UNKNOWN = "unknown"
    """The database does not say (expressions in SQLite)."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that exists. `type_name` is the database's own name of its type, as a cast takes it."""

    name: str
    family: Family
    type_name: str = ""


_FAMILIES = {
    Family.TEXT: {"text", "varchar", "bpchar", "char", "name", "citext", "string", "clob"},
    Family.INTEGER: {"int2", "int4", "int8", "integer", "int", "bigint", "smallint", "tinyint", "mediumint", "serial"},
    Family.TIME: {"timestamp", "timestamptz", "date", "datetime"},
    Family.BOOLEAN: {"bool", "boolean"},
    Family.BINARY: {"bytea", "blob", "binary", "varbinary", "longblob", "mediumblob", "tinyblob"},
}


def family_of(type_name: str) -> Family:
    """The family of a database's type name, `OTHER` for one that needs no special care."""
    plain = type_name.lower().partition("(")[0].strip()
    return next((family for family, names in _FAMILIES.items() if plain in names), Family.OTHER)
