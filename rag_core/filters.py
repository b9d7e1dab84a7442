"""The typed filter tree that clients send, independent of any engine.

Filters only ever narrow a search. Tenant and ACL are not expressible here: `validate` refuses reserved fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rag_core.errors import InvalidInput, Reason

MAX_CONDITIONS = 64
MAX_DEPTH = 8

RESERVED_FIELDS = frozenset({"tenant", "tenant_id", "acl", "principals", "version", "chunk_id"})
KEYWORD_FIELDS = frozenset({"source", "doc_id", "locator", "title", "language", "media_type"})
TIME_FIELDS = frozenset({"updated_at"})
METADATA_PREFIX = "metadata."


@dataclass(frozen=True, slots=True)
class In:
    """The field equals one of the values (a single value is equality)."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """`gte <= field < lt`; either bound may be open. Bounds are timezone-aware."""

    field: str
    gte: datetime | None = None
    lt: datetime | None = None


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


Condition = In | TimeRange | Exists | All | AnyOf | Not


def validate(condition: Condition, *, metadata_fields: frozenset[str] = frozenset()) -> None:
    """Check a filter before it reaches an engine.

    `metadata_fields` are the declared metadata names (without the `metadata.` prefix). Raises `InvalidInput` with
    `RESERVED_FIELD`, `FILTER_FIELD_UNKNOWN`, `FILTER_TYPE` or `FILTER_TOO_COMPLEX`; an unknown field is an error,
    because an ignored filter returns more than was asked for.
    """
    complexity = _complexity(condition, 1)
    if complexity > MAX_CONDITIONS:
        raise InvalidInput(Reason.FILTER_TOO_COMPLEX, f"filter: at most {MAX_CONDITIONS} conditions and values")
    _check(condition, metadata_fields)


def _complexity(node: Condition, depth: int) -> int:
    """Conditions and further values below and including a node. Bounded by depth, so that it cannot run away."""
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


def _check(node: Condition, metadata_fields: frozenset[str]) -> None:
    match node:
        case All(conditions) | AnyOf(conditions):
            if not conditions:
                raise InvalidInput(Reason.FILTER_TYPE, "filter: a group needs at least one condition")
            for child in conditions:
                _check(child, metadata_fields)
        case Not(child):
            _check(child, metadata_fields)
        case In(field, values):
            _check_field(field, metadata_fields)
            if field in TIME_FIELDS:
                raise InvalidInput(Reason.FILTER_TYPE, f"filter: {field} takes a time range, not values")
            if not values:
                raise InvalidInput(Reason.FILTER_TYPE, f"filter: {field} needs at least one value")
        case TimeRange(field):
            _check_field(field, metadata_fields)
            if field not in TIME_FIELDS:
                raise InvalidInput(Reason.FILTER_TYPE, f"filter: {field} is not a time")
        case Exists(field):
            _check_field(field, metadata_fields)


def _check_field(field: str, metadata_fields: frozenset[str]) -> None:
    root = field.partition(".")[0]
    if root in RESERVED_FIELDS:
        raise InvalidInput(Reason.RESERVED_FIELD, f"filter: {root} is set by the server and cannot be filtered on")
    known = (
        field in KEYWORD_FIELDS
        or field in TIME_FIELDS
        or (field.startswith(METADATA_PREFIX) and field.removeprefix(METADATA_PREFIX) in metadata_fields)
    )
    if not known:
        raise InvalidInput(Reason.FILTER_FIELD_UNKNOWN, f"filter: unknown field {field[:64]!r}")
