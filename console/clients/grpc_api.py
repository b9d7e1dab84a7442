"""gRPC client: reports and actions directly at the query server, questions through the gateway like any client."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import grpc

from console.clients.access_api import AccessApi
from console.clients.calls import ServiceCalls
from console.clients.curation_api import CurationApi
from console.clients.errors import Breakers, ServiceError, from_rpc
from console.clients.sources_api import SourcesApi
from console.clients.tenants_api import TenantsApi
from console.clients.webhooks_api import WebhooksApi
from console.settings import ConsoleSettings
from ragproto.admin.v1 import (
    access_pb2_grpc,
    admin_pb2,
    admin_pb2_grpc,
    history_pb2,
    history_pb2_grpc,
    sources_pb2_grpc,
    tenants_pb2_grpc,
    usage_pb2,
    usage_pb2_grpc,
    webhooks_pb2_grpc,
)
from ragproto.admin.v1 import deployments_pb2 as deploy
from ragproto.admin.v1 import deployments_pb2_grpc as deploy_rpc
from ragproto.admin.v1 import evaluation_pb2 as evaluation
from ragproto.admin.v1 import evaluation_pb2_grpc as evaluation_rpc
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.admin.v1 import operations_pb2_grpc as ops_rpc
from ragproto.documents.v1 import documents_pb2, documents_pb2_grpc
from ragproto.query.v2 import curation_pb2_grpc, query_pb2, query_pb2_grpc

SERVER = "query server"
GATEWAY = "gateway"


class Channels:
    """The connections, shared by all sessions. Thread-safe."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self.settings = settings
        server = _channel(settings.query_address, _query_credentials(settings), settings.query_tls_name)
        address = urlsplit(settings.gateway_url)
        encrypted = _gateway_credentials(settings) if address.scheme == "https" else None
        gateway = _channel(address.netloc, encrypted, settings.gateway_tls_name)
        self._opened = (server, gateway)
        self.breakers = Breakers()
        self.access = access_pb2_grpc.AccessServiceStub(server)
        self.admin = admin_pb2_grpc.AdminServiceStub(server)
        self.operations = ops_rpc.OperationsServiceStub(server)
        self.deployments = deploy_rpc.DeploymentServiceStub(server)
        self.evaluation = evaluation_rpc.EvaluationServiceStub(server)
        self.history = history_pb2_grpc.HistoryServiceStub(server)
        self.sources = sources_pb2_grpc.SourceServiceStub(server)
        self.tenants = tenants_pb2_grpc.TenantServiceStub(server)
        self.usage = usage_pb2_grpc.UsageServiceStub(server)
        self.webhooks = webhooks_pb2_grpc.WebhookServiceStub(server)
        self.documents = documents_pb2_grpc.DocumentServiceStub(server)
        self.curation = curation_pb2_grpc.CurationServiceStub(server)
        self.query = query_pb2_grpc.QueryServiceStub(gateway)

    def close(self) -> None:
        """Close the connections."""
        for channel in self._opened:
            channel.close()


def _channel(target: str, credentials: grpc.ChannelCredentials | None, name: str) -> grpc.Channel:
    # A proxy of the environment must not see calls to our own servers.
    options: list[tuple[str, int | str]] = [("grpc.enable_http_proxy", 0), ("grpc.max_reconnect_backoff_ms", 2000)]
    if credentials is None:
        return grpc.insecure_channel(target, options=options)
    if name:
        options.append(("grpc.ssl_target_name_override", name))
    return grpc.secure_channel(target, credentials, options=options)


def _query_credentials(settings: ConsoleSettings) -> grpc.ChannelCredentials | None:
    if settings.query_tls_ca is None:
        return None
    key, certificate = (
        path.read_bytes() if path is not None else None for path in (settings.query_key, settings.query_certificate)
    )
    return grpc.ssl_channel_credentials(settings.query_tls_ca.read_bytes(), key, certificate)


def _gateway_credentials(settings: ConsoleSettings) -> grpc.ChannelCredentials:
    trusted = settings.gateway_tls_ca.read_bytes() if settings.gateway_tls_ca is not None else None
    return grpc.ssl_channel_credentials(trusted)


