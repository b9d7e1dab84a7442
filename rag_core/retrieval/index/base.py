"""The vector index interface, and its values.

Implementations in this folder: `edge` (Qdrant Edge in process), `qdrant` (a Qdrant server, or qdrant-client's local
mode in tests), `remote` (another process that owns an Edge folder, over `admin.v1.IndexService`). All pass the same
contract tests and use the same lexical encoder (`rag_core.retrieval.search.lexical`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from rag_core.content.documents import Condition
from rag_core.content.parsing import Block, Link

if TYPE_CHECKING:  # numpy, which most readers of these values do without
    from rag_core.content.embedding import Vectors


class SearchMode(StrEnum):
    """The legs that a search uses."""

    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


@dataclass(frozen=True, slots=True)
class GenerationSpec:
    """The specification of a generation. `name` is also the collection's name: `[a-z0-9_-]{1,64}`."""

    name: str
    dimensions: int
    embedder: str
    chunker: str


@dataclass(frozen=True, slots=True)
class Payload:
    """The stored fields of a point; sufficient to answer without reading PostgreSQL."""

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
    blocks: tuple[Block, ...] = ()
    """The structure of the text, in the document's offsets; empty in a generation from before it was kept."""
    page: int = 0
    """Page of the first block, from 1; 0 where the format has none."""
    links: tuple[Link, ...] = ()
    """The links of the text, in the document's offsets."""


@dataclass(frozen=True, slots=True)
class IndexPoint:
    """One chunk in the index. `vector` has shape [dimensions]."""

    chunk_id: uuid.UUID
    vector: Vectors
    payload: Payload
    lexical_text: str = ""
    """The text for the lexical leg (`Chunk.embed_text`). Not stored, so it is empty on points read back."""


@dataclass(frozen=True, slots=True)
class DocumentUpdate:
    """The complete new state of one document. Without points the document is removed."""

    doc_id: uuid.UUID
    version: int
    points: tuple[IndexPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """Counts of one `apply`: points written, points removed, updates ignored as older than the indexed version."""

    upserted: int = 0
    removed: int = 0
    stale: int = 0


@dataclass(frozen=True, slots=True)
class PendingRevocations:
    """Documents and sources that a caller may no longer see, by changes not yet applied to the index."""

    doc_ids: tuple[uuid.UUID, ...] = ()
    sources: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.doc_ids or self.sources)


NO_PENDING_REVOCATIONS = PendingRevocations()


@dataclass(frozen=True, slots=True)
class LegWeights:
    """The weights of the two legs of a hybrid search. Only their proportion counts."""

    dense: float
    lexical: float


@dataclass(frozen=True, slots=True)
class ScoreExplanation:
    """Explanation of the score and the rank of a hit. Ranks begin at 1.

    A rank in a leg is `None` when the leg did not return the chunk. `dense` and `lexical` are what the legs add to the
    fused score, and `weights` add up to 1; a search by one leg has none.
    """

    rank: int
    dense_rank: int | None = None
    lexical_rank: int | None = None
    dense: float = 0.0
    lexical: float = 0.0
    weights: LegWeights | None = None
    curated: float = 0.0
    """Added because an editor boosted the document."""
    freshness: float = 0.0
    """Added or taken for its age."""
    dated_at: datetime | None = None
    """The document's own date, where its age counts."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search request. `tenant` and `acl` come from the verified caller and are the outermost filter of every leg.

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
    """A generation's name; `None` means the alias."""
    per_document: int | None = None
    """Maximum hits per document."""
    with_vectors: bool = False
    """True when hits carry their vectors."""
    weights: LegWeights | None = None
    """Weights of a hybrid search; `None` lets the hits of the query decide."""
    explain: bool = False
    """True when hits carry the explanation of their score and rank."""
    pending_revocations: PendingRevocations = NO_PENDING_REVOCATIONS
    """Excluded from every leg and from the term statistics, like documents the caller may not see."""
    deadline: float | None = field(default=None, compare=False)
    """The caller's deadline by `time.monotonic`, at which a Qdrant server ends the search. Not sent to other processes,
    which get the deadline of their call."""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A retrieved chunk. `score` is the fused score in [0, 1] in hybrid mode, else the leg's own score.

    `dense` is the cosine similarity and `lexical` the BM25 score, each `None` when that leg did not return the chunk.
    """

    chunk_id: uuid.UUID
    score: float
    payload: Payload
    dense: float | None = None
    lexical: float | None = None
    reranked: float | None = None
    """The score of a cross-encoder in [0, 1], if one has scored the hit."""
    preferred: float | None = None
    """The score with what the hit is preferred by, if anything was preferred."""
    vector: Vectors | None = field(default=None, compare=False, repr=False)
    """The vector, shape [dimensions], if requested."""
    explanation: ScoreExplanation | None = field(default=None, compare=False)
    """If requested."""

    @property
    def relevance(self) -> float:
        """The score that the order follows."""
        return self.relevance_alone if self.preferred is None else self.preferred

    @property
    def relevance_alone(self) -> float:
        """The score without what the hit is preferred by."""
        return self.score if self.reranked is None else self.reranked


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits by descending score, with one version per document, and the generation that answered."""

    generation: str
    hits: tuple[SearchHit, ...]


