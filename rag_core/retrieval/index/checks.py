"""Validate writes and searches before they reach an engine. Engines accept NaN silently; it is refused here."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag_core.errors import InvalidInput, PermissionDenied, Reason
from rag_core.retrieval.index.base import (
    ChunkRange,
    DocumentUpdate,
    GenerationSpec,
    LegWeights,
    SearchMode,
    SearchRequest,
)

if TYPE_CHECKING:  # numpy, which most readers of these rows do without
    from rag_core.content.embedding import Vectors

MAX_LIMIT = 1000
"""Maximum hits of one search. The API allows 100; the rest is for evaluation and over-fetching."""
MAX_WEIGHT = 100
_NAME = re.compile(r"[a-z0-9_-]{1,64}")


def check_spec(spec: GenerationSpec) -> None:
    """Raise `InvalidInput` (`FIELD_INVALID`) unless name and dimensions are usable."""
    check_name(spec.name)
    if not 1 <= spec.dimensions <= 65536:
        raise InvalidInput(Reason.FIELD_INVALID, f"generation: dimensions must be 1..65536, not {spec.dimensions}")


def check_name(name: str, field: str = "name") -> None:
    """Raise `InvalidInput` (`FIELD_INVALID`) unless the name is valid for a generation, a folder and a collection."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(Reason.FIELD_INVALID, f"{field}: a generation's is 1 to 64 of a-z, 0-9, _ and -")


def check_updates(updates: Sequence[DocumentUpdate], dimensions: int) -> None:
    """Check every point of a write.

    Raises `InvalidInput`: `VECTOR_DIM`, `VECTOR_NOT_FINITE`, `VECTOR_ZERO`, or `FIELD_INVALID` when a point does not
    belong to its update or has no tenant.
    """
    for update in updates:
        for point in update.points:
            payload = point.payload
            if payload.doc_id != update.doc_id or payload.version != update.version:
                raise InvalidInput(Reason.FIELD_INVALID, f"index: a point of {update.doc_id} is of another version")
            if not payload.tenant:
                raise InvalidInput(Reason.FIELD_INVALID, f"index: a point of {update.doc_id} has no tenant")
            if payload.updated_at.tzinfo is None:
                raise InvalidInput(Reason.FIELD_INVALID, f"index: updated_at of {update.doc_id} has no time zone")
            check_vector(point.vector, dimensions)


def check_vector(vector: Vectors, dimensions: int) -> None:
    """Raise `InvalidInput` unless the vector has the right dimensions, is finite and has a positive norm."""
    if vector.shape != (dimensions,):
        got = vector.shape[0] if vector.ndim == 1 else "x".join(map(str, vector.shape))
        raise InvalidInput(Reason.VECTOR_DIM, f"vector: expected {dimensions} dimensions, got {got}")
    # In float64, because the square of a small float32 underflows and of a large one overflows.
    wide = vector.astype("float64")
    norm = math.sqrt(wide @ wide)
    if not math.isfinite(norm):
        raise InvalidInput(Reason.VECTOR_NOT_FINITE, "vector: has a value that is not finite")
    if norm < 1e-12:
        raise InvalidInput(Reason.VECTOR_ZERO, "vector: is zero")
    if norm > 1e12:
        raise InvalidInput(Reason.VECTOR_NOT_FINITE, "vector: its norm is out of range")


def check_places(request: SearchRequest, places: Sequence[ChunkRange]) -> int:
    """Return the largest number of points at the places, 0 when the caller may see none.

    Raises `PermissionDenied` (`TENANT_MISSING`), or `InvalidInput` (`TOP_K_RANGE`) when they are too many.
    """
    if not request.tenant:
        raise PermissionDenied(Reason.TENANT_MISSING, "a read needs a tenant")
    points = sum(max(0, place.last - max(place.first, 0) + 1) for place in places)
    if points > MAX_LIMIT:
        raise InvalidInput(Reason.TOP_K_RANGE, f"places: {points} chunks are more than {MAX_LIMIT}")
    return points if request.acl else 0


def check_search(request: SearchRequest, dimensions: int) -> None:
    """Raise `PermissionDenied` (`TENANT_MISSING`) or `InvalidInput` unless the search is valid."""
    if not request.tenant:
        raise PermissionDenied(Reason.TENANT_MISSING, "a search needs a tenant")
    if not 1 <= request.limit <= MAX_LIMIT:
        raise InvalidInput(Reason.TOP_K_RANGE, f"limit: {request.limit} is outside 1..{MAX_LIMIT}")
    if request.mode is not SearchMode.LEXICAL:
        if request.vector is None:
            raise InvalidInput(Reason.VECTOR_DIM, f"vector: mode {request.mode} needs one")
        check_vector(request.vector, dimensions)
    if request.mode is not SearchMode.DENSE and not request.text:
        raise InvalidInput(Reason.QUERY_EMPTY, f"text: mode {request.mode} needs one")
    check_weights(request.weights, request.mode)


def check_weights(weights: LegWeights | None, mode: SearchMode) -> None:
    """Raise `InvalidInput` (`FIELD_INVALID`) unless they are of a hybrid search, in range, and not both 0."""
    if weights is None:
        return
    if mode is not SearchMode.HYBRID:
        raise InvalidInput(Reason.FIELD_INVALID, f"weights: a {mode} search has one leg; leave them out")
    for name, value in (("dense", weights.dense), ("lexical", weights.lexical)):
        if not 0 <= value <= MAX_WEIGHT:  # also refuses NaN
            raise InvalidInput(Reason.FIELD_INVALID, f"weights.{name}: {value:g} is not in 0..{MAX_WEIGHT}")
    if not weights.dense + weights.lexical:
        raise InvalidInput(Reason.FIELD_INVALID, "weights: one of them must be above 0")


def latest(updates: Sequence[DocumentUpdate]) -> tuple[dict[uuid.UUID, DocumentUpdate], int]:
    """The update with the highest version of each document (the later of equals), and the number left out."""
    newest: dict[uuid.UUID, DocumentUpdate] = {}
    for update in updates:
        held = newest.get(update.doc_id)
        if held is None or update.version >= held.version:
            newest[update.doc_id] = update
    return newest, len(updates) - len(newest)
