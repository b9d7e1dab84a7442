# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.OperationsService."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import grpc.aio

from query_server.auth.authenticator import bearer_of
from query_server.converters import inspection as inspected
from query_server.converters import operations as to_message
from query_server.converters.feedback import from_rating, to_judgement
from query_server.converters.fields import message_of, part_of_request, to_moment
from query_server.converters.query_v2 import from_page, to_query, without_text
from query_server.handlers.admin.asking_as import AskingAsHandler, Person
from query_server.handlers.admin.conditions import ConditionsHandler
from query_server.handlers.admin.documents import InspectionHandler
from query_server.handlers.admin.operations import OperationsHandler
from query_server.handlers.admin.rules import check_limit, check_text_field
from query_server.handlers.feedback import FeedbackHandler
from query_server.handlers.paging import ListPages
from query_server.handlers.query.search import SearchHandler
from query_server.runtime.calls import current_call
from rag_core.content import quality
from rag_core.governance.access import NameHash, session_of
from ragproto.admin.v1 import operations_pb2 as pb
from ragproto.admin.v1 import operations_pb2_grpc as rpc
from ragproto.query.v2.query_pb2 import SearchRequest

if TYPE_CHECKING:
    from rag_core.content.quality import RuleFindings, ShardResult
    from rag_core.ingestion.alerts import Alert
    from rag_core.ingestion.pipeline import SourceHistory


Context = grpc.aio.ServicerContext[Any, Any]
_COUNTED = ("documents", "duplicates", "flagged", "median_bytes", "languages")