@dataclass(frozen=True, slots=True)
class SelfRetrieval:
    """Points that were searched by their own vector, as a reader of theirs; a point that nobody may read is not.

    `missed` are those that the search graph does not find and exact search does, `lost` those that neither finds.
    """

    searched: int = 0
    missed: tuple[uuid.UUID, ...] = ()
    lost: tuple[uuid.UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkRange:
    """Chunks `first` to `last`, both included, of one version of a document."""

    doc_id: uuid.UUID
    version: int
    first: int
    last: int


class VectorIndex(Protocol):
    """A set of generations with one alias. Thread-safe. Every write is durable when its call returns.

    All calls raise `Unavailable` (`INDEX_UNAVAILABLE`) when the engine cannot be reached and `NotFound`
    (`GENERATION_NOT_FOUND`) for an unknown generation.
    """

    def create(self, spec: GenerationSpec) -> None:
        """Create an empty generation with its payload indexes (tenant first); a no-op when it exists with this spec.

        Raises `Conflict` (`GENERATION_STATE`) when it exists with another spec.
        """
        ...

    def drop(self, generation: str) -> None:
        """Delete a generation; a no-op when it is missing. Raises `Conflict` when the alias points to it."""
        ...

    def reset(self, generation: str) -> None:
        """Delete all points of a generation, readable or damaged; keep its specification and the alias.

        The remedy for `INDEX_CORRUPT`: the pipeline fills the generation again from PostgreSQL once its marks are
        cleared (`rag_core.ingestion.verify.rebuild` does both).
        """
        ...

    def generations(self) -> list[GenerationSpec]: ...

    def alias(self) -> str | None:
        """The generation that the alias points to; `None` before the first promotion."""
        ...

    def promote(self, generation: str) -> None:
        """Point the alias to a generation, atomically."""
        ...

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        """Apply document updates: write new points, then remove the documents' other points by id, then flush.

        An update with a lower version than the indexed one is ignored and counted. Raises `InvalidInput` (`VECTOR_DIM`,
        `VECTOR_NOT_FINITE`, `VECTOR_ZERO`) before anything is written.
        """
        ...

    def search(self, request: SearchRequest) -> SearchResult:
        """Search. Raises `Unavailable` (`INDEX_EMPTY`) before the first promotion."""
        ...

    def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        """The points at the given places that the caller may see, without vectors, in no particular order.

        Only tenant, ACL, pending revocations, generation and deadline of the request count; no ranking takes place.
        """
        ...

    def count(self, generation: str, *, tenant: str | None = None, source: str | None = None) -> int:
        """Count points exactly, overall, of one tenant or of one of its sources."""
        ...

    def differences(self, generation: str) -> list[str]:
        """Repair a generation's configuration and return the remaining differences; for `rag verify`."""
        ...

    def scroll(self, generation: str, *, batch: int = 1000, with_vectors: bool = True) -> Iterator[list[IndexPoint]]:
        """Every point, in batches, ordered by id. Without vectors `IndexPoint.vector` has shape [0]."""
        ...

    def fetch(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> list[IndexPoint]:
        """The existing points among these ids, without vectors, in any order."""
        ...

    def self_retrieval(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> SelfRetrieval:
        """Search for each of these points by its stored vector. A point that does not exist is lost."""
        ...

    def delete_points(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> int:
        """Delete points by id, for repair and erasure. Returns the number that existed."""
        ...

    def optimize(self, generation: str) -> None:
        """Merge segments and build search graphs. Blocking and expensive: never call it in a request."""
        ...

    def close(self) -> None: ...
