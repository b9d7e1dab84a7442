"""What a caller may see, and that nothing else ever comes out (CATALOGUE S01-S05, B08, B19)."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import grpc
import pytest
from google.protobuf import descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rag_core.retrieval.index import SearchRequest, SearchResult, VectorIndex
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.methods import public_methods
from tests.support.query_server import GENERATION, Doc, RunningServer, failing, failure_of, running

WORDS = [
    "vacation",
    "leave",
    "salary",
    "bell",
    "office",
    "canary",
    "secret",
    "policy",
    "board",
    "lisbon",
    "年假",
    "假期",
]
CANARY = "CANARY-7f3a"


def twins() -> list[Doc]:
    """The same texts in two tenants; tenant b's carry the canary."""
    noise = random.Random(1)
    docs = []
    for number in range(12):
        text = " ".join(noise.choices(WORDS, k=20))
        docs.append(Doc(text, locator=f"{number}.md", tenant="a", source="s"))
        docs.append(
            Doc(
                f"{text} {CANARY}",
                locator=f"{number}.md",
                tenant="b",
                source=f"b-{CANARY}",
                title=CANARY,
                acl=("everyone", "user:ann"),
            )
        )
    docs.append(Doc("board salary", locator="hr.md", tenant="a", source="hr-only", acl=("group:hr",)))
    return docs


@pytest.fixture(scope="module")
def two_tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("tenants"), docs=twins()) as server:
        yield server


def random_requests(count: int) -> Iterator[v2.SearchRequest]:
    noise = random.Random(2)
    for _ in range(count):
        request = v2.SearchRequest(
            query=" ".join(noise.choices([*WORDS, CANARY], k=noise.randint(1, 6))),
            top_k=noise.choice([1, 5, 50, 100]),
            mode=noise.choice([0, 1, 2, 3]),
        )
        kind = noise.randrange(4)
        if kind == 1:
            request.filter.CopyFrom(v2.Filter(**{"not": in_filter("source", "s")}))
        elif kind == 2:
            request.filter.CopyFrom(
                v2.Filter(
                    any=v2.Filter.Group(conditions=[in_filter("title", CANARY, ""), in_filter("locator", "1.md")])
                )
            )
        yield request


def in_filter(field: str, *values: str) -> v2.Filter:
    return v2.Filter(**{"in": v2.Filter.In(field=field, values=values)})


def leaks(server: RunningServer, count: int) -> int:
    """How many answers to tenant a's random searches carry anything of tenant b."""
    stub = v2_grpc.QueryServiceStub(server.channel)
    metadata = server.auth(tenant="a")
    found = 0
    for request in random_requests(count):
        try:
            text = str(stub.Search(request, metadata=metadata))
        except grpc.RpcError as error:
            text = str(failure_of(error))
        found += CANARY in text
    return found


@pytest.mark.catalogue("S01")
def test_random_searches_of_one_tenant_never_show_another(two_tenants: RunningServer) -> None:
    assert leaks(two_tenants, 300) == 0


