"""What the public interface can and cannot say, read from the descriptors, and what no bytes can make it do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from query_server.handlers.paging import PageTokens
from query_server.handlers.query.resuming import ResumeTokens
from query_server.handlers.query.validation import check_filter, clean_text
from rag_core.errors import InvalidInput, RagError, Reason, Unauthenticated
from rag_core.governance.access import TokenRules, TokenVerifier
from rag_core.retrieval.engines.remote import filter_from_wire
from ragproto.query.v2 import query_pb2 as v2
from tests.support.methods import public_methods
from tests.support.query_server import Keys

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
