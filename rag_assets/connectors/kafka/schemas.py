"""Decoders of values by the schemas of a registry: functions from bytes to plain data.

Values are hostile; schemas are as good as those who may write to the registry. Only references that the registry itself
gave are followed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import jsonschema
from referencing import Registry as References
from referencing import Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT7

from rag_assets.connectors.kafka.registry import Registry, Schema, unusable
from rag_core.errors import InvalidInput, Reason

Decode = Callable[[bytes], Any]
KEPT_SCHEMAS: Final = 256
_MAGIC: Final = 0
_HEAD: Final = 5
"""A zero and the id in four bytes stand before each value."""


class SchemaDecoder:
    """Decodes values by the schemas they name; keeps the newest `KEPT_SCHEMAS`. Used from one thread."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._decode_of = lru_cache(KEPT_SCHEMAS)(lambda number: _decoder(registry.schema(number)))

    def decode(self, value: bytes) -> Any:
        """The value as plain data.

        Raises `InvalidInput` (`EVENT_UNDECODABLE`, `EVENT_SCHEMA`), and what `Registry.schema` raises.
        """
        if len(value) < _HEAD or value[0] != _MAGIC:
            raise undecodable("it does not begin with the id of its schema")
        return self._decode_of(int.from_bytes(value[1:_HEAD], "big"))(value[_HEAD:])

    def close(self) -> None:
        self._registry.close()


def undecodable(why: str) -> InvalidInput:
    """The refusal of a value."""
    return InvalidInput(Reason.EVENT_UNDECODABLE, f"value: {why}")


def checked_by(validator: jsonschema.protocols.Validator, body: Any) -> None:
    """Raises `InvalidInput` (`EVENT_SCHEMA`, `SCHEMA_UNUSABLE`)."""
    try:
        error = jsonschema.exceptions.best_match(validator.iter_errors(body))
    except Unresolvable:
        raise unusable("it refers to a schema that is not there") from None
    except RecursionError:
        raise undecodable("nested too deeply") from None
    if error:
        place = ".".join(str(part) for part in error.absolute_path) or "value"
        raise InvalidInput(Reason.EVENT_SCHEMA, f"{place}: does not match the schema ({error.validator})")


def validator_of(text: str | bytes, references: Mapping[str, str] | None = None) -> jsonschema.protocols.Validator:
    """The validator of a JSON Schema, which fetches nothing. Raises `ValueError`, `jsonschema.SchemaError`."""
    known = References().with_resources(
        (name, Resource.from_contents(json.loads(needed), default_specification=DRAFT7))
        for name, needed in (references or {}).items()
    )
    schema = json.loads(text)
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    made: jsonschema.protocols.Validator = kind(schema, registry=known)
    return made


def json_object(value: bytes) -> Any:
    """Raises `ValueError`."""
    try:
        return json.loads(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _decoder(schema: Schema) -> Decode:
    # Each kind brings a library of its own.
    if schema.kind == "AVRO":
        from rag_assets.connectors.kafka.avro import avro_decoder

        return avro_decoder(schema)
    if schema.kind == "PROTOBUF":
        from rag_assets.connectors.kafka.protobuf import protobuf_decoder

        return protobuf_decoder(schema)
    if schema.kind == "JSON":
        return _json_decoder(schema)
    raise unusable(f"of the kind {schema.kind[:64]}, which is none of AVRO, PROTOBUF and JSON")


def _json_decoder(schema: Schema) -> Decode:
    try:
        validator = validator_of(schema.text, schema.references)
    except (ValueError, RecursionError, jsonschema.SchemaError):
        raise unusable("not a JSON Schema") from None

    def decode(value: bytes) -> Any:
        try:
            body = json_object(value)
        except ValueError:
            raise undecodable("not JSON") from None
        checked_by(validator, body)
        return body

    return decode
