"""Build engine filters: the caller's typed filter tree inside the security scope.

Edge and qdrant-client have the same filter language in different classes; each has its own `FilterBuilder`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol, TypeVar

from rag_core.content.documents import METADATA_PREFIX, All, AnyOf, Condition, Exists, In, Not, NumberRange, TimeRange
from rag_core.errors import InvalidInput, Reason
from rag_core.governance.access import DENY, denials
from rag_core.retrieval.index.base import ChunkRange, SearchRequest
from rag_core.retrieval.index.payloads import NUMBERS

Filter = TypeVar("Filter")
Item = TypeVar("Item")

Bounds = dict[str, float]
"""The bounds that are set, of gte, gt, lte and lt."""
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?")


class ScopeBuilder(Protocol[Filter]):
    """Builds what `scope` consists of: a filter of an engine, or the trace of one document."""

    def any_of(self, field: str, values: Sequence[str]) -> Filter:
        """Match a field that has one of the values."""
        ...

    def all_of(self, filters: Sequence[Filter]) -> Filter: ...

    def none_of(self, filters: Sequence[Filter]) -> Filter: ...


class FilterBuilder(ScopeBuilder[Filter], Protocol[Filter]):
    """Builds filters for one engine. Each method returns a complete filter; groups nest them."""

    def newer_than(self, field: str, value: int) -> Filter:
        """Match an integer field that is greater."""
        ...

    def time_range(self, field: str, gte: datetime | None, lt: datetime | None) -> Filter: ...

    def number_range(self, field: str, bounds: Bounds) -> Filter: ...

    def absent(self, field: str) -> Filter:
        """Match a field that is missing, null or an empty list."""
        ...

    def any_filter(self, filters: Sequence[Filter]) -> Filter: ...


MAX_REMEMBERED = 64
"""Hidden documents of a caller of whom something is remembered."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """All that decides which points a caller may see, but the points themselves.

    `scope` reads nothing else, so what is remembered of the points of one caller (term statistics) holds for every
    request of an equal visibility, and for no other.
    """

    tenant: str
    acl: frozenset[str]
    hidden_documents: frozenset[uuid.UUID]
    hidden_sources: frozenset[str]

    @property
    def may_be_remembered(self) -> bool:
        """True when it may be used as a key. During a mass deletion thousands of documents are hidden, others every
        moment: it would be of no use to a later request, and takes a megabyte."""
        return len(self.hidden_documents) <= MAX_REMEMBERED

    @classmethod
    def of(cls, request: SearchRequest) -> Visibility:
        revoked = request.pending_revocations
        return cls(request.tenant, frozenset(request.acl), frozenset(revoked.doc_ids), frozenset(revoked.sources))


def scope(builder: ScopeBuilder[Filter], seen: Visibility) -> Filter:
    """The points a caller may see: the tenant's, with at least one of the caller's ACL entries and none that refuses
    the caller, except pending revocations. The one definition: `rag access explain` traces it."""
    refused = {entry for entry in seen.acl if entry.startswith(DENY)}
    allowed = [builder.any_of("tenant", [seen.tenant]), builder.any_of("acl", sorted(seen.acl - refused))]
    hidden = [
        ("acl", sorted(denials(seen.acl))),
        ("doc_id", sorted(map(str, seen.hidden_documents))),
        ("source", sorted(seen.hidden_sources)),
    ]
    if excluded := [builder.any_of(field, values) for field, values in hidden if values]:
        allowed.append(builder.none_of(excluded))
    return builder.all_of(allowed)


_kept_scope = lru_cache(maxsize=256)(scope)
"""The scopes of the last callers: each of their searches has the same."""


def newer_points(builder: FilterBuilder[Filter], doc_id: str, version: int) -> Filter:
    """The points of a document of a higher version."""
    return builder.all_of([builder.any_of("doc_id", [doc_id]), builder.newer_than("version", version)])


def any_newer_points(builder: FilterBuilder[Filter], versions: Mapping[str, int]) -> Filter:
    """The points of any of these documents of a higher version than the given one."""
    return builder.any_filter([newer_points(builder, doc_id, version) for doc_id, version in versions.items()])


def at_places(builder: FilterBuilder[Filter], request: SearchRequest, places: Sequence[ChunkRange]) -> Filter:
    """The points at the places, within what the caller may see."""
    there = [
        builder.all_of(
            [
                builder.any_of("doc_id", [str(place.doc_id)]),
                builder.number_range("version", {"gte": place.version, "lte": place.version}),
                builder.number_range("ordinal", {"gte": place.first, "lte": place.last}),
            ]
        )
        for place in places
    ]
    return builder.all_of([scope(builder, Visibility.of(request)), builder.any_filter(there)])


def within(builder: FilterBuilder[Filter], *, tenant: str | None, source: str | None) -> Filter | None:
    """The points of a tenant, or of one of its sources; `None` for all."""
    named = [builder.any_of(field, [value]) for field, value in (("tenant", tenant), ("source", source)) if value]
    return builder.all_of(named) if named else None


def narrowed(builder: FilterBuilder[Filter], request: SearchRequest) -> Filter:
    """The scope of a search, narrowed by the caller's own filter."""
    seen = Visibility.of(request)
    kept = seen.may_be_remembered
    # Builders are hashable, which their protocol does not say.
    outer: Filter = _kept_scope(builder, seen) if kept else scope(builder, seen)  # type: ignore[arg-type]
    return outer if request.filter is None else builder.all_of([outer, translate(builder, request.filter)])


def translate(builder: FilterBuilder[Filter], condition: Condition) -> Filter:
    """A validated filter tree (`rag_core.content.documents.validate`) in the engine's classes."""
    match condition:
        case In(field, values):
            return builder.any_of(_path(field), _some(values))
        case TimeRange(field, gte, lt):
            return builder.time_range(_path(field), gte, lt)
        case NumberRange(field):
            return builder.number_range(_path(_number_field(field)), _bounds(condition))
        case Exists(field):
            # Unknown languages, titles and similar fields are stored as empty text.
            return builder.none_of([builder.absent(_path(field)), builder.any_of(_path(field), [""])])
        case Not(child):
            return builder.none_of([translate(builder, child)])
        case All(children):
            return builder.all_of([translate(builder, child) for child in _some(children)])
        case AnyOf(children):
            return builder.any_filter([translate(builder, child) for child in _some(children)])


def _number_field(field: str) -> str:
    # Metadata is text; `payloads.to_json` stores values that are numbers a second time, as numbers.
    return f"{NUMBERS}.{field.removeprefix(METADATA_PREFIX)}"


def _bounds(condition: NumberRange) -> Bounds:
    named = {"gte": condition.gte, "gt": condition.gt, "lte": condition.lte, "lt": condition.lt}
    given = {name: bound for name, bound in named.items() if bound is not None}
    if not given:  # engines ignore a range without bounds
        raise InvalidInput(Reason.FILTER_TYPE, "filter: a range needs a bound")
    return given


def _some(values: tuple[Item, ...]) -> tuple[Item, ...]:
    # Engines ignore an empty group, which would widen the search.
    if not values:
        raise InvalidInput(Reason.FILTER_TYPE, "filter: a group and a field need at least one value")
    return values


def _path(field: str) -> str:
    """The field as a JSON path of the engine; a metadata name with a dot or a space needs quotes."""
    if _PLAIN_PATH.fullmatch(field):
        return field
    root, _, name = field.partition(".")
    if '"' in name or "\\" in name:
        raise InvalidInput(Reason.FILTER_FIELD_UNKNOWN, f"filter: unknown field {field[:64]!r}")
    return f'{root}."{name}"'
