"""Columns of a query, the locators they make, and values as text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from rag_assets.connectors.fields import MAX_LOCATOR_BYTES, acl_of
from rag_assets.connectors.sql.options import AclColumn
from rag_core.errors import InvalidInput, Reason

# --------------------------------------------------------------------------------------------------------------------
# From the cells of a row to a document: text, title, metadata, who may see it.


SMALL_CELL_BYTES = 65_536
"""Largest title, metadata value or ACL."""


def joined(cells: Sequence[object]) -> bytes:
    """The content of a row: text cells joined by an empty line, or the bytes of a single binary cell."""
    if len(cells) == 1 and isinstance(cells[0], bytes | bytearray | memoryview):
        return bytes(cells[0])
    return "\n\n".join(text for cell in cells if (text := plain(cell))).encode("utf-8", "replace")


def plain(cell: object) -> str:
    """A cell as text; null is the empty text."""
    if cell is None:
        return ""
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell).decode("utf-8", "replace")
    return str(cell)


def small(name: str, cell: object, size: object) -> object:
    """A cell that must be small. Raises `InvalidInput` (`CELL_TOO_LARGE`)."""
    if isinstance(size, int) and size > SMALL_CELL_BYTES:
        message = f"column {name[:64]!r}: {size} > {SMALL_CELL_BYTES} bytes"
        raise InvalidInput(Reason.CELL_TOO_LARGE, message)
    return cell


def acl_entries(cell: object, options: AclColumn) -> tuple[str, ...] | None:
    """The ACL of the row; `None` when the cell is null, so that the ACL known before stays in force."""
    return None if cell is None else acl_of(_split(plain(cell), options), options.prefix)


def _split(value: str, options: AclColumn) -> list[str]:
    if value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return [value]
        return [item if isinstance(item, str) else "" for item in found]
    return [item.strip() for item in value.split(options.separator) if item.strip()]


# --------------------------------------------------------------------------------------------------------------------
# A column's type, in the few families that reading has to distinguish.


class Family(Enum):
    """The families of column types."""

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


# --------------------------------------------------------------------------------------------------------------------
# Keys as locators and back. Every locator can be stored, shown and turned back into the exact key.


# What separates, what escapes, and what does not show or changes the direction of what follows.
_ESCAPED = re.compile("[%/\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def encode(values: Sequence[object]) -> str:
    """The locator of a key of one or several columns. Raises `InvalidInput` (`VALUE_INVALID`, `KEY_MISSING`)."""
    parts = []
    for value in values:
        if value is None or value == "":
            raise InvalidInput(Reason.KEY_MISSING, "the key of the row is null or empty")
        if isinstance(value, bytes):
            raise InvalidInput(Reason.VALUE_INVALID, "the key of the row is binary")
        parts.append(_ESCAPED.sub(_escape, str(value)))
    locator = "/".join(parts)
    if len(locator.encode()) > MAX_LOCATOR_BYTES:
        raise InvalidInput(Reason.VALUE_INVALID, f"the key of the row is longer than {MAX_LOCATOR_BYTES} bytes")
    return locator


def decode(locator: str, columns: int) -> list[str]:
    """The texts of the key's columns. Raises `InvalidInput` (`VALUE_INVALID`) when it is no locator of this source."""
    parts = locator.split("/")
    if len(parts) != columns or not all(parts):
        raise InvalidInput(Reason.VALUE_INVALID, "the locator does not fit the key of the source")
    return [unquote_to_bytes(part).decode("utf-8", "surrogatepass") for part in parts]


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8", "surrogatepass"))
