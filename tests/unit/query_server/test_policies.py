"""Each RPC that a client can reach has a policy."""

from __future__ import annotations

import re

from google.protobuf.descriptor import Descriptor, MethodDescriptor

from query_server.auth.policies import ADMIN, COUNTED, OBSERVE, OPERATE, POLICIES, Policy, allows, is_public
from ragctl.tokens import known_scopes
from ragproto.query.v2.query_pb2 import Passage, SearchRequest
from tests.support.methods import public_methods


def path_of(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def paths() -> set[str]:
    return set(map(path_of, public_methods()))


def test_the_table_names_exactly_the_rpcs_of_the_descriptors() -> None:
    assert set(POLICIES) == paths()


def _carries_documents(message: Descriptor, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a message has passages, or what one asks to get some."""
    if message.full_name in {SearchRequest.DESCRIPTOR.full_name, Passage.DESCRIPTOR.full_name}:
        return True
    parts = [field.message_type for field in message.fields if field.message_type is not None]
    return any(_carries_documents(part, seen | {message.full_name}) for part in parts if part.full_name not in seen)


def test_every_method_that_searches_answers_or_serves_documents_counts_as_usage_and_the_others_are_named() -> None:
    searching = {
        path_of(method)
        for method in public_methods()
        if _carries_documents(method.input_type) or _carries_documents(method.output_type)
    }
    assert searching <= COUNTED
    # A new method of these services is decided upon here; what operators administer is free.
    free = r"ragproto\.(admin|directories)\.|CurationService"
    assert {path for path in paths() - COUNTED if not re.search(free, path)} == {
        f"/ragproto.query.v2.QueryService/{name}"
        for name in ("ListSources", "ListAnswerers", "GetUsage", "SendFeedback")
    }
    assert {path.rpartition("/")[2] for path in COUNTED if "/ragproto.admin." in path} == {
        "SearchGeneration",
        "SearchAs",
    }


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
    assert not any(map(is_public, paths()))
    assert not is_public("/ragproto.grpc.health.v1.Health/Check")


def test_what_changes_something_is_audited() -> None:
    assert Policy("documents.write").audited
    assert not Policy("query.read").audited
    assert not POLICIES["/ragproto.admin.v1.OperationsService/ListAudit"].audited  # its scope is that of operators


def test_only_what_reads_by_its_name_may_be_sent_twice() -> None:
    reading = ("Query", "Search", "BatchSearch", "Answer", "Get", "List", "Find", "Inspect", "WhoAmI")
    repeatable = {path for path, policy in POLICIES.items() if policy.repeatable}
    reads = {path for path in POLICIES if path.rpartition("/")[2].startswith(reading)}
    # It reads, and each call is an entry in the audit log.
    assert repeatable == reads - {"/ragproto.admin.v1.OperationsService/SearchAs"}


def test_a_key_or_token_can_be_given_the_scopes_of_the_table_and_that_of_a_tenant_admin() -> None:
    assert set(known_scopes()) == {policy.scope for policy in POLICIES.values()} | {ADMIN}
