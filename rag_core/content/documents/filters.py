"""The typed filter tree that clients send, independent of the index engine.

Filters can only narrow a search. They cannot express tenant and ACL: `validate` refuses reserved fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rag_core.errors import InvalidInput, Reason
from rag_core.settings import FieldType

MAX_CONDITIONS = 64
MAX_DEPTH = 8

RESERVED_FIELDS = frozenset({"tenant", "tenant_id", "acl", "principals", "version", "chunk_id"})
KEYWORD_FIELDS = frozenset({"source", "doc_id", "locator", "title", "language", "media_type"})
TIME_FIELDS = frozenset({"updated_at"})
METADATA_PREFIX = "metadata."


FieldTypes = Mapping[str, FieldType]
_BUILT_IN: dict[str, FieldType] = {
    **dict.fromkeys(KEYWORD_FIELDS, FieldType.KEYWORD),
    **dict.fromkeys(TIME_FIELDS, FieldType.TIME),
}


@dataclass(frozen=True, slots=True)
class In:
    """The field equals one of the values (a single value is equality)."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The time is in `gte <= field < lt`; either bound may be open. Bounds are timezone-aware."""

    field: str
    gte: datetime | None = None
    lt: datetime | None = None


@dataclass(frozen=True, slots=True)
class NumberRange:
    """The number is within the bounds, at least one of which is set."""

    field: str
    gte: float | None = None
    gt: float | None = None
    lte: float | None = None
    lt: float | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value."""

    field: str


@dataclass(frozen=True, slots=True)
class All:
    """Every condition holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one condition holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


Condition = In | TimeRange | NumberRange | Exists | All | AnyOf | Not


def validate(condition: Condition, *, metadata_fields: FieldTypes | None = None) -> None:
    """Check a filter before it reaches an engine.

    `metadata_fields` are the declared metadata names (without the `metadata.` prefix) with their types. Raises
    `InvalidInput` with `RESERVED_FIELD`, `FILTER_FIELD_UNKNOWN`, `FILTER_TYPE` or `FILTER_TOO_COMPLEX`; an unknown
    field is an error, because an ignored filter returns more than was asked for.
    """
    complexity = _complexity(condition, 1)
    if complexity > MAX_CONDITIONS:
        raise InvalidInput(Reason.FILTER_TOO_COMPLEX, f"filter: at most {MAX_CONDITIONS} conditions and values")
    _check(condition, metadata_fields or {})


def _complexity(node: Condition, depth: int) -> int:
    """Count conditions and additional values of a node and below. The recursion is bounded by depth."""
    if depth > MAX_DEPTH:
        raise InvalidInput(Reason.FILTER_TOO_COMPLEX, f"filter: nested more than {MAX_DEPTH} deep")
    match node:
        case All(conditions) | AnyOf(conditions):
            return 1 + sum(_complexity(child, depth + 1) for child in conditions)
        case Not(child):
            return 1 + _complexity(child, depth + 1)
        case In(_, values):
            return max(1, len(values))
        case _:
            return 1


def _check(node: Condition, fields: FieldTypes) -> None:
    match node:
        case All(conditions) | AnyOf(conditions):
            if not conditions:
                raise _wrong("a group needs at least one condition")
            for child in conditions:
                _check(child, fields)
        case Not(child):
            _check(child, fields)
        case _:
            _check_leaf(node, _type_of(node.field, fields))


def _check_leaf(node: In | TimeRange | NumberRange | Exists, kind: FieldType) -> None:
    match node:
        case In(field, values):
            if kind is FieldType.TIME:
                raise _wrong(f"{field} takes a time range, not values")
            if not values:
                raise _wrong(f"{field} needs at least one value")
        case TimeRange(field):
            if kind is not FieldType.TIME:
                raise _wrong(f"{field} is not a time")
        case NumberRange(field):
            if kind is not FieldType.NUMBER:
                raise _wrong(f"{field} is not a number")
            _check_bounds(node)
        case Exists():
            return


def _check_bounds(node: NumberRange) -> None:
    bounds = [bound for bound in (node.gte, node.gt, node.lte, node.lt) if bound is not None]
    if not bounds:
        raise _wrong(f"{node.field} needs a bound")
    if not all(map(math.isfinite, bounds)):
        raise _wrong(f"{node.field} takes finite bounds")


def _type_of(field: str, fields: FieldTypes) -> FieldType:
    root = field.partition(".")[0]
    if root in RESERVED_FIELDS:
        raise InvalidInput(Reason.RESERVED_FIELD, f"filter: {root} is set by the server and cannot be filtered on")
    known = _BUILT_IN.get(field)
    if known is None and field.startswith(METADATA_PREFIX):
        known = fields.get(field.removeprefix(METADATA_PREFIX))
    if known is None:
        raise InvalidInput(Reason.FILTER_FIELD_UNKNOWN, f"filter: unknown field {field[:64]!r}")
    return known


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(Reason.FILTER_TYPE, f"filter: {what}")
