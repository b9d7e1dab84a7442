"""The filter messages of v1 and v2 as the one filter tree."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from query_server.converters.times import time_problem
from rag_core.content.documents import All, AnyOf, Condition, Exists, In, Not, NumberRange, TimeRange
from rag_core.errors import InvalidInput, Reason
from ragproto.query.v2 import query_pb2 as v2


def filter_from_map(fields: Mapping[str, str]) -> Condition | None:
    """v1: every field has the given value; no fields, no filter."""
    if not fields:
        return None
    return All(tuple(In(name, (value,)) for name, value in fields.items()))


def filter_from_message(message: v2.Filter) -> Condition:
    """v2. Raises `InvalidInput` (`FILTER_TYPE`) for a message without a condition or with an impossible time.

    The depth is bounded by protobuf's own limit of 100; `rag_core.content.documents.validate` then applies ours.
    """
    match message.WhichOneof("condition"):
        case "all":
            return All(tuple(map(filter_from_message, message.all.conditions)))
        case "any":
            return AnyOf(tuple(map(filter_from_message, message.any.conditions)))
        case "not":
            return Not(filter_from_message(getattr(message, "not")))
        case "in":
            values: v2.Filter.In = getattr(message, "in")
            return In(values.field, tuple(values.values))
        case "time":
            return _time_range(message.time)
        case "eq":
            return In(message.eq.field, (message.eq.value,))
        case "range":
            return _number_range(message.range)
        case "exists":
            return Exists(message.exists.field)
        case _:
            raise InvalidInput(Reason.FILTER_TYPE, "filter: a filter needs one condition")


def _number_range(message: v2.Filter.NumberRange) -> NumberRange:
    return NumberRange(
        message.field,
        gte=message.gte if message.HasField("gte") else None,
        gt=message.gt if message.HasField("gt") else None,
        lte=message.lte if message.HasField("lte") else None,
        lt=message.lt if message.HasField("lt") else None,
    )


def _time_range(message: v2.Filter.TimeRange) -> TimeRange:
    gte = _time(message.gte) if message.HasField("gte") else None
    lt = _time(message.lt) if message.HasField("lt") else None
    return TimeRange(message.field, gte, lt)


def _time(message: Timestamp) -> datetime:
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(Reason.FILTER_TYPE, f"filter: {time_problem(message)}") from None
