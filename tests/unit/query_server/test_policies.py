"""Each RPC that a client can reach has a policy."""

from __future__ import annotations

from query_server.policies import ADMIN, POLICIES, is_public
from ragproto.admin.v1 import admin_pb2
from ragproto.documents.v1 import documents_pb2
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v2 import query_pb2 as v2


def methods() -> set[str]:
    services = [
        service
        for module in (v1, v2, documents_pb2, admin_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
    ]
    return {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}


def test_the_table_names_exactly_the_rpcs_of_the_descriptors() -> None:
    assert set(POLICIES) == methods()


def test_admin_methods_need_the_admin_scope() -> None:
    assert all((policy.scope == ADMIN) == ("/ragproto.admin." in name) for name, policy in POLICIES.items())


def test_only_health_and_reflection_are_public() -> None:
    assert is_public("/grpc.health.v1.Health/Check")
    assert not any(map(is_public, methods()))
    assert not is_public("/ragproto.grpc.health.v1.Health/Check")
