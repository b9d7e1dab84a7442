"""Each RPC that a client can reach has a policy."""

from __future__ import annotations

from query_server.policies import ADMIN, OBSERVE, OPERATE, POLICIES, allows, is_public
from ragproto.admin.v1 import admin_pb2, operations_pb2
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v2 import query_pb2 as v2


def methods() -> set[str]:
    services = [
        service
        for module in (v1, v2, admin_pb2, operations_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
    ]
    return {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}


def test_the_table_names_exactly_the_rpcs_of_the_descriptors() -> None:
    assert set(POLICIES) == methods()


def test_a_reader_of_answers_operates_nothing() -> None:
    open_to_readers = {name for name, policy in POLICIES.items() if allows(frozenset({"query.read"}), policy.scope)}
    assert {name for name in open_to_readers if "/ragproto.admin." in name} == {
        "/ragproto.admin.v1.OperationsService/RateAnswer"
    }


def test_wider_scopes_include_narrower_ones_and_never_the_other_way_round() -> None:
    order = [OBSERVE, OPERATE, ADMIN]
    for held, name in enumerate(order):
        assert [allows(frozenset({name}), wanted) for wanted in order] == [held >= number for number in range(3)]


def test_only_health_and_reflection_are_public() -> None:
    assert is_public("/grpc.health.v1.Health/Check")
    assert not any(map(is_public, methods()))
    assert not is_public("/ragproto.grpc.health.v1.Health/Check")