class OperationsServicer(rpc.OperationsServiceServicer):
    """Queries and actions of operators."""

    def __init__(
        self,
        operations: OperationsHandler,
        documents: InspectionHandler,
        conditions: ConditionsHandler,
        search: SearchHandler,
        feedback: FeedbackHandler,
        hashes: NameHash,
        asking_as: AskingAsHandler,
        pages: ListPages,
    ) -> None:
        self._operations = operations
        self._documents = documents
        self._conditions = conditions
        self._search = search
        self._feedback = feedback
        self._hashes = hashes
        self._asking_as = asking_as
        self._pages = pages

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Context) -> pb.WhoAmIResponse:
        caller = current_call().principal
        return pb.WhoAmIResponse(
            subject=caller.subject,
            tenant=caller.tenant,
            scopes=sorted(caller.scopes),
            tenant_hashes=self._hashes.tenants(caller.tenant),
        )

    async def SignOut(self, request: pb.SignOutRequest, context: Context) -> pb.SignOutResponse:
        call = current_call()
        await self._operations.sign_out(call.principal, session_of(bearer_of(call)))
        return pb.SignOutResponse()

    async def ListSources(self, request: pb.ListSourcesRequest, context: Context) -> pb.ListSourcesResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, default=1000)
        found = await self._operations.sources(caller, page, request.tenant)
        shown, token = page.cut(found, lambda row: (row[0].name,))
        sources = [to_message.from_source(row, last) for row, last in shown]
        return pb.ListSourcesResponse(sources=sources, next_page_token=token)

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request)
        found = await self._operations.runs(caller, request.source, page, request.tenant)
        shown, token = page.cut(found, lambda row: (row.finished_at, row.run_id, row.source, row.shard, row.stage))
        return pb.ListRunsResponse(stages=map(to_message.from_stage, shown), next_page_token=token)

    async def ReleaseDeletions(
        self, request: pb.ReleaseDeletionsRequest, context: Context
    ) -> pb.ReleaseDeletionsResponse:
        expected = request.expected if request.HasField("expected") else None
        released = await self._operations.release(current_call().principal, request.source, request.reason, expected)
        return pb.ReleaseDeletionsResponse(released=released)

    async def ListQuarantine(self, request: pb.ListQuarantineRequest, context: Context) -> pb.ListQuarantineResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, default=50, most=500)
        for name in ("source", "reason", "stage"):
            check_text_field(name, getattr(request, name))
        wanted = quality.QuarantineFilter(
            caller.tenant, request.source, request.reason, request.stage, request.include_skipped
        )
        entries, counts = await self._operations.quarantine(wanted, page)
        shown, token = page.cut(entries, lambda row: (row.id,))
        return pb.ListQuarantineResponse(
            entries=map(to_message.from_entry, shown),
            next_page_token=token,
            counts=[pb.QuarantineCount(source=source, reason=reason, entries=n) for source, reason, n in counts],
        )

    async def GetQuarantineEntry(
        self, request: pb.GetQuarantineEntryRequest, context: Context
    ) -> pb.GetQuarantineEntryResponse:
        return to_message.from_payload(await self._operations.quarantined(current_call().principal, request.id))

    async def RedriveQuarantine(
        self, request: pb.RedriveQuarantineRequest, context: Context
    ) -> pb.RedriveQuarantineResponse:
        done = await self._operations.redrive(current_call().principal, request.ids, request.reason)
        return pb.RedriveQuarantineResponse(locators=done)

    async def DiscardQuarantine(
        self, request: pb.DiscardQuarantineRequest, context: Context
    ) -> pb.DiscardQuarantineResponse:
        done = await self._operations.discard(current_call().principal, request.ids, request.reason)
        return pb.DiscardQuarantineResponse(locators=done)

    async def FindDocuments(self, request: pb.FindDocumentsRequest, context: Context) -> pb.FindDocumentsResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, default=50, most=200)
        found = await self._documents.find(caller, inspected.to_wanted(request), page, count=request.count)
        return inspected.from_page(found)

    async def InspectDocument(self, request: pb.InspectDocumentRequest, context: Context) -> pb.InspectDocumentResponse:
        doc_id = inspected.to_doc_id(request.doc_id)
        return inspected.from_inspection(await self._documents.inspect(current_call().principal, doc_id))

    async def ReindexDocument(self, request: pb.ReindexDocumentRequest, context: Context) -> pb.ReindexDocumentResponse:
        doc_id = inspected.to_doc_id(request.doc_id)
        source, generations = await self._documents.reindex(current_call().principal, doc_id, request.reason)
        return pb.ReindexDocumentResponse(source=source, generations=generations)

    async def ListSourceHistory(
        self, request: pb.ListSourceHistoryRequest, context: Context
    ) -> pb.ListSourceHistoryResponse:
        caller = current_call().principal
        runs = check_limit(request.limit if request.HasField("limit") else None, default=30, most=100)
        page = self._pages.of(caller, request, default=1000)
        found = await self._conditions.source_history(caller, to_moment(request, "changed_from"), runs, page)
        shown, token = page.cut(found, lambda row: (row.source,))
        sources = map(from_source_history, shown)
        return pb.ListSourceHistoryResponse(sources=sources, next_page_token=token)

    async def ListAudit(self, request: pb.ListAuditRequest, context: Context) -> pb.ListAuditResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, most=500)
        filters = {name: getattr(request, name) for name in ("actor", "action", "target", "outcome")}
        moments = {name: to_moment(request, name) for name in ("since", "until")}
        found = await self._operations.audit(caller, filters, page, request.tenant, **moments)
        shown, token = page.cut(found, lambda row: (row.id,))
        return pb.ListAuditResponse(records=map(to_message.from_audit_entry, shown), next_page_token=token)

    async def RecordAction(self, request: pb.RecordActionRequest, context: Context) -> pb.RecordActionResponse:
        number = await self._operations.record(
            current_call().principal,
            request.action,
            request.target,
            request.reason,
            dict(request.details),
            request.source,
        )
        return pb.RecordActionResponse(id=number)

    async def RateAnswer(self, request: pb.RateAnswerRequest, context: Context) -> pb.RateAnswerResponse:
        judgement = to_judgement(request)
        return pb.RateAnswerResponse(id=(await self._feedback.rate(current_call().principal, judgement)).id)

    async def ListRatings(self, request: pb.ListRatingsRequest, context: Context) -> pb.ListRatingsResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, most=500)
        shown, token = page.cut(await self._operations.ratings(caller, page), lambda row: (row.at, row.id))
        return pb.ListRatingsResponse(ratings=map(from_rating, shown), next_page_token=token)

    async def ListAlerts(self, request: pb.ListAlertsRequest, context: Context) -> pb.ListAlertsResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request, most=500)
        found = await self._conditions.alerts(caller, page, ended=request.include_ended)
        shown, token = page.cut(found, lambda row: (row.ended_at is None, row.started_at, row.key))
        return pb.ListAlertsResponse(alerts=map(from_alert, shown), next_page_token=token)

    async def ListQuality(self, request: pb.ListQualityRequest, context: Context) -> pb.ListQualityResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request)
        results, findings = await self._conditions.quality(caller, request.source, page)
        shown, token = page.cut(results, lambda row: (row.finished_at, row.run_id, row.shard))
        return from_quality(shown, findings, token)

    async def SearchGeneration(
        self, request: pb.SearchGenerationRequest, context: Context
    ) -> pb.SearchGenerationResponse:
        call = current_call()
        check_text_field("generation", request.generation, required=True)
        call.queries = (request.search.query,)
        with part_of_request("search", SearchRequest):
            page = await self._search.search_in(request.generation, call.principal, to_query(request.search))
        call.log_result(page.result)
        return pb.SearchGenerationResponse(found=from_page(page))

    async def SearchAs(self, request: pb.SearchAsRequest, context: Context) -> pb.SearchAsResponse:
        call = current_call()
        call.queries = (request.search.query,)
        person = Person(request.tenant, request.subject, tuple(request.groups))
        with part_of_request("search", SearchRequest):
            wanted = to_query(request.search)
            page, hidden = await self._asking_as.search(call.principal, person, request.reason, wanted)
        call.log_result(page.result)
        return pb.SearchAsResponse(found=without_text(from_page(page), hidden), withheld=sorted(hidden))


def from_alert(alert: Alert) -> pb.Alert:
    """An alert. Its tenant is left out: it is the caller's own, or none."""
    return message_of(pb.Alert, alert)


def from_quality(
    results: Iterable[ShardResult], findings: Iterable[RuleFindings], token: str
) -> pb.ListQualityResponse:
    """The quality of a source."""
    found = [pb.RuleFinding(rule=item.rule, found=item.found, samples=item.samples) for item in findings]
    return pb.ListQualityResponse(results=map(_result, results), findings=found, next_page_token=token)


def from_source_history(found: SourceHistory) -> pb.SourceHistory:
    """The history of a source."""
    points = [message_of(pb.SourceHistoryPoint, point) for point in found.points]
    return message_of(pb.SourceHistory, found, points=points)


def _result(result: ShardResult) -> pb.QualityResult:
    counted = {name: getattr(result.profile, name) for name in _COUNTED}
    run = {"run_id": result.run_id, "shard": result.shard, "finished_at": result.finished_at}
    return message_of(pb.QualityResult, result.assessment, **counted, **run)
