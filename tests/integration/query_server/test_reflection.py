"""Server reflection: on or off, and whose services it shows to whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2 as pb
from grpc_reflection.v1alpha import reflection_pb2_grpc

from rag_core.settings import Settings
from tests.support.query_server import RunningServer, failing, running

PUBLIC = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
    "ragproto.documents.v1.DocumentService",
    "ragproto.query.v1.QueryService",
    "ragproto.query.v2.QueryService",
}
OPERATORS = {"ragproto.directories.v1.DirectoryService", "ragproto.query.v2.CurationService"} | {
    f"ragproto.admin.v1.{name}Service"
    for name in (
        *("Access", "Admin", "Deployment", "Evaluation", "History", "Operations", "Source", "Tenant", "Usage"),
        "Webhook",
    )
}
# The file of curations is public, because the answers of searches name what applied; its service is not listed.
ASKED = (
    *(pb.ServerReflectionRequest(file_containing_symbol=name) for name in sorted(OPERATORS) if ".admin." in name),
    pb.ServerReflectionRequest(file_containing_symbol="ragproto.admin.v1.AuditRecord"),
    pb.ServerReflectionRequest(file_by_filename="ragproto/admin/v1/admin.proto"),
    pb.ServerReflectionRequest(file_by_filename="ragproto/admin/v1/index.proto"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("reflection")) as started:
        yield started


def told(
    server: RunningServer, metadata: Any, *requests: pb.ServerReflectionRequest
) -> list[pb.ServerReflectionResponse]:
    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    return list(stub.ServerReflectionInfo(iter(requests), metadata=metadata, timeout=20))


def services(server: RunningServer, metadata: Any = ()) -> set[str]:
    (answer,) = told(server, metadata, pb.ServerReflectionRequest(list_services=""))
    return {item.name for item in answer.list_services_response.service}


def test_callers_without_an_operators_scope_see_no_admin_service_and_no_file_of_one(server: RunningServer) -> None:
    for metadata in (
        (),
        (("authorization", "Bearer nonsense"),),
        (("x-api-key", "rag_nonsense"),),
        server.auth(scopes=["query.read", "documents.read", "documents.write"]),
        server.auth(scopes=["admin"], lifetime=-1000),
        server.auth(scopes=["admin"], audience="another"),
    ):
        assert services(server, metadata) == PUBLIC
        for answer in told(server, metadata, *ASKED):
            assert answer.WhichOneof("message_response") == "error_response", answer
    (found,) = told(server, (), pb.ServerReflectionRequest(file_containing_symbol="ragproto.query.v2.SearchRequest"))
    assert found.file_descriptor_response.file_descriptor_proto


@pytest.mark.parametrize("scope", ["ops.read", "ops.write", "admin", "platform.read", "platform.admin"])
def test_an_operator_sees_the_admin_services(server: RunningServer, scope: str) -> None:
    metadata = server.auth(scopes=[scope])
    assert services(server, metadata) == PUBLIC | OPERATORS
    (found,) = told(server, metadata, ASKED[0])
    assert found.file_descriptor_response.file_descriptor_proto


def test_reflection_is_off_when_switched_off_and_in_production_unless_switched_on(tmp_path: Path) -> None:
    assert [Settings(home=tmp_path, environment=environment, reflection=wanted).show_reflection
            for environment in ("development", "production") for wanted in (None, True, False)
            ] == [True, True, False, False, True, False]  # fmt: skip
    with running(tmp_path, reflection=False) as started:
        refused = failing(lambda: services(started, started.auth(scopes=["admin"])))
        assert refused.code is grpc.StatusCode.UNIMPLEMENTED
