"""Fill messages from values whose fields have the same names, and read moments of requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from rag_core.errors import InvalidInput, Reason
from rag_core.retrieval.engines.remote import moment_from_wire

M = TypeVar("M", bound=Message)


def message_of(kind: type[M], value: object, /, **given: Any) -> M:
    """A message with the `given` fields, and each of its other fields as `value` has it. None leaves a field unset.

    Raises `AttributeError` for a field that is neither, so that a new one is not forgotten.
    """
    fields = {name: getattr(value, name) for name in _names(kind.DESCRIPTOR) if name not in given}
    return kind(**fields, **given)


@cache
def _names(descriptor: Descriptor) -> tuple[str, ...]:
    return tuple(field.name for field in descriptor.fields)


@contextmanager
def part_of_request(field: str, kind: type[Message]) -> Iterator[None]:
    """Errors about a field of `kind` name it as a part of `field`, where the caller gave it."""
    try:
        yield
    except InvalidInput as error:
        if error.message.partition(":")[0].partition(".")[0] not in kind.DESCRIPTOR.fields_by_name:
            raise
        raise type(error)(error.reason, f"{field}.{error.message}", **error.metadata) from None


def to_moment(request: Message, field: str) -> datetime | None:
    """The time in a field; None when it is unset. Raises `InvalidInput` (`FIELD_INVALID`)."""
    if not request.HasField(field):
        return None
    try:
        return moment_from_wire(getattr(request, field))
    except ValueError as error:
        raise InvalidInput(Reason.FIELD_INVALID, f"{field}: {error}") from None
