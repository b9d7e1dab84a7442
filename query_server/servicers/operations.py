# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.OperationsService."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.auth.authenticator import bearer_of
from query_server.converters import conditions as from_condition
from query_server.converters import operations as to_message
from query_server.converters.feedback import from_ratings, to_judgement
from query_server.converters.query_v2 import from_page, to_query, without_text
from query_server.handlers.admin.asking_as import AskingAsHandler, Person
from query_server.handlers.admin.conditions import ConditionsHandler
from query_server.handlers.admin.operations import OperationsHandler
from query_server.handlers.admin.rules import check_limit, check_page_token, check_text_field
from query_server.handlers.feedback import FeedbackHandler
from query_server.handlers.query.search import SearchHandler
from query_server.runtime.calls import current_call
from rag_core.access import NameHash, session_of
from ragproto.admin.v1 import operations_pb2 as pb
from ragproto.admin.v1 import operations_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]


class OperationsServicer(rpc.OperationsServiceServicer):
    """Queries and actions of operators."""

    def __init__(
        self,
        operations: OperationsHandler,
        conditions: ConditionsHandler,
        search: SearchHandler,
        feedback: FeedbackHandler,
        hashes: NameHash,
        asking_as: AskingAsHandler,
    ) -> None:
        self._operations = operations
        self._conditions = conditions
        self._search = search
        self._feedback = feedback
        self._hashes = hashes
        self._asking_as = asking_as

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
        found = await self._operations.sources(current_call().principal, request.tenant)
        return pb.ListSourcesResponse(sources=[to_message.from_source(row, last) for row, last in found])

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        limit = check_limit(request.limit if request.HasField("limit") else None, default=100, most=1000)
        found = await self._operations.runs(current_call().principal, request.source, limit, request.tenant)
        return pb.ListRunsResponse(stages=map(to_message.from_stage, found))

    async def ReleaseDeletions(
        self, request: pb.ReleaseDeletionsRequest, context: Context
    ) -> pb.ReleaseDeletionsResponse:
        expected = request.expected if request.HasField("expected") else None
        released = await self._operations.release(current_call().principal, request.source, request.reason, expected)
        return pb.ReleaseDeletionsResponse(released=released)

    async def ListQuarantine(self, request: pb.ListQuarantineRequest, context: Context) -> pb.ListQuarantineResponse:
        from rag_core.quality import Wanted

        limit = check_limit(request.limit if request.HasField("limit") else None, default=50, most=500)
        for name in ("source", "reason", "stage"):
            check_text_field(name, getattr(request, name))
        tenant = current_call().principal.tenant
        wanted = Wanted(tenant, request.source, request.reason, request.stage, request.include_skipped)
        before = check_page_token(request.page_token)
        entries, counts = await self._operations.quarantine(wanted, before, limit)
        return pb.ListQuarantineResponse(
            entries=map(to_message.from_entry, entries),
            next_page_token=str(entries[-1].id) if len(entries) == limit else "",
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
        limit = check_limit(request.limit if request.HasField("limit") else None, default=50, most=200)
        found = await self._operations.find(current_call().principal, request.text, request.source, limit)
        return pb.FindDocumentsResponse(documents=map(to_message.from_found, found))

    async def InspectDocument(self, request: pb.InspectDocumentRequest, context: Context) -> pb.InspectDocumentResponse:
        doc_id = to_message.to_doc_id(request.doc_id)
        return to_message.from_inspection(await self._operations.inspect(current_call().principal, doc_id))

    async def ListAudit(self, request: pb.ListAuditRequest, context: Context) -> pb.ListAuditResponse:
        limit = check_limit(request.limit if request.HasField("limit") else None, default=100, most=500)
        filters = {"actor": request.actor, "action": request.action, "target": request.target}
        before = check_page_token(request.page_token)
        found = await self._operations.audit(current_call().principal, filters, before, limit, request.tenant)
        return pb.ListAuditResponse(
            records=map(to_message.from_audit_entry, found),
            next_page_token=str(found[-1].id) if len(found) == limit else "",
        )

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
        limit = check_limit(request.limit if request.HasField("limit") else None, default=100, most=500)
        return from_ratings(await self._operations.ratings(current_call().principal, limit))

    async def ListAlerts(self, request: pb.ListAlertsRequest, context: Context) -> pb.ListAlertsResponse:
        limit = check_limit(request.limit if request.HasField("limit") else None, default=100, most=500)
        found = await self._conditions.alerts(current_call().principal, limit, ended=request.include_ended)
        return pb.ListAlertsResponse(alerts=map(from_condition.from_alert, found))

    async def ListQuality(self, request: pb.ListQualityRequest, context: Context) -> pb.ListQualityResponse:
        limit = check_limit(request.limit if request.HasField("limit") else None, default=100, most=1000)
        results, findings = await self._conditions.quality(current_call().principal, request.source, limit)
        return from_condition.from_quality(results, findings)

    async def SearchGeneration(
        self, request: pb.SearchGenerationRequest, context: Context
    ) -> pb.SearchGenerationResponse:
        call = current_call()
        check_text_field("generation", request.generation, required=True)
        call.queries = (request.search.query,)
        page = await self._search.search_in(request.generation, call.principal, to_query(request.search))
        call.log_result(page.result)
        return pb.SearchGenerationResponse(found=from_page(page))

    async def SearchAs(self, request: pb.SearchAsRequest, context: Context) -> pb.SearchAsResponse:
        call = current_call()
        call.queries = (request.search.query,)
        person = Person(request.tenant, request.subject, tuple(request.groups))
        page, hidden = await self._asking_as.search(call.principal, person, request.reason, to_query(request.search))
        call.log_result(page.result)
        return pb.SearchAsResponse(found=without_text(from_page(page), hidden), withheld=sorted(hidden))
