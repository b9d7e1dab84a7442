"""Timestamps in messages."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from rag_core.errors import InvalidInput, Reason


def to_moment(request: Message, field: str) -> datetime | None:
    """The time in a field; None when it is unset. Raises `InvalidInput` (`FIELD_INVALID`)."""
    if not request.HasField(field):
        return None
    message: Timestamp = getattr(request, field)
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(Reason.FIELD_INVALID, f"{field}: {time_problem(message)}") from None


def time_problem(message: Timestamp) -> str:
    """Why a `Timestamp` is no time."""
    if not 0 <= message.nanos < 1_000_000_000:
        return "nanos of a time must be from 0 to 999,999,999, also before 1970"
    return "a time must be between the years 1 and 9999"
