"""Convert between `admin.v1.IndexService` messages and the values of the index interface.

Used by `remote` (client) and by the query server's servicer. Raises `InvalidInput` (`MESSAGE_INVALID`) for messages
without a valid value, so that a servicer needs no checks of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

import numpy as np

from rag_core.content.embedding import Vectors
from rag_core.errors import Exhausted, InvalidInput, Reason
from rag_core.retrieval.engines.remote.wire_filters import filter_from_wire, filter_to_wire
from rag_core.retrieval.engines.remote.wire_payloads import (
    ReceivedPayload,
    id_from_wire,
    payload_from_wire,
    payload_to_wire,
    structure_from_wire,
)
from rag_core.retrieval.index import (
    ChunkRange,
    DocumentUpdate,
    GenerationSpec,
    IndexPoint,
    LegWeights,
    PendingRevocations,
    ScoreExplanation,
    SearchHit,
    SearchMode,
    SearchRequest,
    SearchResult,
    SelfRetrieval,
)
from ragproto.admin.v1 import index_pb2 as pb

SECRET_KEY = "x-rag-index-secret"  # noqa: S105 (a name, not a secret)
"""Metadata key of the local secret."""
MAX_APPLY_BYTES = 256 << 20
"""Maximum size of all messages of one write: room for a document of 20 000 chunks."""
MAX_SCROLL_BATCH = 500
"""Points per scroll message; with vectors of 1024 dimensions it stays below 4 MiB."""
_FRAME_BYTES = 1 << 20
_FLOAT = np.dtype("<f4")


def spec_to_wire(spec: GenerationSpec) -> pb.GenerationSpec:
    """Convert a specification to its message."""
    return pb.GenerationSpec(name=spec.name, dimensions=spec.dimensions, embedder=spec.embedder, chunker=spec.chunker)


def spec_from_wire(message: pb.GenerationSpec) -> GenerationSpec:
    """Convert a message to a specification."""
    return GenerationSpec(message.name, message.dimensions, message.embedder, message.chunker)


def point_to_wire(point: IndexPoint) -> pb.Point:
    """Convert a point to its message."""
    return pb.Point(
        chunk_id=point.chunk_id.bytes,
        vector=vector_to_wire(point.vector),
        payload=payload_to_wire(point.payload),
        lexical_text=point.lexical_text,
    )


def point_from_wire(message: pb.Point) -> IndexPoint:
    """Convert a message to a point."""
    return IndexPoint(
        chunk_id=id_from_wire(message.chunk_id),
        vector=vector_from_wire(message.vector),
        payload=payload_from_wire(message.payload, structure_from_wire(message.payload)),
        lexical_text=message.lexical_text,
    )


def vector_to_wire(vector: Vectors) -> bytes:
    """Encode a vector as little-endian float32 bytes."""
    return vector.astype(_FLOAT, copy=False).tobytes()


def vector_from_wire(data: bytes) -> Vectors:
    """Decode a vector of any length; the index checks its dimensions."""
    if len(data) % _FLOAT.itemsize:
        raise InvalidInput(Reason.MESSAGE_INVALID, "vector: is not a sequence of float32")
    return np.frombuffer(data, dtype=_FLOAT).astype(np.float32, copy=False)


def search_to_wire(request: SearchRequest) -> pb.SearchIndexRequest:
    """Convert a search request to its message."""
    return pb.SearchIndexRequest(
        tenant=request.tenant,
        acl=request.acl,
        limit=request.limit,
        mode=request.mode,
        text=request.text,
        vector=b"" if request.vector is None else vector_to_wire(request.vector),
        generation=request.generation or "",
        per_document=request.per_document or 0,
        with_vectors=request.with_vectors,
        withheld_documents=[doc_id.bytes for doc_id in request.pending_revocations.doc_ids],
        withheld_sources=request.pending_revocations.sources,
        weights=_weights_to_wire(request.weights),
        explain=request.explain,
        where=None if request.filter is None else filter_to_wire(request.filter),
    )


def search_from_wire(message: pb.SearchIndexRequest) -> SearchRequest:
    """Convert a message to a search request. The index checks tenant and limits."""
    if message.mode not in list(SearchMode):
        raise InvalidInput(Reason.MESSAGE_INVALID, "mode: must be hybrid, dense or lexical")
    if message.HasField("filter"):  # a filter that is ignored returns more than was asked for
        raise InvalidInput(Reason.MESSAGE_INVALID, "filter: is replaced; send the condition as where")
    return SearchRequest(
        tenant=message.tenant,
        acl=tuple(message.acl),
        limit=message.limit,
        mode=SearchMode(message.mode),
        text=message.text,
        vector=vector_from_wire(message.vector) if message.vector else None,
        filter=filter_from_wire(message.where) if message.HasField("where") else None,
        generation=message.generation or None,
        per_document=message.per_document or None,
        with_vectors=message.with_vectors,
        pending_revocations=PendingRevocations(
            tuple(map(id_from_wire, message.withheld_documents)), tuple(message.withheld_sources)
        ),
        weights=_weights_from_wire(message.weights) if message.HasField("weights") else None,
        explain=message.explain,
    )


def _weights_to_wire(weights: LegWeights | None) -> pb.LegWeights | None:
    return None if weights is None else pb.LegWeights(dense=weights.dense, lexical=weights.lexical)


def _weights_from_wire(message: pb.LegWeights) -> LegWeights:
    return LegWeights(message.dense, message.lexical)


def around_to_wire(request: SearchRequest, places: Sequence[ChunkRange]) -> pb.AroundPointsRequest:
    """The places and the scope they are read in, as a message."""
    return pb.AroundPointsRequest(
        scope=search_to_wire(request),
        places=[
            pb.AroundPointsRequest.Place(
                doc_id=place.doc_id.bytes, version=place.version, first=place.first, last=place.last
            )
            for place in places
        ],
    )


def around_from_wire(message: pb.AroundPointsRequest) -> tuple[SearchRequest, list[ChunkRange]]:
    """Scope and places from their message."""
    places = [ChunkRange(id_from_wire(one.doc_id), one.version, one.first, one.last) for one in message.places]
    return search_from_wire(message.scope), places


def result_to_wire(result: SearchResult) -> pb.SearchIndexResponse:
    """Convert hits to their message."""
    hits = [
        pb.SearchIndexResponse.Hit(
            point=pb.Point(
                chunk_id=hit.chunk_id.bytes,
                payload=payload_to_wire(hit.payload),
                vector=b"" if hit.vector is None else vector_to_wire(hit.vector),
            ),
            score=hit.score,
            dense=hit.dense,
            lexical=hit.lexical,
            explanation=None if hit.explanation is None else _explanation_to_wire(hit.explanation),
        )
        for hit in result.hits
    ]
    return pb.SearchIndexResponse(generation=result.generation, hits=hits)


def _explanation_to_wire(one: ScoreExplanation) -> pb.SearchIndexResponse.ScoreExplanation:
    return pb.SearchIndexResponse.ScoreExplanation(
        rank=one.rank,
        dense_rank=one.dense_rank,
        lexical_rank=one.lexical_rank,
        dense=one.dense,
        lexical=one.lexical,
        weights=_weights_to_wire(one.weights),
    )


def _explanation_from_wire(message: pb.SearchIndexResponse.ScoreExplanation) -> ScoreExplanation:
    return ScoreExplanation(
        rank=message.rank,
        dense_rank=message.dense_rank if message.HasField("dense_rank") else None,
        lexical_rank=message.lexical_rank if message.HasField("lexical_rank") else None,
        dense=message.dense,
        lexical=message.lexical,
        weights=_weights_from_wire(message.weights) if message.HasField("weights") else None,
    )


def result_from_wire(message: pb.SearchIndexResponse) -> SearchResult:
    """Convert a message to hits."""
    hits = (
        SearchHit(
            chunk_id=id_from_wire(hit.point.chunk_id),
            score=hit.score,
            payload=ReceivedPayload.of(hit.point.payload),
            dense=hit.dense if hit.HasField("dense") else None,
            lexical=hit.lexical if hit.HasField("lexical") else None,
            vector=vector_from_wire(hit.point.vector) if hit.point.vector else None,
            explanation=_explanation_from_wire(hit.explanation) if hit.HasField("explanation") else None,
        )
        for hit in message.hits
    )
    return SearchResult(message.generation, tuple(hits))


def self_retrieval_to_wire(found: SelfRetrieval) -> pb.SelfRetrievalResponse:
    """Convert the outcome of searches by own vectors to its message."""
    missed, lost = ([one.bytes for one in ids] for ids in (found.missed, found.lost))
    return pb.SelfRetrievalResponse(searched=found.searched, missed=missed, lost=lost)


def self_retrieval_from_wire(messages: Sequence[pb.SelfRetrievalResponse]) -> SelfRetrieval:
    """The sum of several messages."""
    return SelfRetrieval(
        sum(one.searched for one in messages),
        tuple(id_from_wire(data) for one in messages for data in one.missed),
        tuple(id_from_wire(data) for one in messages for data in one.lost),
    )


def apply_frames(generation: str, updates: Sequence[DocumentUpdate]) -> Iterator[pb.ApplyRequest]:
    """The messages of one write, each of about `_FRAME_BYTES`; a large document spans several messages.

    `updates` must name each document once, because the receiver joins adjacent parts of the same document.
    """
    frame, size = pb.ApplyRequest(generation=generation), 0
    for update in updates:
        part = frame.updates.add(doc_id=update.doc_id.bytes, version=update.version)
        for point in update.points:
            message = point_to_wire(point)
            if size and size + message.ByteSize() > _FRAME_BYTES:
                yield frame
                frame, size = pb.ApplyRequest(generation=generation), 0
                part = frame.updates.add(doc_id=update.doc_id.bytes, version=update.version)
            part.points.append(message)
            size += message.ByteSize()
    yield frame


class ApplyAssembler:
    """Joins the messages of one write. Documents are applied whole, so nothing is applied before the last message."""

    def __init__(self, max_bytes: int = MAX_APPLY_BYTES) -> None:
        self._room = max_bytes
        self._generation: str | None = None
        self._points: dict[tuple[uuid.UUID, int], list[IndexPoint]] = {}

    def add(self, frame: pb.ApplyRequest) -> None:
        """Add the next message. Raises `Exhausted` (`STREAM_LIMIT`) beyond the limit, `InvalidInput` if invalid."""
        self._room -= frame.ByteSize()
        if self._room < 0:
            raise Exhausted(Reason.STREAM_LIMIT, "apply: the write is too large; send fewer documents in one")
        if self._generation not in {None, frame.generation}:
            raise InvalidInput(Reason.MESSAGE_INVALID, "apply: one write goes to one generation")
        self._generation = frame.generation
        for update in frame.updates:
            points = self._points.setdefault((id_from_wire(update.doc_id), update.version), [])
            points.extend(map(point_from_wire, update.points))

    def finish(self) -> tuple[str, list[DocumentUpdate]]:
        """The generation and the updates. Raises `InvalidInput` when there was no message."""
        if self._generation is None:
            raise InvalidInput(Reason.MESSAGE_INVALID, "apply: the stream was empty")
        updates = [DocumentUpdate(doc_id, version, tuple(points)) for (doc_id, version), points in self._points.items()]
        return self._generation, updates
