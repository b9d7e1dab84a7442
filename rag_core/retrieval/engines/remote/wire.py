"""Convert between `admin.v1.IndexService` messages and the values of the index interface.

Used by `remote` (client) and by the query server's servicer. Raises `InvalidInput` (`MESSAGE_INVALID`) for messages
without a valid value, so that a servicer needs no checks of its own.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from rag_core.content.embedding import Vectors
from rag_core.content.parsing import Block
from rag_core.errors import Exhausted, InvalidInput, Reason
from rag_core.retrieval.engines.remote.wire_filters import filter_from_wire, filter_to_wire
from rag_core.retrieval.index import (
    DocumentUpdate,
    GenerationSpec,
    IndexPoint,
    LegWeights,
    Payload,
    PendingRevocations,
    Place,
    ScoreExplanation,
    SearchHit,
    SearchMode,
    SearchRequest,
    SearchResult,
    structure_from_json,
    structure_to_json,
)
from ragproto.admin.v1 import index_pb2 as pb

SECRET_KEY = "x-rag-index-secret"  # noqa: S105 (a name, not a secret)
"""Metadata key of the local secret."""
MAX_APPLY_BYTES = 256 << 20
"""Maximum size of all messages of one write: room for a document of 20 000 chunks."""
MAX_SCROLL_BATCH = 500
"""Points per scroll message; with vectors of 1024 dimensions it stays below 4 MiB."""
_FRAME_BYTES = 1 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
        payload=_payload_to_wire(point.payload),
        lexical_text=point.lexical_text,
    )


def point_from_wire(message: pb.Point) -> IndexPoint:
    """Convert a message to a point."""
    return IndexPoint(
        chunk_id=id_from_wire(message.chunk_id),
        vector=vector_from_wire(message.vector),
        payload=_payload_from_wire(message.payload),
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


def id_from_wire(data: bytes) -> uuid.UUID:
    """Decode an id from its 16 bytes."""
    if len(data) != 16:
        raise InvalidInput(Reason.MESSAGE_INVALID, "id: must have 16 bytes")
    return uuid.UUID(bytes=data)


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


def around_to_wire(request: SearchRequest, places: Sequence[Place]) -> pb.AroundPointsRequest:
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


def around_from_wire(message: pb.AroundPointsRequest) -> tuple[SearchRequest, list[Place]]:
    """Scope and places from their message."""
    places = [Place(id_from_wire(one.doc_id), one.version, one.first, one.last) for one in message.places]
    return search_from_wire(message.scope), places


def result_to_wire(result: SearchResult) -> pb.SearchIndexResponse:
    """Convert hits to their message."""
    hits = [
        pb.SearchIndexResponse.Hit(
            point=pb.Point(
                chunk_id=hit.chunk_id.bytes,
                payload=_payload_to_wire(hit.payload),
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


class ReceivedPayload(Payload):
    """The payload of a hit, read from its message when a field is first asked for: of most hits nobody asks.

    What only passes the hit on reads `message`, whose fields have the same names.
    """

    __slots__ = ("message",)
    message: pb.Payload

    @classmethod
    def of(cls, message: pb.Payload) -> Self:
        """Of a message that is not changed any more."""
        received = object.__new__(cls)
        object.__setattr__(received, "message", message)
        return received

    def __getattr__(self, name: str) -> object:  # asked only for what is not there yet
        if name in _SENT_AS_THEY_ARE:
            return getattr(self.message, name)
        if name not in _FIELDS:
            raise AttributeError(name)
        read = _payload_from_wire(self.message)
        for field in _FIELDS:
            object.__setattr__(self, field, getattr(read, field))
        return getattr(read, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Payload) and all(getattr(self, one) == getattr(other, one) for one in _FIELDS)

    __hash__ = Payload.__hash__


_FIELDS = frozenset(field.name for field in fields(Payload))
_SENT_AS_THEY_ARE = frozenset({"source", "text"})
"""Fields that are read of every hit of some searches: to count the sources, to mark words."""


def _payload_to_wire(payload: Payload) -> pb.Payload:
    return pb.Payload(
        tenant=payload.tenant,
        source=payload.source,
        doc_id=payload.doc_id.bytes,
        version=payload.version,
        locator=payload.locator,
        title=payload.title,
        acl=payload.acl,
        ordinal=payload.ordinal,
        start=payload.start,
        end=payload.end,
        text=payload.text,
        headings=payload.headings,
        language=payload.language,
        media_type=payload.media_type,
        updated_at=timestamp(payload.updated_at),
        metadata=payload.metadata,
        structure=json.dumps(structure_to_json(payload), separators=(",", ":")) if payload.blocks else "",
    )


def _payload_from_wire(message: pb.Payload) -> Payload:
    blocks = _blocks_from_wire(message)
    return Payload(
        tenant=message.tenant,
        source=message.source,
        doc_id=id_from_wire(message.doc_id),
        version=message.version,
        locator=message.locator,
        title=message.title,
        acl=tuple(message.acl),
        ordinal=message.ordinal,
        start=message.start,
        end=message.end,
        text=message.text,
        headings=tuple(message.headings),
        language=message.language,
        media_type=message.media_type,
        updated_at=_moment(message.updated_at),
        metadata=dict(message.metadata),
        blocks=blocks,
        page=blocks[0].page if blocks else 0,
    )


def _blocks_from_wire(message: pb.Payload) -> tuple[Block, ...]:
    if not message.structure:
        return ()
    try:
        return structure_from_json(json.loads(message.structure), message.start, message.headings)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(Reason.MESSAGE_INVALID, "structure: is not what a payload has") from error


def timestamp(moment: datetime) -> Timestamp:
    """A moment with its time zone as a message. Exact for microseconds, and a fourth of the library's time."""
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def _moment(message: Timestamp) -> datetime:
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
