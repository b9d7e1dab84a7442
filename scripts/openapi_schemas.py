"""JSON schemas of protobuf messages, as the gateway writes and reads them: names of the .proto files, 64-bit numbers as
strings, enums by name, times in RFC 3339, bytes in base64."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

Schema = dict[str, Any]
F = FieldDescriptorProto
_INT32 = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_INT64 = {"type": "string", "format": "int64", "pattern": r"^-?[0-9]{1,19}$"}
_SCALARS: dict[int, Schema] = {
    F.TYPE_BOOL: {"type": "boolean"},
    F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    F.TYPE_DOUBLE: {"type": "number", "format": "double"},
    F.TYPE_FLOAT: {"type": "number", "format": "float"},
    F.TYPE_INT32: _INT32,
    F.TYPE_INT64: _INT64,
    F.TYPE_STRING: {"type": "string"},
}
_KNOWN = {
    ".google.protobuf.Struct": {"type": "object"},
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
}


@dataclass
class Types:
    """Messages and enums of all files by their full name, with their comments."""

    messages: dict[str, DescriptorProto] = field(default_factory=dict)
    enums: dict[str, EnumDescriptorProto] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)

    def add(self, file: FileDescriptorProto) -> None:
        """Add what a file defines."""
        said = {tuple(one.path): " ".join(one.leading_comments.split()) for one in file.source_code_info.location}
        for number, message in enumerate(file.message_type):
            self._message(message, f".{file.package}", (4, number), said)
        for number, enum in enumerate(file.enum_type):
            self._enum(enum, f".{file.package}", (5, number), said)

    def _message(self, message: DescriptorProto, scope: str, path: tuple[int, ...], said: dict[Any, str]) -> None:
        name = f"{scope}.{message.name}"
        self.messages[name] = message
        self.comments[name] = said.get(path, "")
        for number, one in enumerate(message.field):
            self.comments[f"{name}.{one.name}"] = said.get((*path, 2, number), "")
        for number, nested in enumerate(message.nested_type):
            self._message(nested, name, (*path, 3, number), said)
        for number, enum in enumerate(message.enum_type):
            self._enum(enum, name, (*path, 4, number), said)

    def _enum(self, enum: EnumDescriptorProto, scope: str, path: tuple[int, ...], said: dict[Any, str]) -> None:
        name = f"{scope}.{enum.name}"
        self.enums[name] = enum
        values = [f"`{value.name}`: {said.get((*path, 2, at), '')}" for at, value in enumerate(enum.value)]
        self.comments[name] = " ".join([said.get(path, ""), *values]).strip()

    def reachable(self, names: set[str]) -> set[str]:
        """These messages and every message and enum within them."""
        found, pending = set[str](), set(names)
        while pending:
            name = pending.pop()
            found.add(name)
            if name in self.messages:
                inner = {one.type_name for one in self.messages[name].field if one.type_name}
                pending |= {one for one in inner if one not in found and one not in _KNOWN}
        return found

    def is_map(self, name: str) -> bool:
        """Whether this is the entry of a map."""
        return name in self.messages and self.messages[name].options.map_entry


def component(name: str) -> str:
    """The name of a type among the components: `query.v2.Filter.Group` of `.ragproto.query.v2.Filter.Group`."""
    return name.removeprefix(".ragproto.").removeprefix(".google.")


def message_schema(types: Types, name: str, *, without: set[str], sent: bool, received: bool) -> Schema:
    """The schema of a message. What is only sent takes no other field; what is only received has every plain one."""
    message = types.messages[name]
    fields = [one for one in message.field if one.name not in without]
    schema: Schema = {"type": "object", "description": types.comments[name]}
    schema["properties"] = {one.name: field_schema(types, name, one) for one in fields}
    if sent and not received:
        schema["additionalProperties"] = False
    if received and not sent:
        required = [one.name for one in fields if _always(one)]
        if required:
            schema["required"] = required
    return schema


def field_schema(types: Types, owner: str, one: FieldDescriptorProto) -> Schema:
    """The schema of a field."""
    said = types.comments.get(f"{owner}.{one.name}", "")
    if types.is_map(one.type_name):
        value = next(inner for inner in types.messages[one.type_name].field if inner.name == "value")
        return {"type": "object", "additionalProperties": value_schema(value), "description": said}
    schema = value_schema(one)
    if one.label == F.LABEL_REPEATED:
        return {"type": "array", "items": schema, "description": said}
    return {**schema, "description": said} if said else schema


def value_schema(one: FieldDescriptorProto) -> Schema:
    """The schema of a single value."""
    if one.type_name in _KNOWN:
        return dict(_KNOWN[one.type_name])
    if one.type_name:
        return {"$ref": f"#/components/schemas/{component(one.type_name)}"}
    return dict(_SCALARS[one.type])


def enum_schema(types: Types, name: str) -> Schema:
    """The schema of an enum."""
    names = [value.name for value in types.enums[name].value]
    return {"type": "string", "enum": names, "description": types.comments[name]}


def _always(one: FieldDescriptorProto) -> bool:
    """Whether the gateway prints the field whatever its value is."""
    repeated = one.label == F.LABEL_REPEATED
    return repeated or (one.type != F.TYPE_MESSAGE and not one.HasField("oneof_index"))
