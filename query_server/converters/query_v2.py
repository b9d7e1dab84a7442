"""Messages of query.v2."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from query_server.converters.blocks import add_blocks, touched
from query_server.converters.curations import ACTIONS, from_applied
from query_server.handlers.query.answer import Event, Failed, Retrieved
from query_server.handlers.query.curations import AppliedCurations
from query_server.handlers.query.resuming import ResumableDelta
from query_server.handlers.query.search import ResultPage
from query_server.handlers.query.surroundings import ContextSize
from query_server.handlers.query.validation import MAX_TOP_K, Query
from rag_core.answering import (
    Abstained,
    Abstention,
    Answered,
    Citation,
    Excerpt,
    Outcome,
    PageKind,
    StandaloneBy,
    Writing,
    page_kind,
)
from rag_core.content.sources import Recency
from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.retrieval.curation import CurationAction
from rag_core.retrieval.engines.remote import filter_from_wire, filter_to_wire, wire_payloads
from rag_core.retrieval.index import LegWeights, Payload, ScoreExplanation, SearchHit, SearchMode, SearchRequest
from rag_core.retrieval.search import SuggestedFilter
from ragproto.admin.v1 import index_pb2 as index_pb
from ragproto.query.v2 import query_pb2 as pb

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

_MODES: dict[int, SearchMode] = {
    pb.SEARCH_MODE_UNSPECIFIED: SearchMode.HYBRID,
    pb.SEARCH_MODE_HYBRID: SearchMode.HYBRID,
    pb.SEARCH_MODE_DENSE: SearchMode.DENSE,
    pb.SEARCH_MODE_LEXICAL: SearchMode.LEXICAL,
}
_NAMES = {
    SearchMode.HYBRID: pb.SEARCH_MODE_HYBRID,
    SearchMode.DENSE: pb.SEARCH_MODE_DENSE,
    SearchMode.LEXICAL: pb.SEARCH_MODE_LEXICAL,
}
_OUTCOMES = {
    Outcome.ANSWERED: pb.ANSWER_OUTCOME_ANSWERED,
    Outcome.CLOSEST_PASSAGES: pb.ANSWER_OUTCOME_CLOSEST_PASSAGES,
    Outcome.NOT_FOUND: pb.ANSWER_OUTCOME_NOT_FOUND,
}


def to_query(request: pb.SearchRequest | pb.AnswerRequest) -> Query:
    """Raises `InvalidInput` for a filter or mode that cannot be read."""
    query = Query(
        text=request.query,
        top_k=_size(request),
        filter=filter_from_wire(request.filter) if request.HasField("filter") else None,
        max_per_document=request.max_per_document if request.HasField("max_per_document") else None,
        rerank=request.rerank if request.HasField("rerank") else None,
        mode=_mode(request.mode),
        weights=LegWeights(request.weights.dense, request.weights.lexical) if request.HasField("weights") else None,
        generation=request.generation,
        freshness=_freshness(request),
    )
    if isinstance(request, pb.AnswerRequest):
        messages = tuple((message.role, message.text) for message in request.messages)
        return replace(
            query,
            resume_token=request.resume_token,
            messages=messages,
            answerer=request.answerer,
            fallback=not request.no_fallback,
            progress=request.progress,
        )
    return replace(
        query,
        page_token=request.page_token,
        highlight=request.highlight,
        diversity=request.diversity,
        explain=request.explain,
        context=ContextSize(request.context.before, request.context.after, request.context.section),
    )


def to_queries(request: pb.BatchSearchRequest) -> list[Query | InvalidInput]:
    """Each search of a batch, or why it cannot be read."""
    queries: list[Query | InvalidInput] = []
    for search in request.searches:
        try:
            queries.append(to_query(search))
        except InvalidInput as error:
            queries.append(error)
    return queries


def _size(request: pb.SearchRequest | pb.AnswerRequest) -> int | None:
    """`top_k`, which a search also calls `page_size`; `None` for the default."""
    top_k = request.top_k if request.HasField("top_k") else None
    if isinstance(request, pb.AnswerRequest) or not request.HasField("page_size"):
        return top_k
    if not 1 <= request.page_size <= MAX_TOP_K:
        raise InvalidInput(Reason.FIELD_INVALID, f"page_size: must be 1 to {MAX_TOP_K}")
    if top_k not in (None, request.page_size):
        raise InvalidInput(Reason.FIELD_INVALID, "page_size: is the same as top_k; set one of the two")
    return request.page_size


def _freshness(request: pb.SearchRequest | pb.AnswerRequest) -> Recency | None:
    wanted = request.freshness
    return Recency(wanted.half_life_days, wanted.weight) if request.HasField("freshness") else None


def _mode(value: int) -> SearchMode:
    try:
        return _MODES[value]
    except KeyError:
        raise InvalidInput(Reason.FIELD_INVALID, f"mode: {value} is not a search mode of this server") from None


def from_page(page: ResultPage) -> pb.SearchResponse:
    """The passages, their generation, and the token of the next page."""
    response = pb.SearchResponse(
        generation=page.result.generation,
        next_page_token=page.next_page_token,
        rerank_skipped=page.rerank_skipped or "",
    )
    if page.as_of is not None:
        response.as_of.CopyFrom(wire_payloads.timestamp(page.as_of))
    if page.explained is not None:
        response.explanation.CopyFrom(_explanation(page.explained, page.result.hits))
    for hit in page.result.hits:
        _add_passage(response.passages, hit)
    for passage, spans in zip(response.passages, page.marks, strict=False):  # there may be none
        passage.highlights.extend(pb.Passage.Highlight(start=start, end=end) for start, end in spans)
    for passage, around in zip(response.passages, page.surroundings, strict=False):  # there may be none
        passage.context.before, passage.context.after = around.before, around.after
        passage.context.start, passage.context.end = around.start, around.end
    if page.curations.all:
        _add_curations(response, page.curations)
    if page.suggested:
        response.suggested_filters.extend(map(_suggested, page.suggested))
    return response


def _suggested(one: SuggestedFilter) -> pb.SuggestedFilter:
    wire = filter_to_wire(one.condition)
    return pb.SuggestedFilter(filter=wire, words=one.words, field=one.field, value=one.value)


def _add_curations(response: pb.SearchResponse, applied: AppliedCurations) -> None:
    response.curations.extend(map(from_applied, applied.all))
    for action in (CurationAction.BOOST, CurationAction.PIN):
        named = applied.documents(action)
        for passage in response.passages if named else ():
            if passage.doc_id in named:
                passage.curated = ACTIONS[action]


def _explanation(request: SearchRequest, hits: Sequence[SearchHit]) -> pb.SearchExplanation:
    explained = pb.SearchExplanation(
        mode=_NAMES[request.mode],
        weights_given=request.weights is not None,
        reranked=any(hit.reranked is not None for hit in hits),
    )
    first = hits[0].explanation if hits else None
    if first is not None and first.weights is not None:
        explained.weights.CopyFrom(pb.LegWeights(dense=first.weights.dense, lexical=first.weights.lexical))
    elif first is not None and request.mode is SearchMode.HYBRID:  # the text has no words
        explained.mode, explained.weights_given = pb.SEARCH_MODE_DENSE, False
    return explained


def _score_explanation(one: ScoreExplanation) -> pb.Passage.ScoreExplanation:
    return pb.Passage.ScoreExplanation(
        retrieval_rank=one.rank,
        dense_rank=one.dense_rank,
        lexical_rank=one.lexical_rank,
        dense_part=one.dense,
        lexical_part=one.lexical,
        curated_part=one.curated,
        freshness_part=one.freshness,
        dated_at=wire_payloads.timestamp(one.dated_at) if one.dated_at else None,
    )


_PAGES = {
    PageKind.PAGE: pb.PAGE_KIND_PAGE,
    PageKind.SLIDE: pb.PAGE_KIND_SLIDE,
    PageKind.SHEET: pb.PAGE_KIND_SHEET,
}
_PLACES = (
    *("chunk_id", "doc_id", "version", "source", "locator", "start", "end", "page", "score", "dense_score"),
    *("lexical_score", "rerank_score", "retrieval_score", "explanation"),
)
"""Fields of a passage that hold nothing of its document's content."""


