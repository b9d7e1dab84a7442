"""The vector index interface.

Implementations in this folder: `edge` (Qdrant Edge in process), `qdrant` (a Qdrant server, or qdrant-client's local
mode in tests), `remote` (another process that owns an Edge folder, over `admin.v1.IndexService`). All pass the same
contract tests. Every implementation uses the one lexical encoder in `lexical`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from rag_core.documents import Condition
from rag_core.embedding import Vectors


class SearchMode(StrEnum):
    """Which legs a search uses."""

    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


@dataclass(frozen=True, slots=True)
class GenerationSpec:
    """What a generation is built with. `name` is the collection's name: `[a-z0-9_-]{1,64}`."""

    name: str
    dimensions: int
    embedder: str
    chunker: str


@dataclass(frozen=True, slots=True)
class Payload:
    """What the index stores beside the vectors; enough to answer without touching PostgreSQL."""

    tenant: str
    source: str
    doc_id: uuid.UUID
    version: int
    locator: str
    title: str
    acl: tuple[str, ...]
    ordinal: int
    start: int
    end: int
    text: str
    headings: tuple[str, ...]
    language: str
    media_type: str
    updated_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    page: int = 0
    """Page, slide or sheet on which the chunk begins, from 1; 0 where the format has none."""


@dataclass(frozen=True, slots=True)
class Point:
    """One chunk as the index holds it. `vector` has shape [dimensions]."""

    chunk_id: uuid.UUID
    vector: Vectors
    payload: Payload
    lexical_text: str = ""
    """What the lexical leg sees (`Chunk.embed_text`). Not stored, so empty on points that were read back."""


@dataclass(frozen=True, slots=True)
class DocumentUpdate:
    """The complete new state of one document. No points means: remove the document."""

    doc_id: uuid.UUID
    version: int
    points: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """Counts of one `apply`: points written, points removed, updates ignored as older than what the index holds."""

    upserted: int = 0
    removed: int = 0
    stale: int = 0


@dataclass(frozen=True, slots=True)
class PendingRevocations:
    """Documents and sources a caller may no longer see: permissions and deletions not yet applied to the index."""

    doc_ids: tuple[uuid.UUID, ...] = ()
    sources: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.doc_ids or self.sources)


NO_PENDING_REVOCATIONS = PendingRevocations()


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One retrieval. `tenant` and `acl` come from the verified caller and are applied outermost on every leg.

    `vector` is required unless the mode is lexical, `text` unless it is dense.
    """

    tenant: str
    acl: tuple[str, ...]
    limit: int
    mode: SearchMode = SearchMode.HYBRID
    text: str = ""
    vector: Vectors | None = None
    filter: Condition | None = None
    generation: str | None = None
    """A generation's name; `None` follows the alias."""
    per_document: int | None = None
    """Hits of one document at most."""
    with_vectors: bool = False
    """Whether hits carry their vectors."""
    pending_revocations: PendingRevocations = NO_PENDING_REVOCATIONS
    """Left out on every leg, and of the term statistics, like what the caller was never allowed to see."""
    deadline: float | None = field(default=None, compare=False)
    """When the caller goes, by `time.monotonic`: a Qdrant server then gives the search up. Not sent to other processes,
    which have the deadline of their call."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved chunk. `score` is the fused score in [0, 1] for hybrid, the leg's own score otherwise.

    `dense` is the cosine similarity and `lexical` the BM25 score, each `None` when that leg did not return the chunk.
    """

    chunk_id: uuid.UUID
    score: float
    payload: Payload
    dense: float | None = None
    lexical: float | None = None
    reranked: float | None = None
    """Score in [0, 1] of a cross-encoder, when one has scored it."""
    vector: Vectors | None = field(default=None, compare=False, repr=False)
    """Shape [dimensions], when it was asked for."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits in descending score, never two versions of one document, and the generation that answered."""

    generation: str
    hits: tuple[Hit, ...]


class VectorIndex(Protocol):
    """A set of generations with one alias. Thread-safe. Every write is durable when its call returns.

    All calls raise `Unavailable` (`INDEX_UNAVAILABLE`) when the engine cannot be reached and `NotFound`
    (`GENERATION_NOT_FOUND`) for an unknown generation.
    """

    def create(self, spec: GenerationSpec) -> None:
        """Create an empty generation with its payload indexes (tenant first); no-op when it exists with this spec.

        Raises `Conflict` (`GENERATION_STATE`) when it exists with another one.
        """
        ...

    def drop(self, generation: str) -> None:
        """Delete a generation; no-op when absent. Raises `Conflict` when the alias points to it."""
        ...

    def reset(self, generation: str) -> None:
        """Throw away all points of a generation, readable or damaged, and keep its specification and the alias.

        The way back from `INDEX_CORRUPT`: the pipeline fills the generation again from PostgreSQL once its marks are
        gone (`rag_core.verify.rebuild` does both).
        """
        ...

    def generations(self) -> list[GenerationSpec]: ...

    def alias(self) -> str | None:
        """The generation that readers see, `None` before the first promotion."""
        ...

    def promote(self, generation: str) -> None:
        """Move the alias atomically."""
        ...

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        """Bring documents to the given state: new points first, then removal of their other points by id, then flush.

        An update with a lower version than the index holds for that document is ignored and counted. Raises
        `InvalidInput` (`VECTOR_DIM`, `VECTOR_NOT_FINITE`, `VECTOR_ZERO`) before anything is written.
        """
        ...

    def search(self, request: SearchRequest) -> SearchResult:
        """Raises `Unavailable` (`INDEX_EMPTY`) when no generation was ever promoted."""
        ...

    def count(self, generation: str, *, tenant: str | None = None, source: str | None = None) -> int:
        """Exact number of points, of one tenant or one source of it."""
        ...

    def differences(self, generation: str) -> list[str]:
        """What of a generation's configuration is not as it must be, after repairing what can be; for `rag verify`."""
        ...

    def scroll(self, generation: str, *, batch: int = 1000, with_vectors: bool = True) -> Iterator[list[Point]]:
        """Every point, in batches, in id order. Without vectors `Point.vector` has shape [0]."""
        ...

    def fetch(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> list[Point]:
        """The points with these ids that exist, without vectors, in no particular order."""
        ...

    def delete_points(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> int:
        """Remove single points (repair and erasure). Returns how many existed."""
        ...

    def optimize(self, generation: str) -> None:
        """Merge segments and build the search structures. Blocking and heavy: never call it in a request."""
        ...

    def close(self) -> None: ...