class Api:
    """The platform as one caller sees it. Every method raises `ServiceError`."""

    def __init__(self, channels: Channels, token: str) -> None:
        self._channels = channels
        self._settings = channels.settings
        self._metadata = [("authorization", f"Bearer {token}")]
        self.trace_id = secrets.token_hex(16)
        """Trace id of the questions that this object asks, where the console links to traces."""
        call = partial(self._call, SERVER)
        self.access = AccessApi(channels.access, call)
        self.curation = CurationApi(channels.curation, call)
        self.source_admin = SourcesApi(channels.sources, call)
        self.tenants = TenantsApi(channels.tenants, call, self._stream)
        self.webhooks = WebhooksApi(channels.webhooks, call)
        self._operations = ServiceCalls(channels.operations, call)
        self._deployments = ServiceCalls(channels.deployments, call)
        self._evaluation = ServiceCalls(channels.evaluation, call)
        self._history = ServiceCalls(channels.history, call)
        self._documents = ServiceCalls(channels.documents, call)
        self._usage = ServiceCalls(channels.usage, call)
        # A promotion waits for the query servers, and a forecast reads every row.
        self._admin = ServiceCalls(channels.admin, partial(call, seconds=self._settings.answer_seconds))

    def who_am_i(self) -> ops.WhoAmIResponse:
        """The caller of the token, as the API verified it."""
        return self._operations.ask("WhoAmI")

    def sign_out(self) -> None:
        """Revoke the token."""
        self._operations.ask("SignOut")

    def status(self) -> admin_pb2.GetStatusResponse:
        """Components, counts of sources, generations."""
        return self._call(SERVER, self._channels.admin.GetStatus, admin_pb2.GetStatusRequest())

    def sources(self, tenant: str = "") -> list[ops.SourceDetail]:
        """Sources with cursor, ACL, held deletions and newest run; of the caller's tenant unless another is named."""
        return list(self._operations.ask_all("ListSources", "sources", tenant=tenant).sources)

    def runs(self, source: str = "", limit: int = 100) -> list[ops.RunStage]:
        """Results of each stage of the newest runs."""
        return list(self._operations.ask("ListRuns", source=source, page_size=limit).stages)

    def release(self, source: str, expected: int, reason: str) -> int:
        """Release held deletions; returns how many."""
        return int(self._operations.ask("ReleaseDeletions", source=source, expected=expected, reason=reason).released)

    def quarantine(self, **chosen: Any) -> ops.ListQuarantineResponse:
        """A page of quarantined inputs."""
        return self._operations.ask("ListQuarantine", **chosen)

    def quarantined(self, entry: int) -> ops.GetQuarantineEntryResponse:
        """One quarantined input with its payload."""
        return self._operations.ask("GetQuarantineEntry", id=entry)

    def redrive(self, ids: Sequence[int], reason: str) -> int:
        """Retry inputs; returns their number."""
        return len(self._operations.ask("RedriveQuarantine", ids=ids, reason=reason).locators)

    def discard(self, ids: Sequence[int], reason: str) -> int:
        """Discard inputs; returns their number."""
        return len(self._operations.ask("DiscardQuarantine", ids=ids, reason=reason).locators)

    def documents(self, **wanted: Any) -> ops.FindDocumentsResponse:
        """A page of documents."""
        return self._operations.ask("FindDocuments", **wanted)

    def inspect(self, doc_id: str) -> ops.InspectDocumentResponse:
        """One document down to its spans."""
        return self._operations.ask("InspectDocument", doc_id=doc_id)

    def find(self, text: str, source: str = "", limit: int = 50) -> list[ops.DocumentRow]:
        """The first documents by a part of their name."""
        return list(self.documents(text=text, source=source, page_size=limit).documents)

    def reindex(self, doc_id: str, reason: str) -> ops.ReindexDocumentResponse:
        """Have the next run index a document again."""
        return self._operations.ask("ReindexDocument", doc_id=doc_id, reason=reason)

    def delete_document(self, doc_id: str) -> int:
        """Delete a pushed document; returns the place of the deletion in the inbox."""
        return int(self._documents.ask("Delete", doc_id=doc_id).sequence)

    def source_history(self, limit: int = 12) -> list[ops.SourceHistory]:
        """The newest runs of every source, and what runs changed in the last 24 hours."""
        return list(self._operations.ask_all("ListSourceHistory", "sources", limit=limit).sources)

    def audit(self, **chosen: Any) -> ops.ListAuditResponse:
        """A page of the audit log."""
        return self._operations.ask("ListAudit", **chosen)

    def record(self, action: str, target: str, reason: str, source: str, **details: str) -> None:
        """Record an action in the audit log before it is done elsewhere; when refused, it must not be done."""
        self._operations.ask(
            "RecordAction", action=action, target=target, reason=reason, source=source, details=details
        )

    def rate(self, rating: ops.RateAnswerRequest) -> None:
        """Store a rating."""
        self._call(SERVER, self._channels.operations.RateAnswer, rating)

    def ratings(self) -> list[ops.Rating]:
        """Stored ratings, newest first."""
        return list(self._operations.ask("ListRatings").ratings)

    def evaluation_runs(self, limit: int = 100) -> list[evaluation.EvaluationRun]:
        """Runs of the owners' questions, newest first."""
        return list(self._evaluation.ask("ListEvaluationRuns", page_size=limit).runs)

    def evaluation_run(self, number: int) -> evaluation.GetEvaluationRunResponse:
        """A run with the questions that changed."""
        return self._evaluation.ask("GetEvaluationRun", id=number)

    def accept_run(self, number: int, reason: str) -> None:
        """Have later runs compared with this one."""
        self._evaluation.ask("AcceptEvaluationRun", id=number, reason=reason)

    def proposed_questions(self, state: str, limit: int = 200) -> list[evaluation.ProposedQuestion]:
        """Questions in a state, newest first."""
        return list(self._evaluation.ask("ListProposedQuestions", state=state, page_size=limit).questions)

    def propose_questions(self, count: int) -> int:
        """Propose questions from headings; returns how many are new."""
        return int(self._evaluation.ask("ProposeQuestions", count=count).proposed)

    def decide_question(self, number: int, *, accept: bool, **parts: Sequence[str]) -> evaluation.ProposedQuestion:
        """Accept or reject a question."""
        return self._evaluation.ask("DecideQuestion", id=number, accept=accept, **parts).question

    def save_question(self, question: str, **parts: Sequence[str]) -> evaluation.ProposedQuestion:
        """Save a question with what its answer holds, accepted."""
        return self._evaluation.ask("SaveQuestion", question=question, **parts).question

    def alerts(self, *, ended: bool = False) -> list[ops.Alert]:
        """Alerts, those that are open first."""
        return list(self._operations.ask_all("ListAlerts", "alerts", include_ended=ended).alerts)

    def quality(self, source: str, limit: int = 200) -> ops.ListQualityResponse:
        """Results of a source's newest runs, and what its rules found."""
        return self._operations.ask("ListQuality", source=source, page_size=limit)

    def build(self, **wanted: Any) -> admin_pb2.BuildGenerationResponse:
        """Forecast a generation and, unless `dry_run`, declare it."""
        return self._admin.ask("BuildGeneration", **wanted)

    def evaluate(self, generation: str) -> None:
        """Request an evaluation by the promotion gate."""
        self._admin.ask("EvaluateGeneration", generation=generation)

    def promote(self, generation: str, reason: str, *, override: bool = False) -> admin_pb2.GenerationMove:
        """Promote a generation; `override`: although the gate refuses."""
        asked = {"generation": generation, "override_reason" if override else "reason": reason}
        return self._admin.ask("PromoteGeneration", **asked).move

    def roll_back(self, reason: str) -> admin_pb2.GenerationMove:
        """Roll back to the previous generation."""
        return self._admin.ask("RollbackGeneration", reason=reason).move

    def retire(self, generation: str, reason: str, *, now: bool = False) -> None:
        """Retire a generation that is not active; `now`: although it is still kept for a rollback."""
        self._admin.ask("RetireGeneration", generation=generation, reason=reason, now=now)

    def colours(self) -> list[deploy.Colour]:
        """Both colours of each target as the deployer saw them last."""
        return list(self._deployments.ask_all("ListColours", "colours").colours)

    def deployments(self, limit: int = 20) -> list[deploy.Deployment]:
        """Deployments, newest first."""
        return list(self._deployments.ask("ListDeployments", page_size=limit).deployments)

    def deployment(self, number: int = 0) -> deploy.GetDeploymentResponse:
        """One deployment with its history; 0: the newest."""
        return self._deployments.ask("GetDeployment", id=number)

    def switch_deployment(self, number: int, reason: str) -> None:
        """Request the switch to a deployment."""
        self._deployments.ask("RequestSwitch", id=number, reason=reason)

    def roll_back_deployment(self, number: int, reason: str) -> None:
        """Request a rollback."""
        self._deployments.ask("RequestRollback", id=number, reason=reason)

    def history(self, span: str, *, all_tenants: bool = False) -> history_pb2.GetHistoryResponse:
        """Figures over an hour, a day or a week."""
        return self._history.ask("GetHistory", span=span, all_tenants=all_tenants)

    def usage(self, days: int, *, all_tenants: bool = False) -> usage_pb2.ListUsageResponse:
        """Usage and budgets by tenant and API key."""
        return self._usage.ask_all("ListUsage", "rows", days=days, all_tenants=all_tenants)

    def set_budget(self, request: usage_pb2.SetBudgetRequest) -> usage_pb2.SetBudgetResponse:
        """Replace the budget of a tenant or an API key."""
        return self._call(SERVER, self._channels.usage.SetBudget, request)

    def unanswered(self, span: str) -> history_pb2.ListUnansweredQuestionsResponse:
        """Questions that got no answer."""
        return self._history.ask("ListUnansweredQuestions", span=span)

    def put_document(self, source: str, locator: str, content: bytes, acl: Sequence[str]) -> str:
        """Push a file as a document; returns its id."""
        access = documents_pb2.Acl(entries=acl) if acl else None
        request = documents_pb2.PutRequest(source=source, locator=locator, data=content, acl=access)
        return str(self._call(SERVER, self._channels.documents.Put, request, self._settings.answer_seconds).doc_id)

    def explain_access(
        self, doc_id: str, user: str, groups: Sequence[str], reason: str
    ) -> documents_pb2.ExplainAccessResponse:
        """Explain why a person finds a document or not."""
        return self._documents.ask("ExplainAccess", doc_id=doc_id, user=user, groups=groups, reason=reason)

    def search(self, request: query_pb2.SearchRequest) -> query_pb2.SearchResponse:
        """Passages, through the gateway."""
        return self._call(GATEWAY, self._channels.query.Search, request, metadata=self._asking())

    def askable(self) -> list[query_pb2.ListSourcesResponse.Source]:
        """The sources of which the caller may see documents, through the gateway; a thousand at most."""
        request = query_pb2.ListSourcesRequest(page_size=1000)
        return list(self._call(GATEWAY, self._channels.query.ListSources, request).sources)

    def page(self, doc_id: str, page: int, start: int, end: int) -> query_pb2.GetPageResponse:
        """A page as a picture, with a span marked, through the gateway."""
        request = query_pb2.GetPageRequest(doc_id=doc_id, page=page, start=start, end=end)
        return self._call(GATEWAY, self._channels.query.GetPage, request, self._settings.answer_seconds)

    def search_as(
        self, tenant: str, subject: str, groups: Sequence[str], reason: str, request: query_pb2.SearchRequest
    ) -> ops.SearchAsResponse:
        """Return what somebody else finds; it is audited."""
        who = {"tenant": tenant, "subject": subject, "groups": groups, "reason": reason}
        return self._operations.ask("SearchAs", **who, search=request)

    def answer(self, request: query_pb2.AnswerRequest) -> Iterator[query_pb2.AnswerEvent]:
        """The events of an answer as they arrive. Raises also half-way."""
        try:
            yield from self._channels.query.Answer(
                request, timeout=self._settings.answer_seconds, metadata=self._asking()
            )
        except grpc.RpcError as error:
            raise from_rpc(GATEWAY, error) from None

    def _asking(self) -> list[tuple[str, str]]:
        """Metadata of a question. Where the console links to traces, the question is recorded as one."""
        if not self._settings.trace_url:
            return self._metadata
        return [*self._metadata, ("traceparent", f"00-{self.trace_id}-{secrets.token_hex(8)}-01")]

    def _stream(self, method: Any, request: Any) -> Iterator[Any]:
        """The messages of a long call of the query server. Raises also half-way."""
        try:
            yield from method(request, timeout=self._settings.answer_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise from_rpc(SERVER, error) from None

    def _call(
        self,
        service: str,
        method: Any,
        request: Any,
        seconds: float | None = None,
        *,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> Any:
        sent = metadata or self._metadata
        with self._channels.breakers.call(service, "DEADLINE_EXCEEDED"):
            try:
                return method(request, timeout=seconds or self._settings.call_seconds, metadata=sent)
            except grpc.RpcError as error:
                raise from_rpc(service, error) from None


def read_token(settings: ConsoleSettings) -> str:
    """The token of `token_file`. Raises `ServiceError` (`TOKEN_MISSING`)."""
    try:
        token = settings.token_file.read_text("ascii")[:8192].strip() if settings.token_file else ""
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token:
        raise ServiceError("console", "TOKEN_MISSING")
    return token