def without_text(response: pb.SearchResponse, hidden: Collection[str]) -> pb.SearchResponse:
    """The response with only places and scores of the passages whose ids are hidden."""
    for passage in response.passages:
        if passage.chunk_id in hidden:
            for field, _ in passage.ListFields():
                if field.name not in _PLACES:
                    passage.ClearField(field.name)
    return response


def from_outcomes(outcomes: Iterable[ResultPage | RagError]) -> pb.BatchSearchResponse:
    """The outcomes of a batch in order."""
    return pb.BatchSearchResponse(outcomes=map(_outcome, outcomes))


def _outcome(outcome: ResultPage | RagError) -> pb.BatchSearchResponse.Outcome:
    if isinstance(outcome, RagError):
        error = pb.BatchSearchResponse.Error(reason=outcome.reason, message=outcome.message)
        return pb.BatchSearchResponse.Outcome(error=error)
    return pb.BatchSearchResponse.Outcome(response=from_page(outcome))


def from_event(event: Event, found: Retrieved) -> pb.AnswerEvent:
    """One event; `found` is what the citations point into."""
    if isinstance(event, ResumableDelta):
        return pb.AnswerEvent(delta=pb.AnswerDelta(text=event.text), resume_token=event.resume_token)
    if isinstance(event, Writing):
        return pb.AnswerEvent(writing=_writing(event, found.result.hits))
    result = found.result
    curations = map(from_applied, found.curations.all)
    usage = pb.AnswerFinal.Usage(passages=len(result.hits), milliseconds=found.milliseconds())
    final = pb.AnswerFinal(
        generation=result.generation, usage=usage, rerank_skipped=found.rerank_skipped or "", curations=curations,
        suggested_filters=map(_suggested, found.suggested),
    )  # fmt: skip
    if found.question.by is not StandaloneBy.ASKED:
        final.standalone_question, final.standalone_by = found.question.text, found.question.by
    elif isinstance(event, Answered) and event.continued:
        final.standalone_question, final.standalone_by = found.question.perhaps, StandaloneBy.WORDS
    if found.as_of is not None:
        final.as_of.FromDatetime(found.as_of)
    if not isinstance(event, Failed):
        _set_author(final, event)
    match event:
        case Answered():
            _set_answered(final, event, (*result.hits, *event.evidence))
        case Abstained(reason):
            final.answer_outcome = pb.ANSWER_OUTCOME_NOT_FOUND
            final.abstained.reason = reason
        case Failed(error):
            final.failed.reason, final.failed.message = error.reason, error.message
    return pb.AnswerEvent(final=final)


