"""Fill messages from values whose fields have the same names."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


def message_of(kind: type[M], value: object, /, **given: Any) -> M:
    """A message with the `given` fields, and each of its other fields as `value` has it. None leaves a field unset.

    Raises `AttributeError` for a field that is neither, so that a new one is not forgotten.
    """
    fields = {field.name: getattr(value, field.name) for field in kind.DESCRIPTOR.fields if field.name not in given}
    return kind(**fields, **given)
