"""Avro values by their writer's schema."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from decimal import Decimal
from io import BytesIO
from typing import Any, Final
from uuid import UUID

import fastavro
from fastavro.schema import SchemaParseException

from rag_assets.connectors.kafka.registry import Schema, unusable
from rag_assets.connectors.kafka.schemas import Decode, undecodable

_BYTES: Final = {"null": 0, "float": 4, "double": 8}
"""Smallest size of a value in bytes; 1 for types that are not named."""


def avro_decoder(schema: Schema) -> Decode:
    """Raises `InvalidInput` (`SCHEMA_UNUSABLE`)."""
    named: dict[str, Any] = {}
    try:
        for needed in schema.references.values():
            fastavro.parse_schema(json.loads(needed), named_schemas=named)
        parsed = fastavro.parse_schema(json.loads(schema.text), named_schemas=named)
        _Sizes(named).least(parsed)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SchemaParseException):
        raise unusable("not an Avro schema") from None

    def decode(value: bytes) -> Any:
        stream = BytesIO(value)
        try:
            found = fastavro.schemaless_reader(stream, parsed, None)
        except Exception:  # of many kinds, among them plain `Exception`s of hostile bytes
            raise undecodable("not what its Avro schema says") from None
        if stream.tell() != len(value):
            raise undecodable("longer than its Avro schema says")
        return _plain(found)

    return decode


class _Sizes:
    """The least bytes that values of a schema take.

    Refuses what a few hostile bytes could turn into anything: the reader is native code, which follows a recursive
    record until the stack is full, and makes as many elements as the bytes say where an element takes none.
    """

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._known: dict[str, int | None] = {}

    def least(self, schema: Any) -> int:
        """Raises `InvalidInput` (`SCHEMA_UNUSABLE`)."""
        if isinstance(schema, list):
            for branch in schema:
                self.least(branch)
            return 1
        if isinstance(schema, str):
            return self._of_name(schema)
        kind = schema["type"]
        if kind in ("record", "error"):
            return self._of_record(schema)
        if kind == "array":
            if self.least(schema["items"]) == 0:
                raise unusable("it has an array whose items take no bytes")
            return 1
        if kind == "map":
            self.least(schema["values"])
            return 1
        if kind == "fixed":
            return int(schema["size"])
        return 1 if kind == "enum" else self.least(kind)

    def _of_name(self, name: str) -> int:
        found = self._named.get(name)
        return _BYTES.get(name, 1) if found is None else self.least(found)

    def _of_record(self, record: Mapping[str, Any]) -> int:
        name = record["name"]
        if name not in self._known:
            self._known[name] = None
            self._known[name] = sum(self.least(field["type"]) for field in record["fields"])
        size = self._known[name]
        if size is None:
            raise unusable(f"{str(name)[:100]} is recursive")
        return size


def _plain(value: Any) -> Any:
    """As JSON would have it; bytes stay what they are."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal | UUID) else value