def _writing(event: Writing, hits: Sequence[SearchHit]) -> pb.AnswerWriting:
    quotes = event.quotes
    if quotes is None:
        return pb.AnswerWriting(model=event.model)
    citations = [_citation(citation, (*hits, *quotes.evidence)) for citation in quotes.citations]
    return pb.AnswerWriting(
        model=event.model,
        outcome=_OUTCOMES[quotes.outcome],
        excerpts=map(_excerpt, quotes.excerpts),
        citations=citations,
    )


def _set_author(final: pb.AnswerFinal, event: Answered | Abstained) -> None:
    by, tokens = event.answered_by, event.tokens
    final.answered_by.answerer, final.answered_by.model = by.answerer, by.model
    final.answered_by.fallback_reason = by.instead_because or ""
    if tokens is None:
        return
    final.usage.prompt_tokens, final.usage.completion_tokens = tokens.prompt, tokens.completion
    if tokens.cost is not None:
        final.usage.cost, final.usage.currency = tokens.cost, tokens.currency


def _set_answered(final: pb.AnswerFinal, event: Answered, passages: Sequence[SearchHit]) -> None:
    """A client that does not know outcomes must not take the closest passages for an answer: to it, we abstained."""
    final.answer_outcome, final.answer_markdown, final.read_as = _OUTCOMES[event.outcome], event.markdown, event.read_as
    final.excerpts.extend(map(_excerpt, event.excerpts))
    citations = [_citation(citation, passages) for citation in event.citations]
    if event.outcome is Outcome.ANSWERED:
        final.answered.CopyFrom(pb.AnswerFinal.Answered(citations=citations))
    else:
        final.abstained.CopyFrom(pb.AnswerFinal.Abstained(reason=Abstention.NOT_SUPPORTED, citations=citations))


