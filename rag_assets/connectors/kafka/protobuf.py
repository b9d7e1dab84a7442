"""Protobuf values by the descriptors that a registry gives, without generated code."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from rag_assets.connectors.kafka.registry import Schema, unusable
from rag_assets.connectors.kafka.schemas import Decode, undecodable

_WELL_KNOWN: Final = "google.protobuf."
_FILES: Final = {
    module.DESCRIPTOR.name: module.DESCRIPTOR
    for module in (any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
}
"""Files that schemas import and registries do not hold."""
_MAX_DEPTH: Final = 32
"""Limit of message types within each other."""


def protobuf_decoder(schema: Schema) -> Decode:
    """Raises `InvalidInput` (`SCHEMA_UNUSABLE`)."""
    pool = descriptor_pool.DescriptorPool()
    try:
        main = _file(schema.text)
        for name, text in schema.references.items():
            _add(pool, _file(text, name))
        _add(pool, main)
        file = pool.FindFileByName(main.name)
    except (TypeError, KeyError, ValueError):
        raise unusable("its Protobuf descriptors do not fit together") from None
    top = [file.message_types_by_name[one.name] for one in main.message_type]

    def decode(value: bytes) -> Any:
        path, body = _indexes(value)
        message = message_factory.GetMessageClass(_type_at(top, path))()
        try:
            message.ParseFromString(body)
            return _plain(message)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            raise undecodable("not what its Protobuf schema says") from None

    return decode


def _file(text: str, name: str | None = None) -> descriptor_pb2.FileDescriptorProto:
    try:
        found = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (ValueError, DecodeError):
        why = "the registry gives the text of a .proto, not its descriptor (format=serialized)"
        raise unusable(why) from None
    found.name = name or found.name or "schema.proto"
    return found


def _add(pool: descriptor_pool.DescriptorPool, file: descriptor_pb2.FileDescriptorProto) -> None:
    for name in _FILES.keys() & set(file.dependency):
        known = descriptor_pb2.FileDescriptorProto()
        _FILES[name].CopyToProto(known)
        pool.Add(known)
    pool.Add(file)


def _indexes(value: bytes) -> tuple[list[int], bytes]:
    """Return which message of the file it is, level by level, and the bytes that follow."""
    count, at = _varint(value, 0)
    if not 0 <= count <= _MAX_DEPTH:
        raise undecodable("its place in the Protobuf schema is none")
    path = []
    for _ in range(count):
        index, at = _varint(value, at)
        path.append(index)
    return path or [0], value[at:]


def _varint(value: bytes, at: int) -> tuple[int, int]:
    """A number in zigzag coding, and where the next byte is."""
    number = 0
    for shift in range(0, 35, 7):
        if at >= len(value):
            break
        byte, at = value[at], at + 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
    raise undecodable("its place in the Protobuf schema is cut off")


def _type_at(types: Sequence[Descriptor], path: Sequence[int]) -> Descriptor:
    found = None
    for index in path:
        if not 0 <= index < len(types):
            raise undecodable("its place in the Protobuf schema is none")
        found = types[index]
        types = found.nested_types
    assert found is not None  # noqa: S101 - a path has a first step
    return found


def _plain(message: Message) -> Any:
    """As JSON would have it by the names in the schema; whole numbers and bytes stay what they are."""
    name = message.DESCRIPTOR.full_name
    if name.startswith(_WELL_KNOWN):
        if list(message.DESCRIPTOR.fields_by_name) == ["value"]:  # the wrappers of single values
            return message.value  # type: ignore[attr-defined]
        if name == any_pb2.Any.DESCRIPTOR.full_name:
            return None
        try:
            return json_format.MessageToDict(message)
        except (ValueError, TypeError, json_format.Error):
            raise undecodable("not what its Protobuf schema says") from None
    return {field.name: _field(field, value) for field, value in message.ListFields()}


def _field(field: FieldDescriptor, value: Any) -> Any:
    entry = field.message_type if field.message_type and field.message_type.GetOptions().map_entry else None
    if entry is not None:
        inner = entry.fields_by_name["value"]
        return {str(key): _single(inner, value[key]) for key in value}
    if field.is_repeated:
        return [_single(field, one) for one in value]
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> Any:
    if field.type in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP):
        return _plain(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else value
    return value