class WithoutTenantFilter:
    """The real index behind a bug: every search runs as the other tenant as well."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def search(self, request: SearchRequest) -> SearchResult:
        own = self._index.search(request)
        other = self._index.search(replace(request, tenant="b"))
        return SearchResult(own.generation, own.hits + other.hits)


@pytest.mark.catalogue("S02")
def test_without_the_tenant_filter_s01_fails(tmp_path: Path) -> None:
    with running(tmp_path, docs=twins(), wrap=WithoutTenantFilter) as server:
        assert leaks(server, 30) > 0


def test_an_acl_entry_opens_a_document_only_to_its_holders(two_tenants: RunningServer) -> None:
    stub = v2_grpc.QueryServiceStub(two_tenants.channel)
    request = v2.SearchRequest(query="board salary", top_k=100)

    def sources(**claims: Any) -> set[str]:
        return {
            passage.source for passage in stub.Search(request, metadata=two_tenants.auth(tenant="a", **claims)).passages
        }

    assert sources() == {"s"}
    assert sources(groups=["hr"]) == {"s", "hr-only"}
    assert sources(groups=["group:hr"]) == {"s"}
    assert sources(subject="hr") == {"s"}


# --- identifiers of another tenant, on every RPC the descriptors name ----------------------------------------


def call_raw(
    server: RunningServer, method: descriptor.MethodDescriptor, request: Message, metadata: Any
) -> list[Message]:
    path = f"/{method.containing_service.full_name}/{method.name}"
    make = server.channel.unary_stream if method.server_streaming else server.channel.unary_unary
    decode: Callable[[bytes], Message] = GetMessageClass(method.output_type).FromString
    result = make(path, request_serializer=type(request).SerializeToString, response_deserializer=decode)(
        request, metadata=metadata, timeout=20
    )
    return list(result) if method.server_streaming else [result]


def requests_with(method: descriptor.MethodDescriptor, field: str, value: str) -> Iterator[Message]:
    """Requests of a method that name `value` wherever its messages have room for an identifier."""
    yield from messages_with(method.input_type, field, value)


def messages_with(kind: descriptor.Descriptor, field: str, value: str) -> Iterator[Message]:
    """Messages of a type with `value` in a filter, in a field for identifiers, or in a message inside them."""
    names = {f.name for f in kind.fields}

    def fresh() -> Any:
        message: Any = GetMessageClass(kind)()
        if "query" in names:
            message.query = "vacation"
        if "generation" in names:
            message.generation = GENERATION
        return message

    if "filter" in names:
        message = fresh()
        if kind.fields_by_name["filter"].message_type.GetOptions().map_entry:
            message.filter[field] = value
        else:
            message.filter.CopyFrom(in_filter(field, value))
        yield message
    for name in sorted(names & {"doc_id", "chunk_id", "source", "run_id", "id", "name"}):
        message = fresh()
        numeric = kind.fields_by_name[name].cpp_type != descriptor.FieldDescriptor.CPPTYPE_STRING
        setattr(message, name, crc32(value.encode()) if numeric else value)
        yield message
    for inside in kind.fields:
        if inside.message_type is None or inside.name == "filter":
            continue
        if not inside.message_type.file.package.startswith("ragproto."):
            continue
        for part in messages_with(inside.message_type, field, value):
            message = fresh()
            target = getattr(message, inside.name)
            target.append(part) if inside.is_repeated else target.CopyFrom(part)
            yield message


def outcome(server: RunningServer, method: descriptor.MethodDescriptor, request: Message) -> object:
    try:
        responses = call_raw(server, method, request, server.auth(tenant="a"))
        return [re.sub(r"milliseconds: \d+", "", str(response)) for response in responses]
    except grpc.RpcError as error:
        return error.code(), error.details()


IDENTIFIERS = {
    "doc_id": (str(Doc("", locator="1.md", tenant="b", source=f"b-{CANARY}").doc_id), str(uuid.uuid4())),
    "source": (f"b-{CANARY}", "no-such-source"),
}


@pytest.mark.catalogue("S03")
@pytest.mark.parametrize("method", public_methods(), ids=lambda method: method.full_name)
@pytest.mark.parametrize("field", IDENTIFIERS)
def test_a_foreign_identifier_looks_like_one_that_does_not_exist(
    two_tenants: RunningServer, method: descriptor.MethodDescriptor, field: str
) -> None:
    foreign, random_one = IDENTIFIERS[field]
    for theirs, nobodys in zip(
        requests_with(method, field, foreign), requests_with(method, field, random_one), strict=True
    ):
        assert outcome(two_tenants, method, theirs) == outcome(two_tenants, method, nobodys)


_ACCESS = ("ListAccounts", "ListApiKeys", "ListSessions", "ListTokenRevocations", "RevokeApiKey", "RevokeTokens")
_WEBHOOKS = ("CreateWebhook", "ListWebhookDeliveries", "ListWebhooks", "RedeliverWebhook")
_GENERATIONS = ("EvaluateGeneration", "PromoteGeneration", "RetireGeneration", "RollbackGeneration")
_OPERATIONS = (
    *("DiscardQuarantine", "ListAlerts", "ListAudit", "ListRatings", "ListSourceHistory", "ListSources"),
    "RedriveQuarantine",
)
_TENANTS = (
    *("CreateTenant", "EraseTenant", "ExportTenant", "GetTenant", "ListTenants", "ResumeTenant", "SetEgressPolicy"),
    "SetQuestionWords",
    "SuspendTenant",
)
_EVALUATION = ("ListEvaluationRuns", "ListProposedQuestions", "SaveQuestion")
WITHOUT_IDENTIFIERS = {
    *(f"ragproto.admin.v1.AccessService.{name}" for name in _ACCESS),
    *(f"ragproto.admin.v1.WebhookService.{name}" for name in _WEBHOOKS),
    *(f"ragproto.admin.v1.AdminService.{name}" for name in _GENERATIONS),
    *(f"ragproto.admin.v1.OperationsService.{name}" for name in _OPERATIONS),
    *(f"ragproto.admin.v1.EvaluationService.{name}" for name in _EVALUATION),
    *(f"ragproto.admin.v1.HistoryService.{name}" for name in ("GetHistory", "ListUnansweredQuestions")),
    *(f"ragproto.admin.v1.TenantService.{name}" for name in _TENANTS),
    "ragproto.admin.v1.DeploymentService.ListColours",
    "ragproto.admin.v1.DeploymentService.ListDeployments",
    "ragproto.query.v2.CurationService.ListCurations",
    "ragproto.admin.v1.SourceService.ListSourceSecrets",
    "ragproto.directories.v1.DirectoryService.GetEntries",
    "ragproto.query.v2.QueryService.ListAnswerers",
    "ragproto.query.v2.QueryService.ListSources",
    "ragproto.query.v2.QueryService.GetUsage",
    *(f"ragproto.admin.v1.UsageService.{name}" for name in ("ListUsage", "SetBudget")),
}
"""Generations and deployments belong to no tenant; the others have tests of their own in
test_access, test_webhooks, test_operations, test_evaluation, test_history, test_usage, test_documents and test_scim."""


@pytest.mark.catalogue("S03")
def test_covers_every_rpc_that_takes_an_identifier() -> None:
    covered = {m.full_name for m in public_methods() if list(requests_with(m, "source", "x"))}
    assert covered | WITHOUT_IDENTIFIERS == {m.full_name for m in public_methods() if m.input_type.fields}


@pytest.mark.catalogue("B08")
def test_an_unknown_source_is_not_found_whether_absent_foreign_or_forbidden(two_tenants: RunningServer) -> None:
    stub = v2_grpc.QueryServiceStub(two_tenants.channel)
    failures = [
        failing(
            lambda name=name: stub.Search(
                v2.SearchRequest(query="x", filter=in_filter("source", name)), metadata=two_tenants.auth(tenant="a")
            )
        )
        for name in ("no-such-source", f"b-{CANARY}", "hr-only")
    ]
    assert {(f.code, f.reason, f.message) for f in failures} == {
        (grpc.StatusCode.NOT_FOUND, "SOURCE_NOT_FOUND", "filter: no such source")
    }


@pytest.mark.catalogue("B08")
def test_a_visible_source_without_a_match_is_an_empty_result(two_tenants: RunningServer) -> None:
    stub = v2_grpc.QueryServiceStub(two_tenants.channel)
    request = v2.SearchRequest(query="zzz", mode=v2.SEARCH_MODE_LEXICAL, filter=in_filter("source", "s"))
    assert not stub.Search(request, metadata=two_tenants.auth(tenant="a")).passages


# --- tokens and scopes ----------------------------------------------------------------------------------------


@pytest.mark.catalogue("B19")
@pytest.mark.parametrize("method", public_methods(), ids=lambda method: method.full_name)
@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "TOKEN_MISSING"),
        ("", "TOKEN_MISSING"),
        ("Bearer", "TOKEN_MALFORMED"),
        ("Bearer  ", "TOKEN_MALFORMED"),
        ("Basic YTpi", "TOKEN_MALFORMED"),
        ("Bearer a.b.c", "TOKEN_MALFORMED"),
        ("Bearer nonsense", "TOKEN_MALFORMED"),
    ],
)
def test_no_call_without_a_token(
    two_tenants: RunningServer, method: descriptor.MethodDescriptor, header: str | None, reason: str
) -> None:
    metadata = () if header is None else (("authorization", header),)
    request = GetMessageClass(method.input_type)()
    failure = failing(lambda: call_raw(two_tenants, method, request, metadata))
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason)


@pytest.mark.catalogue("S04")
@pytest.mark.parametrize("tenant", ["", "*", ["a", "b"], ["a"], None])
@pytest.mark.parametrize("method", public_methods(), ids=lambda method: method.full_name)
def test_a_token_without_one_tenant_opens_nothing(
    two_tenants: RunningServer, method: descriptor.MethodDescriptor, tenant: Any
) -> None:
    request = GetMessageClass(method.input_type)()
    metadata = two_tenants.auth(tenant=tenant, scopes=["query.read", "admin"])
    failure = failing(lambda: call_raw(two_tenants, method, request, metadata))
    assert (failure.code, failure.reason) == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_MISSING")


@pytest.mark.catalogue("S05")
def test_the_client_port_does_not_carry_the_index_service(two_tenants: RunningServer) -> None:
    call = two_tenants.channel.unary_unary("/ragproto.admin.v1.IndexService/ListGenerations", bytes, bytes)
    failure = failing(lambda: call(b"", metadata=two_tenants.auth(tenant="a", scopes=["admin", "query.read"])))
    assert failure.code is grpc.StatusCode.UNIMPLEMENTED