def _excerpt(excerpt: Excerpt) -> pb.Excerpt:
    return pb.Excerpt(
        title=excerpt.title,
        locator=excerpt.locator,
        heading_path=excerpt.heading_path,
        page=excerpt.page,
        page_kind=_PAGES[excerpt.page_kind] if excerpt.page else pb.PAGE_KIND_UNSPECIFIED,
        markdown=excerpt.markdown,
        text=excerpt.text,
        citations=excerpt.citations,
        highlights=[pb.Excerpt.Highlight(start=one.start, end=one.end) for one in excerpt.highlights],
        further=excerpt.further,
    )


def _add_passage(passages: RepeatedCompositeFieldContainer[pb.Passage], hit: SearchHit) -> None:
    payload = hit.payload
    held: Payload | index_pb.Payload = payload
    structured = True
    score = hit.preferred if hit.preferred is not None else hit.reranked  # inline: a property is a call for each hit
    if isinstance(payload, wire_payloads.ReceivedPayload):  # copied from message to message: a search has ten of them
        held = payload.message
        structured = bool(held.structure)
    passage = passages.add(
        chunk_id=str(hit.chunk_id),
        doc_id=str(held.doc_id if isinstance(held, Payload) else wire_payloads.id_from_wire(held.doc_id)),
        version=held.version,
        source=held.source,
        locator=held.locator,
        title=held.title,
        headings=held.headings,
        start=held.start,
        end=held.end,
        text=held.text,
        score=hit.score if score is None else score,
        rerank_score=hit.reranked,
        retrieval_score=hit.score,
        dense_score=hit.dense,
        lexical_score=hit.lexical,
        language=held.language,
        media_type=held.media_type,
        updated_at=wire_payloads.timestamp(held.updated_at) if isinstance(held, Payload) else held.updated_at,
        metadata=held.metadata,
        page=payload.page if structured else 0,
        page_kind=_PAGES[page_kind(held.media_type)] if structured and payload.page else pb.PAGE_KIND_UNSPECIFIED,
        heading_path=held.headings,
        explanation=None if hit.explanation is None else _score_explanation(hit.explanation),
    )
    if structured:
        add_blocks(passage.blocks, payload)


def _citation(citation: Citation, passages: Sequence[SearchHit]) -> pb.Citation:
    hit = passages[citation.rank]
    payload = hit.payload
    # Where the quoted span is, which may be further down than where its passage begins.
    first = next(iter(touched(payload, citation.start, citation.end)), None)
    page = payload.page if first is None else first.page
    message = pb.Citation(
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
        page=page,
        page_kind=_PAGES[page_kind(payload.media_type)] if page else pb.PAGE_KIND_UNSPECIFIED,
        heading_path=payload.headings if first is None else first.path,
    )
    add_blocks(message.blocks, payload, citation.start, citation.end)
    return message
