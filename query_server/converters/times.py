"""Timestamps in messages."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.message import Message

from rag_core.errors import InvalidInput, Reason
from rag_core.retrieval.engines.remote import moment_from_wire


def to_moment(request: Message, field: str) -> datetime | None:
    """The time in a field; None when it is unset. Raises `InvalidInput` (`FIELD_INVALID`)."""
    if not request.HasField(field):
        return None
    try:
        return moment_from_wire(getattr(request, field))
    except ValueError as error:
        raise InvalidInput(Reason.FIELD_INVALID, f"{field}: {error}") from None
