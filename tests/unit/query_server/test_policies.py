"""Each RPC that a client can reach has a policy. What the public interface can and cannot say, read from the
descriptors, and what no bytes can make it do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from query_server.auth.policies import ADMIN, COUNTED, OBSERVE, OPERATE, POLICIES, Policy, allows, is_public
from query_server.handlers.paging import PageTokens
from query_server.handlers.query.resuming import ResumeTokens
from query_server.handlers.query.validation import check_filter, clean_text
from rag_core.errors import InvalidInput, RagError, Reason, Unauthenticated
from rag_core.governance.access import TokenRules, TokenVerifier
from rag_core.retrieval.engines.remote import filter_from_wire
from ragctl.tokens import known_scopes
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2.query_pb2 import Passage, SearchRequest
from tests.support.methods import public_methods
from tests.support.query_server import Keys


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


FLOATS = {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}


def fields(kind: Descriptor, seen: set[str] | None = None) -> Iterator[FieldDescriptor]:
    """Every field that a message can hold, those of messages within it included."""
    seen = set() if seen is None else seen
    if kind.full_name in seen:
        return
    seen.add(kind.full_name)
    for field in kind.fields:
        yield field
        if field.message_type is not None:
            yield from fields(field.message_type, seen)


@pytest.mark.catalogue("S16")
@pytest.mark.parametrize("method", public_methods(), ids=lambda method: method.full_name)
def test_no_answer_has_room_for_a_vector(method: MethodDescriptor) -> None:
    assert [
        field.full_name
        for field in fields(method.output_type)
        if "vector" in field.name or (field.is_repeated and field.cpp_type in FLOATS)
    ] == []


@pytest.mark.catalogue("S50")
@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_filter_or_a_typed_error(data: bytes) -> None:
    with suppress(DecodeError, InvalidInput):
        condition = filter_from_wire(v2.Filter.FromString(data))
        check_filter(condition, metadata_fields={"team": "text"})


@pytest.mark.catalogue("S50")
@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=50))
def test_any_text_is_a_query_or_a_typed_error(text: str) -> None:
    with suppress(InvalidInput):
        assert clean_text(text, limit=8192).strip()


@pytest.mark.catalogue("S50")
@settings(max_examples=300, deadline=None)
@given(token=st.text(max_size=120))
def test_any_text_is_no_page_token_and_no_resume_token(token: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        PageTokens(b"a secret").read(token, b"context")
    assert refused.value.reason is Reason.PAGE_TOKEN_INVALID
    with pytest.raises(InvalidInput) as refused:
        ResumeTokens(b"a secret").read(token, b"context")
    assert refused.value.reason is Reason.RESUME_TOKEN_INVALID


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> tuple[TokenVerifier, str]:
    keys = Keys(tmp_path_factory.mktemp("keys"))
    return TokenVerifier(keys.path, TokenRules("rag-platform", "rag-query", 3600, 60)), keys.token()


@pytest.mark.catalogue("S50")
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_token_changed_anywhere_is_refused(verifier: tuple[TokenVerifier, str], data: st.DataObject) -> None:
    checks, good = verifier
    position = data.draw(st.integers(0, len(good) - 2))  # the last character holds bits that no one reads
    changed = good[:position] + data.draw(st.text(max_size=8)) + good[position + 1 :]
    if changed != good:
        with pytest.raises(RagError) as refused:
            checks.check(changed)
        assert isinstance(refused.value, Unauthenticated)
