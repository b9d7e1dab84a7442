"""Trace why the scope of a search contains a document or not, by the same definition that engines filter by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag_core.retrieval.index.filter_builder import Visibility, scope


@dataclass(frozen=True, slots=True)
class ScopeCheck:
    """A condition of a scope on one field, and which of its values the document has. `excludes`: one is too many."""

    field: str
    matched: tuple[str, ...]
    excludes: bool = False

    @property
    def passed(self) -> bool:
        return bool(self.matched) != self.excludes


@dataclass(frozen=True, slots=True)
class ScopeTrace:
    """A `ScopeBuilder` whose filters are the checks that a document with these `fields` meets or fails.

    It flattens groups: a scope is a conjunction of conditions and of exclusions.
    """

    fields: Mapping[str, Sequence[str]]

    def any_of(self, field: str, values: Sequence[str]) -> tuple[ScopeCheck, ...]:
        has = set(self.fields.get(field, ()))
        return (ScopeCheck(field, tuple(value for value in values if value in has)),)

    def all_of(self, filters: Sequence[tuple[ScopeCheck, ...]]) -> tuple[ScopeCheck, ...]:
        return tuple(check for one in filters for check in one)

    def none_of(self, filters: Sequence[tuple[ScopeCheck, ...]]) -> tuple[ScopeCheck, ...]:
        return tuple(replace(check, excludes=not check.excludes) for check in self.all_of(filters))


def trace_scope(seen: Visibility, fields: Mapping[str, Sequence[str]]) -> tuple[ScopeCheck, ...]:
    """Return the checks of a scope on a document, given as the fields of its points in the index."""
    return scope(ScopeTrace(fields), seen)
