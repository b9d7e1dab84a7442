"""Attribute filters of vector stores as filters of the platform."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from interfaces.errors import ApiError, invalid
from ragproto.query.v2 import query_pb2 as pb

# `in` and `not` are words of Python, which the stubs of the messages cannot name.
_Filter: Any = pb.Filter

_FIELDS = frozenset({"source", "doc_id", "locator", "title", "language", "media_type", "updated_at"})
_MOST_LEVELS = 20


def within(sources: Sequence[str], filters: dict[str, Any] | None) -> pb.Filter | None:
    """Documents of these sources (of any, when there are none) that match. Raises `ApiError`."""
    found = [_Filter(**{"in": pb.Filter.In(field="source", values=sources)})] if sources else []
    if filters:
        found.append(_condition(filters, "filters", _MOST_LEVELS))
    if len(found) == 2:
        return pb.Filter(all=pb.Filter.Group(conditions=found))
    return found[0] if found else None


def _condition(given: Any, at: str, levels: int) -> pb.Filter:
    if not isinstance(given, dict) or not levels:
        raise invalid(at, "must be a comparison, or `and` or `or` of some, not nested too deeply")
    kind = given.get("type")
    if kind in ("and", "or"):
        inner = given.get("filters")
        if not isinstance(inner, list) or not inner:
            raise invalid(f"{at}.filters", "must be a list with conditions")
        group = pb.Filter.Group(
            conditions=[_condition(one, f"{at}.filters[{number}]", levels - 1) for number, one in enumerate(inner)]
        )
        return pb.Filter(all=group) if kind == "and" else pb.Filter(any=group)
    return _comparison(kind, given.get("key"), given.get("value"), at)


def _comparison(kind: Any, key: Any, value: Any, at: str) -> pb.Filter:
    if not isinstance(key, str) or not key:
        raise invalid(f"{at}.key", "must be the name of an attribute")
    field = key if key in _FIELDS or key.startswith("metadata.") else f"metadata.{key}"
    match kind:
        case "eq":
            return _equal(field, value, at)
        case "ne":
            return _negated(_equal(field, value, at))
        case "in" | "nin":
            if not isinstance(value, list) or not value:
                raise invalid(f"{at}.value", "must be a list of values")
            one: pb.Filter = _Filter(**{"in": pb.Filter.In(field=field, values=[_word(item, at) for item in value])})
            return one if kind == "in" else _negated(one)
        case "gt" | "gte" | "lt" | "lte":
            return _range(field, kind, _number(value, at), at)
    raise invalid(f"{at}.type", "must be eq, ne, gt, gte, lt, lte, in, nin, and, or")


def _equal(field: str, value: Any, at: str) -> pb.Filter:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = _number(value, at)
        return pb.Filter(range=pb.Filter.NumberRange(field=field, gte=number, lte=number))
    return pb.Filter(eq=pb.Filter.Eq(field=field, value=_word(value, at)))


def _range(field: str, bound: str, number: float, at: str) -> pb.Filter:
    if field != "updated_at":
        limits = pb.Filter.NumberRange(field=field)
        setattr(limits, bound, number)
        return pb.Filter(range=limits)
    # Seconds since 1970, as OpenAI writes every time. The platform's range of times is half-open.
    seconds = math.floor(number) + (1 if bound in ("gt", "lte") else 0)
    condition = pb.Filter.TimeRange(field=field)
    try:
        getattr(condition, "gte" if bound in ("gt", "gte") else "lt").FromSeconds(seconds)
    except (ValueError, OverflowError):
        raise invalid(f"{at}.value", "must be a time in seconds since 1970") from None
    return pb.Filter(time=condition)


def _negated(one: pb.Filter) -> pb.Filter:
    return cast("pb.Filter", _Filter(**{"not": one}))


def _word(value: Any, at: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise invalid(f"{at}.value", "must be a string, a number or a boolean")


def _number(value: Any, at: str) -> float:
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        raise invalid(f"{at}.value", "is too large") from None
    if not math.isfinite(number):
        raise ApiError(400, "FILTER_TYPE", f"{at}.value: must be a number", field=f"{at}.value")
    return number
