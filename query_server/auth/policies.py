"""The one table of scopes and concurrency limits by method.

A method that is missing here is refused, and a test compares the table with the descriptors, so a new RPC cannot be
forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

READ = "query.read"
DOCUMENTS_READ = "documents.read"
DOCUMENTS_WRITE = "documents.write"
OBSERVE = "ops.read"
OPERATE = "ops.write"
SOURCES = "sources.write"
"""Adding, changing and removing sources of one tenant, within its allow-lists; `platform.admin`: of every tenant."""
ACCESS = "access.write"
"""Keys, accounts, sessions and revoked tokens of one tenant; `platform.admin`: of every tenant."""
DIRECTORIES = "directories.write"
"""Changing people and groups of the directory that an API key belongs to."""
ADMIN = "admin"
"""Everything in one tenant, and nothing beyond it."""
PLATFORM_READ = "platform.read"
"""Reading what no single tenant owns, such as deployments, and records of every tenant."""
PLATFORM_ADMIN = "platform.admin"
"""Acting on what every tenant shares: generations, deployments, runs of any source."""

TENANT_SCOPES = (READ, DOCUMENTS_READ, DOCUMENTS_WRITE, OBSERVE, OPERATE, SOURCES, ACCESS, DIRECTORIES, ADMIN)
SCOPES = (*TENANT_SCOPES, PLATFORM_READ, PLATFORM_ADMIN)
"""Every scope that opens something."""

_INCLUDES = {
    OPERATE: frozenset({OBSERVE}),
    ADMIN: frozenset({OBSERVE, OPERATE, SOURCES, ACCESS}),
    # Platform scopes open no tenant's documents themselves (who manages access can make a key of a tenant that does,
    # and that tenant's audit log shows it), and no scope of a tenant opens the platform.
    PLATFORM_ADMIN: frozenset({PLATFORM_READ, SOURCES, ACCESS}),
}


class ConcurrencyClass(StrEnum):
    """Concurrency gates. Answers have their own, so that slow ones never take the place of searches."""

    SEARCH = "search"
    ANSWER = "answer"
    DOCUMENTS = "documents"


@dataclass(frozen=True, slots=True)
class Policy:
    """Requirements of a method: a scope of the verified token, and a concurrency limit when its work is heavy."""

    scope: str
    concurrency: ConcurrencyClass | None = None
    in_parts: bool = False
    """True when the parts of a call take slots, each its own, instead of the call."""
    stores: bool = False
    """True when a call leaves something behind although readers may make it."""
    only_reads: bool = False
    """True when a call changes nothing although its scope acts."""
    recorded: bool = False
    """True when the handler records a successful call in the audit log, in the transaction of the change."""

    @property
    def audited(self) -> bool:
        """True when each call is audited: those that change something are, reading is not."""
        return self.scope.endswith(".write") and not self.only_reads

    @property
    def repeatable(self) -> bool:
        """True when it only reads, so that the gateway may send a call twice."""
        return self.only_reads or (self.scope.endswith(".read") and not self.stores)


POLICIES: dict[str, Policy] = {
    "/ragproto.query.v1.QueryService/Query": Policy(READ, ConcurrencyClass.ANSWER),
    "/ragproto.query.v2.QueryService/Search": Policy(READ, ConcurrencyClass.SEARCH),
    "/ragproto.query.v2.QueryService/BatchSearch": Policy(READ, ConcurrencyClass.SEARCH, in_parts=True),
    "/ragproto.query.v2.QueryService/Answer": Policy(READ, ConcurrencyClass.ANSWER),
    "/ragproto.query.v2.QueryService/ListSources": Policy(READ),
    "/ragproto.query.v2.QueryService/GetPage": Policy(READ, ConcurrencyClass.DOCUMENTS),
    "/ragproto.query.v2.QueryService/ListAnswerers": Policy(READ),
    "/ragproto.query.v2.QueryService/GetUsage": Policy(READ),
    "/ragproto.query.v2.QueryService/SendFeedback": Policy(READ, stores=True),
    "/ragproto.query.v2.CurationService/ListCurations": Policy(OBSERVE),
    "/ragproto.query.v2.CurationService/SaveCuration": Policy(OPERATE, recorded=True),
    "/ragproto.query.v2.CurationService/RemoveCuration": Policy(OPERATE, recorded=True),
    "/ragproto.documents.v1.DocumentService/Put": Policy(DOCUMENTS_WRITE, ConcurrencyClass.DOCUMENTS, recorded=True),
    "/ragproto.documents.v1.DocumentService/Get": Policy(DOCUMENTS_READ, ConcurrencyClass.DOCUMENTS),
    "/ragproto.documents.v1.DocumentService/Delete": Policy(DOCUMENTS_WRITE, ConcurrencyClass.DOCUMENTS, recorded=True),
    "/ragproto.documents.v1.DocumentService/List": Policy(DOCUMENTS_READ, ConcurrencyClass.DOCUMENTS),
    "/ragproto.documents.v1.DocumentService/ReceiveObjectEvents": Policy(DOCUMENTS_WRITE, ConcurrencyClass.DOCUMENTS),
    "/ragproto.documents.v1.DocumentService/ExplainAccess": Policy(ACCESS, ConcurrencyClass.DOCUMENTS, recorded=True),
    "/ragproto.directories.v1.DirectoryService/GetEntries": Policy(DIRECTORIES, only_reads=True),
    "/ragproto.directories.v1.DirectoryService/GetEntry": Policy(DIRECTORIES, only_reads=True),
    "/ragproto.directories.v1.DirectoryService/SaveEntry": Policy(DIRECTORIES, recorded=True),
    "/ragproto.directories.v1.DirectoryService/DeleteEntry": Policy(DIRECTORIES, recorded=True),
    "/ragproto.admin.v1.AccessService/ListApiKeys": Policy(ACCESS, only_reads=True),
    "/ragproto.admin.v1.AccessService/CreateApiKey": Policy(ACCESS, recorded=True),
    "/ragproto.admin.v1.AccessService/RevokeApiKey": Policy(ACCESS, recorded=True),
    "/ragproto.admin.v1.AccessService/ListTokenRevocations": Policy(ACCESS, only_reads=True),
    "/ragproto.admin.v1.AccessService/RevokeTokens": Policy(ACCESS, recorded=True),
    "/ragproto.admin.v1.AccessService/ListAccounts": Policy(ACCESS, only_reads=True),
    "/ragproto.admin.v1.AccessService/CreateAccount": Policy(ACCESS, recorded=True),
    "/ragproto.admin.v1.AccessService/RemoveAccount": Policy(ACCESS, recorded=True),
    "/ragproto.admin.v1.AccessService/UnlockAccount": Policy(ACCESS, recorded=True),
    "/ragproto.admin.v1.AccessService/ListSessions": Policy(ACCESS, only_reads=True),
    "/ragproto.admin.v1.AccessService/EndSession": Policy(ACCESS, recorded=True),
    "/ragproto.admin.v1.AdminService/BuildGeneration": Policy(PLATFORM_ADMIN),
    "/ragproto.admin.v1.AdminService/EvaluateGeneration": Policy(PLATFORM_ADMIN),
    "/ragproto.admin.v1.AdminService/PromoteGeneration": Policy(PLATFORM_ADMIN),
    "/ragproto.admin.v1.AdminService/RollbackGeneration": Policy(PLATFORM_ADMIN),
    "/ragproto.admin.v1.AdminService/RetireGeneration": Policy(PLATFORM_ADMIN),
    "/ragproto.admin.v1.AdminService/GetStatus": Policy(OBSERVE),
    "/ragproto.admin.v1.DeploymentService/ListColours": Policy(PLATFORM_READ),
    "/ragproto.admin.v1.DeploymentService/ListDeployments": Policy(PLATFORM_READ),
    "/ragproto.admin.v1.DeploymentService/GetDeployment": Policy(PLATFORM_READ),
    "/ragproto.admin.v1.DeploymentService/RequestSwitch": Policy(PLATFORM_ADMIN),
    "/ragproto.admin.v1.DeploymentService/RequestRollback": Policy(PLATFORM_ADMIN),
    "/ragproto.admin.v1.EvaluationService/ListEvaluationRuns": Policy(OBSERVE),
    "/ragproto.admin.v1.EvaluationService/GetEvaluationRun": Policy(OBSERVE),
    "/ragproto.admin.v1.EvaluationService/AcceptEvaluationRun": Policy(OPERATE, recorded=True),
    "/ragproto.admin.v1.EvaluationService/ListProposedQuestions": Policy(OBSERVE),
    "/ragproto.admin.v1.EvaluationService/ProposeQuestions": Policy(OPERATE, recorded=True),
    "/ragproto.admin.v1.EvaluationService/SaveQuestion": Policy(OPERATE, recorded=True),
    "/ragproto.admin.v1.EvaluationService/DecideQuestion": Policy(OPERATE, recorded=True),
    "/ragproto.admin.v1.HistoryService/GetHistory": Policy(OBSERVE),
    "/ragproto.admin.v1.HistoryService/ListUnansweredQuestions": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/WhoAmI": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/SignOut": Policy(OBSERVE, stores=True),
    "/ragproto.admin.v1.OperationsService/ListSources": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/ListRuns": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/ReleaseDeletions": Policy(OPERATE, recorded=True),
    "/ragproto.admin.v1.OperationsService/ListQuarantine": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/GetQuarantineEntry": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/RedriveQuarantine": Policy(OPERATE, recorded=True),
    "/ragproto.admin.v1.OperationsService/DiscardQuarantine": Policy(OPERATE, recorded=True),
    "/ragproto.admin.v1.OperationsService/FindDocuments": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/InspectDocument": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/ReindexDocument": Policy(OPERATE, recorded=True),
    "/ragproto.admin.v1.OperationsService/ListSourceHistory": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/ListAudit": Policy(OPERATE, only_reads=True),
    "/ragproto.admin.v1.OperationsService/RecordAction": Policy(OPERATE, recorded=True),
    "/ragproto.admin.v1.OperationsService/RateAnswer": Policy(READ, stores=True),
    "/ragproto.admin.v1.OperationsService/ListRatings": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/ListAlerts": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/ListQuality": Policy(OBSERVE),
    "/ragproto.admin.v1.OperationsService/SearchGeneration": Policy(OBSERVE, ConcurrencyClass.SEARCH),
    "/ragproto.admin.v1.OperationsService/SearchAs": Policy(PLATFORM_ADMIN, ConcurrencyClass.SEARCH, recorded=True),
    "/ragproto.admin.v1.UsageService/ListUsage": Policy(OBSERVE),
    "/ragproto.admin.v1.UsageService/SetBudget": Policy(PLATFORM_ADMIN, recorded=True),
    "/ragproto.admin.v1.SourceService/GetSourcePermissions": Policy(SOURCES, only_reads=True),
    "/ragproto.admin.v1.SourceService/StartSourceOperation": Policy(SOURCES, recorded=True),
    "/ragproto.admin.v1.SourceService/GetSourceOperation": Policy(SOURCES, only_reads=True),
    "/ragproto.admin.v1.SourceService/ListSourceSecrets": Policy(SOURCES, only_reads=True),
    "/ragproto.admin.v1.SourceService/SetSourceSecret": Policy(SOURCES, recorded=True),
    "/ragproto.admin.v1.SourceService/RemoveSourceSecret": Policy(SOURCES, recorded=True),
    "/ragproto.admin.v1.WebhookService/ListWebhooks": Policy(SOURCES, only_reads=True),
    "/ragproto.admin.v1.WebhookService/CreateWebhook": Policy(SOURCES, recorded=True),
    "/ragproto.admin.v1.WebhookService/SetWebhookEnabled": Policy(SOURCES, recorded=True),
    "/ragproto.admin.v1.WebhookService/RotateWebhookSecret": Policy(SOURCES, recorded=True),
    "/ragproto.admin.v1.WebhookService/TestWebhook": Policy(SOURCES, recorded=True),
    "/ragproto.admin.v1.WebhookService/RemoveWebhook": Policy(SOURCES, recorded=True),
    "/ragproto.admin.v1.WebhookService/ListWebhookDeliveries": Policy(SOURCES, only_reads=True),
    "/ragproto.admin.v1.WebhookService/RedeliverWebhook": Policy(SOURCES, recorded=True),
    "/ragproto.admin.v1.TenantService/ListTenants": Policy(PLATFORM_READ),
    "/ragproto.admin.v1.TenantService/GetTenant": Policy(PLATFORM_READ),
    "/ragproto.admin.v1.TenantService/CreateTenant": Policy(PLATFORM_ADMIN, recorded=True),
    "/ragproto.admin.v1.TenantService/SuspendTenant": Policy(PLATFORM_ADMIN, recorded=True),
    "/ragproto.admin.v1.TenantService/ResumeTenant": Policy(PLATFORM_ADMIN, recorded=True),
    "/ragproto.admin.v1.TenantService/SetEgressPolicy": Policy(PLATFORM_ADMIN, recorded=True),
    "/ragproto.admin.v1.TenantService/SetQuestionWords": Policy(PLATFORM_ADMIN, recorded=True),
    "/ragproto.admin.v1.TenantService/ExportTenant": Policy(PLATFORM_ADMIN, recorded=True),
    "/ragproto.admin.v1.TenantService/EraseTenant": Policy(PLATFORM_ADMIN, recorded=True),
}

COUNTED = frozenset(method for method, policy in POLICIES.items() if policy.concurrency is not None)
"""Methods whose calls count as usage: all whose work is heavy."""

PUBLIC_SERVICES = frozenset(
    {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection"}
)
"""Served without a token: they carry no data."""


def allows(scopes: frozenset[str], wanted: str) -> bool:
    """Return whether a token with these scopes has the required one, by name or included in a wider one."""
    return wanted in scopes or any(wanted in _INCLUDES.get(scope, ()) for scope in scopes)


def grantable(scopes: frozenset[str]) -> frozenset[str]:
    """The scopes that a caller may give to others: nobody grants more than they hold."""
    held = frozenset(scope for scope in SCOPES if allows(scopes, scope))
    if PLATFORM_ADMIN in scopes:
        return frozenset(SCOPES)
    return held | frozenset(TENANT_SCOPES) if ADMIN in scopes else held


def granting(wanted: str) -> tuple[str, ...]:
    """The scopes that open what needs `wanted`: itself and those that include it."""
    return (wanted, *sorted(scope for scope, included in _INCLUDES.items() if wanted in included))


def is_public(method: str) -> bool:
    """Return whether the full method name belongs to a public service."""
    return method.removeprefix("/").partition("/")[0] in PUBLIC_SERVICES
