"""Convert filters between `query.v2.Filter`, which clients and the index process send, and the filter tree."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from rag_core.content.documents import MAX_DEPTH, All, AnyOf, Condition, Exists, In, Not, NumberRange, TimeRange
from rag_core.errors import InvalidInput, Reason
from ragproto.query.v2 import query_pb2 as pb


def filter_to_wire(condition: Condition) -> pb.Filter:
    """Convert a filter tree to messages."""
    match condition:
        case In(field, values):
            return pb.Filter(**{"in": pb.Filter.In(field=field, values=values)})  # type: ignore[arg-type]
        case TimeRange(field, gte, lt):
            return pb.Filter(time=pb.Filter.TimeRange(field=field, gte=_timestamp(gte), lt=_timestamp(lt)))
        case NumberRange(field, gte, gt, lte, lt):
            return pb.Filter(range=pb.Filter.NumberRange(field=field, gte=gte, gt=gt, lte=lte, lt=lt))
        case Exists(field):
            return pb.Filter(exists=pb.Filter.Exists(field=field))
        case Not(child):
            return pb.Filter(**{"not": filter_to_wire(child)})  # type: ignore[arg-type]
        case All(children):
            return pb.Filter(all=pb.Filter.Group(conditions=map(filter_to_wire, children)))
        case AnyOf(children):
            return pb.Filter(any=pb.Filter.Group(conditions=map(filter_to_wire, children)))


def filter_from_wire(message: pb.Filter, depth: int = 1) -> Condition:
    """Convert messages to a filter tree.

    Raises `InvalidInput` (`FILTER_TYPE`) for an empty node, which engines would ignore, and for an impossible time;
    (`FILTER_TOO_COMPLEX`) for nesting beyond `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise InvalidInput(Reason.FILTER_TOO_COMPLEX, f"filter: nested more than {MAX_DEPTH} deep")
    match message.WhichOneof("condition"):
        case "all":
            return All(tuple(filter_from_wire(child, depth + 1) for child in message.all.conditions))
        case "any":
            return AnyOf(tuple(filter_from_wire(child, depth + 1) for child in message.any.conditions))
        case "not":
            return Not(filter_from_wire(getattr(message, "not"), depth + 1))
        case "in":
            values: pb.Filter.In = getattr(message, "in")
            return In(values.field, tuple(values.values))
        case "time":
            return TimeRange(message.time.field, _moment(message.time, "gte"), _moment(message.time, "lt"))
        case "eq":
            return In(message.eq.field, (message.eq.value,))
        case "range":
            return _number_range(message.range)
        case "exists":
            return Exists(message.exists.field)
    raise InvalidInput(Reason.FILTER_TYPE, "filter: a filter needs one condition")


def _number_range(message: pb.Filter.NumberRange) -> NumberRange:
    bounds = {descriptor.name: value for descriptor, value in message.ListFields() if descriptor.name != "field"}
    return NumberRange(message.field, **bounds)


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment.astimezone(UTC))
    return message


def _moment(message: pb.Filter.TimeRange, bound: str) -> datetime | None:
    try:
        return moment_from_wire(getattr(message, bound)) if message.HasField(bound) else None
    except ValueError as error:
        raise InvalidInput(Reason.FILTER_TYPE, f"filter: {error}") from None


def moment_from_wire(message: Timestamp) -> datetime:
    """Convert a message to a time. Raises `ValueError` with why it is none."""
    if not 0 <= message.nanos < 1_000_000_000:
        raise ValueError("nanos of a time must be from 0 to 999,999,999, also before 1970")
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("a time must be between the years 1 and 9999") from None
