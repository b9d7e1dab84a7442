"""Filters for the engines: the caller's typed tree, and the security scope that goes around it.

Edge and qdrant-client have the same filter language in different classes; a `Dialect` builds one or the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from rag_core.documents import METADATA_PREFIX, All, AnyOf, Condition, Exists, In, Not, NumberRange, TimeRange
from rag_core.errors import InvalidInput, Reason
from rag_core.index.base import SearchRequest
from rag_core.index.payloads import NUMBERS

Filter = TypeVar("Filter")
Item = TypeVar("Item")

Bounds = dict[str, float]
"""Those of gte, gt, lte and lt that are set."""
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?")


class Dialect(Protocol[Filter]):
    """Builds filters of one engine. Each method returns a complete filter; groups nest them."""

    def any_of(self, field: str, values: Sequence[str]) -> Filter:
        """The field has one of the values."""
        ...

    def newer_than(self, field: str, value: int) -> Filter:
        """The integer field is greater."""
        ...

    def time_range(self, field: str, gte: datetime | None, lt: datetime | None) -> Filter: ...

    def number_range(self, field: str, bounds: Bounds) -> Filter: ...

    def absent(self, field: str) -> Filter:
        """The field is missing, null or an empty list."""
        ...

    def all_of(self, filters: Sequence[Filter]) -> Filter: ...

    def any_filter(self, filters: Sequence[Filter]) -> Filter: ...

    def none_of(self, filters: Sequence[Filter]) -> Filter: ...


def scope(dialect: Dialect[Filter], request: SearchRequest) -> Filter:
    """What a caller may see: the tenant's points that name at least one of the caller's ACL entries, but for those
    that are withheld."""
    allowed = [dialect.any_of("tenant", [request.tenant]), dialect.any_of("acl", list(request.acl))]
    withheld = request.withheld
    hidden = [("doc_id", [str(doc_id) for doc_id in withheld.doc_ids]), ("source", list(withheld.sources))]
    if refused := [dialect.any_of(field, values) for field, values in hidden if values]:
        allowed.append(dialect.none_of(refused))
    return dialect.all_of(allowed)


def within(dialect: Dialect[Filter], *, tenant: str | None, source: str | None) -> Filter | None:
    """The points of a tenant, or of one source of it; `None` for all."""
    named = [dialect.any_of(field, [value]) for field, value in (("tenant", tenant), ("source", source)) if value]
    return dialect.all_of(named) if named else None


def narrowed(dialect: Dialect[Filter], request: SearchRequest) -> Filter:
    """The scope of a search with the caller's own filter inside it."""
    outer = scope(dialect, request)
    return outer if request.filter is None else dialect.all_of([outer, translate(dialect, request.filter)])


def translate(dialect: Dialect[Filter], condition: Condition) -> Filter:
    """A validated filter tree (`rag_core.documents.validate`) in the engine's classes."""
    match condition:
        case In(field, values):
            return dialect.any_of(_path(field), _some(values))
        case TimeRange(field, gte, lt):
            return dialect.time_range(_path(field), gte, lt)
        case NumberRange(field):
            return dialect.number_range(_path(_number_field(field)), _bounds(condition))
        case Exists(field):
            # Unknown languages, titles and so on are stored as empty text.
            return dialect.none_of([dialect.absent(_path(field)), dialect.any_of(_path(field), [""])])
        case Not(child):
            return dialect.none_of([translate(dialect, child)])
        case All(children):
            return dialect.all_of([translate(dialect, child) for child in _some(children)])
        case AnyOf(children):
            return dialect.any_filter([translate(dialect, child) for child in _some(children)])


def _number_field(field: str) -> str:
    # Metadata is text; `payloads.to_json` keeps those values that are numbers a second time, as numbers.
    return f"{NUMBERS}.{field.removeprefix(METADATA_PREFIX)}"


def _bounds(condition: NumberRange) -> Bounds:
    named = {"gte": condition.gte, "gt": condition.gt, "lte": condition.lte, "lt": condition.lt}
    given = {name: bound for name, bound in named.items() if bound is not None}
    if not given:  # to an engine a range without bounds is no condition at all
        raise InvalidInput(Reason.FILTER_TYPE, "filter: a range needs a bound")
    return given


def _some(values: tuple[Item, ...]) -> tuple[Item, ...]:
    # To an engine an empty group is no condition at all, so it would widen the search.
    if not values:
        raise InvalidInput(Reason.FILTER_TYPE, "filter: a group and a field need at least one value")
    return values


def _path(field: str) -> str:
    """The field as an engine's JSON path; a metadata name with a dot or a space needs quotes."""
    if _PLAIN_PATH.fullmatch(field):
        return field
    root, _, name = field.partition(".")
    if '"' in name or "\\" in name:
        raise InvalidInput(Reason.FILTER_FIELD_UNKNOWN, f"filter: unknown field {field[:64]!r}")
    return f'{root}."{name}"'
