"""Messages of query.v2."""

from __future__ import annotations

from query_server.converters.filters import filter_from_message
from query_server.handlers.answer import Event, Failed
from query_server.handlers.validation import Query
from rag_core.answering.base import Abstained, Answered, Citation, Delta
from rag_core.errors import InvalidInput, Reason
from rag_core.index.base import Hit, SearchMode, SearchResult
from ragproto.query.v2 import query_pb2 as pb

_MODES: dict[int, SearchMode] = {
    pb.SEARCH_MODE_UNSPECIFIED: SearchMode.HYBRID,
    pb.SEARCH_MODE_HYBRID: SearchMode.HYBRID,
    pb.SEARCH_MODE_DENSE: SearchMode.DENSE,
    pb.SEARCH_MODE_LEXICAL: SearchMode.LEXICAL,
}


def to_query(request: pb.SearchRequest | pb.AnswerRequest) -> Query:
    """Raises `InvalidInput` for a filter or mode that cannot be read."""
    return Query(
        text=request.query,
        top_k=request.top_k if request.HasField("top_k") else None,
        mode=_mode(request.mode) if isinstance(request, pb.SearchRequest) else SearchMode.HYBRID,
        filter=filter_from_message(request.filter) if request.HasField("filter") else None,
    )


def _mode(value: int) -> SearchMode:
    try:
        return _MODES[value]
    except KeyError:
        raise InvalidInput(Reason.FIELD_INVALID, f"mode: {value} is not a search mode of this server") from None


def from_result(result: SearchResult) -> pb.SearchResponse:
    """The passages and the generation that gave them."""
    return pb.SearchResponse(passages=map(_passage, result.hits), generation=result.generation)


def from_event(event: Event, result: SearchResult) -> pb.AnswerEvent:
    """One event; `result` is what the citations point into."""
    if isinstance(event, Delta):
        return pb.AnswerEvent(delta=pb.AnswerDelta(text=event.text))
    final = pb.AnswerFinal(generation=result.generation)
    match event:
        case Answered(citations):
            final.answered.CopyFrom(pb.AnswerFinal.Answered(citations=[_citation(c, result) for c in citations]))
        case Abstained(reason):
            final.abstained.reason = reason
        case Failed(error):
            final.failed.reason, final.failed.message = error.reason, error.message
    return pb.AnswerEvent(final=final)


def _passage(hit: Hit) -> pb.Passage:
    payload = hit.payload
    passage = pb.Passage(
        chunk_id=str(hit.chunk_id),
        doc_id=str(payload.doc_id),
        version=payload.version,
        source=payload.source,
        locator=payload.locator,
        title=payload.title,
        headings=payload.headings,
        start=payload.start,
        end=payload.end,
        text=payload.text,
        score=hit.score,
        dense_score=hit.dense,
        lexical_score=hit.lexical,
        language=payload.language,
        media_type=payload.media_type,
        metadata=payload.metadata,
    )
    passage.updated_at.FromDatetime(payload.updated_at)
    return passage


def _citation(citation: Citation, result: SearchResult) -> pb.Citation:
    hit = result.hits[citation.rank]
    payload = hit.payload
    return pb.Citation(
        number=citation.number,
        doc_id=str(payload.doc_id),
        version=payload.version,
        chunk_id=str(hit.chunk_id),
        source=payload.source,
        locator=payload.locator,
        title=payload.title,
        start=citation.start,
        end=citation.end,
        quote=citation.quote,
    )
