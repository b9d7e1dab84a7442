"""Convert filters, results and errors of Qdrant Edge."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import qdrant_edge as edge

from rag_core.errors import DataCorruption, Exhausted, RagError, Reason
from rag_core.retrieval.index import Bounds, time_text


class EdgeFilterBuilder:
    """See `rag_core.retrieval.index.filter_builder.FilterBuilder`."""

    def any_of(self, field: str, values: Sequence[str]) -> edge.Filter:
        return edge.Filter(must=[edge.FieldCondition(field, match=edge.MatchAny(list(values)))])

    def newer_than(self, field: str, value: int) -> edge.Filter:
        return edge.Filter(must=[edge.FieldCondition(field, range=edge.RangeFloat(gt=value))])

    def time_range(self, field: str, gte: datetime | None, lt: datetime | None) -> edge.Filter:
        bounds = edge.RangeDateTime(
            gte=time_text(gte) if gte is not None else None, lt=time_text(lt) if lt is not None else None
        )
        return edge.Filter(must=[edge.FieldCondition(field, range=bounds)])

    def number_range(self, field: str, bounds: Bounds) -> edge.Filter:
        return edge.Filter(must=[edge.FieldCondition(field, range=edge.RangeFloat(**bounds))])

    def absent(self, field: str) -> edge.Filter:
        return edge.Filter(must=[edge.IsEmptyCondition(field)])

    def all_of(self, filters: Sequence[edge.Filter]) -> edge.Filter:
        return edge.Filter(must=list(filters))

    def any_filter(self, filters: Sequence[edge.Filter]) -> edge.Filter:
        return edge.Filter(should=list(filters))

    def none_of(self, filters: Sequence[edge.Filter]) -> edge.Filter:
        return edge.Filter(must_not=list(filters))


FILTER_BUILDER = EdgeFilterBuilder()


def point_id(point: edge.ScoredPoint | edge.Record) -> uuid.UUID:
    """The id of a point. The platform uses UUIDs; a number is a foreign point, which `rag verify` must report."""
    identity = point.id  # made from the engine's bytes each time
    return identity if isinstance(identity, uuid.UUID) else uuid.UUID(int=int(identity))


@contextmanager
def engine_errors() -> Iterator[None]:
    """Translate engine errors (bare `Exception` and Rust panics, which differ only by text) into `RagError`."""
    try:
        yield
    except RagError:
        raise
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise translated(error) from error


def translated(error: BaseException) -> RagError:
    """The `RagError` for an engine error. The engine's text contains server paths, so it is left out."""
    text = str(error).lower()
    if "no space left" in text or "os error 28" in text or "disk is full" in text:
        return Exhausted(Reason.STORAGE_FULL, "the disk of the index is full; free some space and run again")
    return DataCorruption(Reason.INDEX_CORRUPT, f"the index engine failed on its own data ({type(error).__name__})")


def vectors_of(record: edge.Record) -> dict[str, Any]:
    """The named vectors of a record that was read with vectors."""
    vectors = record.vector  # made from the engine's memory each time
    return vectors if isinstance(vectors, dict) else {}
