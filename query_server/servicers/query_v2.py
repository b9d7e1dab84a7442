# ruff: noqa: N802  the methods are named by the .proto file
"""query.v2.QueryService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import grpc.aio

from query_server.converters.documents import from_page_image
from query_server.converters.feedback import to_judgement
from query_server.converters.query_v2 import from_event, from_outcomes, from_page, to_queries, to_query
from query_server.converters.usage import from_own
from query_server.handlers.documents.handler import DocumentsHandler
from query_server.handlers.documents.pages import PageRequest, PagesHandler
from query_server.handlers.feedback import FeedbackHandler
from query_server.handlers.paging import ListPages
from query_server.handlers.query.answer import AnswerHandler
from query_server.handlers.query.answerers import Named
from query_server.handlers.query.batch import BatchHandler
from query_server.handlers.query.search import SearchHandler
from query_server.handlers.usage import UsageHandler
from query_server.runtime.calls import current_call
from rag_core.errors import RagError
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]


class QueryV2Servicer(rpc.QueryServiceServicer):
    """Search and streamed answers."""

    def __init__(
        self,
        search: SearchHandler,
        batches: BatchHandler,
        answers: AnswerHandler,
        answerers: Sequence[Named],
        feedback: FeedbackHandler,
        documents: DocumentsHandler,
        usage: UsageHandler,
        pages: ListPages,
        page_images: PagesHandler,
    ) -> None:
        self._search = search
        self._batches = batches
        self._answers = answers
        self._answerers = answerers
        self._feedback = feedback
        self._documents = documents
        self._usage = usage
        self._pages = pages
        self._page_images = page_images

    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        call = current_call()
        call.queries = (request.query,)
        page = await self._search.search(call.principal, to_query(request))
        call.log_result(page.result)
        return from_page(page)

    async def BatchSearch(self, request: pb.BatchSearchRequest, context: Context) -> pb.BatchSearchResponse:
        call = current_call()
        call.queries = tuple(search.query for search in request.searches)
        call.weight = len(request.searches)
        outcomes = await self._batches.run(call.principal, to_queries(request))
        call.log_fields.update(
            searches=len(outcomes), failed=sum(isinstance(outcome, RagError) for outcome in outcomes)
        )
        return from_outcomes(outcomes)

    async def Answer(self, request: pb.AnswerRequest, context: Context) -> AsyncIterator[pb.AnswerEvent]:
        call = current_call()
        call.queries = (request.query,)
        found, stream = await self._answers.stream(call.principal, to_query(request), call.deadline)
        call.log_result(found.result)
        if request.resume_token:
            call.log_fields.update(resumed=True)
        async with aclosing(stream) as events:
            async for event in events:
                yield from_event(event, found)

    async def ListSources(self, request: pb.ListSourcesRequest, context: Context) -> pb.ListSourcesResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request)
        shown, token = page.cut(await self._documents.sources(caller, page), lambda row: (row.name,))
        listed = [pb.ListSourcesResponse.Source(name=one.name, documents=one.documents) for one in shown]
        return pb.ListSourcesResponse(sources=listed, next_page_token=token)

    async def GetPage(self, request: pb.GetPageRequest, context: Context) -> pb.GetPageResponse:
        asked = PageRequest(request.doc_id, request.page, request.start, request.end)
        return from_page_image(await self._page_images.get(current_call().principal, asked), request.page)

    async def ListAnswerers(self, request: pb.ListAnswerersRequest, context: Context) -> pb.ListAnswerersResponse:
        page = self._pages.of(current_call().principal, request)
        places = {one.name: place for place, one in enumerate(self._answerers)}
        shown, token = page.within(self._answerers, lambda one: (places[one.name],))
        listed = [pb.ListAnswerersResponse.Answerer(name=one.name, model=one.model) for one in shown]
        return pb.ListAnswerersResponse(answerers=listed, next_page_token=token)

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        days = request.days if request.HasField("days") else None
        return from_own(await self._usage.own(current_call().principal, days))

    async def SendFeedback(self, request: pb.SendFeedbackRequest, context: Context) -> pb.SendFeedbackResponse:
        saved = await self._feedback.rate(current_call().principal, to_judgement(request))
        return pb.SendFeedbackResponse(replaced=saved.replaced)
