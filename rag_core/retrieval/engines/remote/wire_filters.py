"""Convert filters between `admin.v1.Condition` and `rag_core.content.documents.filters`."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from rag_core.content.documents import MAX_DEPTH, All, AnyOf, Condition, Exists, In, Not, NumberRange, TimeRange
from rag_core.errors import InvalidInput, Reason
from ragproto.admin.v1 import index_pb2 as pb


def condition_to_wire(condition: Condition) -> pb.Condition:
    """Convert a filter tree to messages."""
    match condition:
        case In(field, values):
            return pb.Condition(values=pb.FieldValues(field=field, values=values))
        case TimeRange(field, gte, lt):
            return pb.Condition(time=pb.FieldTimes(field=field, gte=_timestamp(gte), lt=_timestamp(lt)))
        case NumberRange(field, gte, gt, lte, lt):
            return pb.Condition(numbers=pb.FieldNumbers(field=field, gte=gte, gt=gt, lte=lte, lt=lt))
        case Exists(field):
            return pb.Condition(exists=field)
        case Not(child):
            return pb.Condition(negated=condition_to_wire(child))
        case All(children):
            return pb.Condition(all=pb.ConditionGroup(conditions=map(condition_to_wire, children)))
        case AnyOf(children):
            return pb.Condition(any=pb.ConditionGroup(conditions=map(condition_to_wire, children)))


def condition_from_wire(message: pb.Condition, depth: int = 1) -> Condition:
    """Convert messages to a filter tree.

    Raises `InvalidInput` for an empty node (engines would ignore it) and for nesting beyond `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise InvalidInput(Reason.FILTER_TOO_COMPLEX, f"filter: at most a depth of {MAX_DEPTH}")
    match message.WhichOneof("kind"):
        case "values":
            return In(message.values.field, tuple(message.values.values))
        case "time":
            times = message.time
            return TimeRange(
                times.field,
                _moment(times.gte) if times.HasField("gte") else None,
                _moment(times.lt) if times.HasField("lt") else None,
            )
        case "numbers":
            return _number_range(message.numbers)
        case "exists":
            return Exists(message.exists)
        case "negated":
            return Not(condition_from_wire(message.negated, depth + 1))
        case "all":
            return All(tuple(condition_from_wire(child, depth + 1) for child in message.all.conditions))
        case "any":
            return AnyOf(tuple(condition_from_wire(child, depth + 1) for child in message.any.conditions))
    raise InvalidInput(Reason.FILTER_TYPE, "filter: a condition is empty")


def _number_range(message: pb.FieldNumbers) -> NumberRange:
    def bound(name: str) -> float | None:
        return float(getattr(message, name)) if message.HasField(name) else None

    return NumberRange(message.field, bound("gte"), bound("gt"), bound("lte"), bound("lt"))


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment.astimezone(UTC))
    return message


def _moment(message: Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=UTC)
