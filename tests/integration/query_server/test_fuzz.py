"""Every RPC with generated messages: the answer is typed, never INTERNAL or UNKNOWN, and the server lives.

The messages are made from the descriptors, so a new RPC or field is covered the day it is added. `make test` sends a
few to each method, always the same ones; `make test-fuzz` many, of a new seed. `RAG_TEST_FUZZ_SEED` repeats a run.
"""

from __future__ import annotations

import os
import random
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from query_server.auth.policies import POLICIES
from rag_core.errors import Reason
from rag_core.retrieval.engines.remote import wire
from ragproto.admin.v1 import index_pb2
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.methods import public_methods
from tests.support.query_server import INDEX_SECRET, Doc, RunningServer, failure, failure_of, running, violations

CALLS = int(os.environ.get("RAG_TEST_FUZZ_CALLS", "12"))
SEED = os.environ.get("RAG_TEST_FUZZ_SEED") or (
    str(random.SystemRandom().randrange(2**32)) if "RAG_TEST_FUZZ_CALLS" in os.environ else "1"
)
CALL_SECONDS = 5
DOCS = [Doc("The bell rings at nine.", locator="bell.txt"), Doc("Paint the hull.", locator="hull.txt")]
TYPED = {code for code in grpc.StatusCode if code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)}

TEXTS = [
    "", " ", "bell", "g1", "g2", "handbook", "acme", "other", "bell.txt", "everyone", "metadata.team", "source", "*",
    "\0", "a\0b", "\n", "\u202e", "\u200b", "\ufeff", "\U0010ffff", "年假", "%s%n{}", "../../etc/passwd", "' OR 1=1 --",
    "Green 2", "g" * 65, "x" * 1025, "代" * 3000, "9" * 400, "-1", "1e400", "nan", "2026-01-01T00:00:00Z",
    str(DOCS[0].doc_id), str(uuid.UUID(int=0)), "hybrid", "embedder", "chunk_tokens", "deploy.switch", "dagster.launch",
    "text/plain", "A" * 600,
]  # fmt: skip
INTEGERS = [0, 1, -1, 2, 10, 100, 101, 1000, 2**31 - 1, -(2**31), 2**53, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 1.0, 0.5, -1.0, 1e308, float("nan"), float("inf"), float("-inf")]
CPP = FieldDescriptor


def integer(rng: random.Random, bits: int, *, signed: bool) -> int:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return min(max(rng.choice([*INTEGERS, rng.randrange(low, high)]), low), high)


SCALARS: dict[int, Callable[[random.Random], object]] = {
    CPP.CPPTYPE_INT32: lambda rng: integer(rng, 32, signed=True),
    CPP.CPPTYPE_INT64: lambda rng: integer(rng, 64, signed=True),
    CPP.CPPTYPE_UINT32: lambda rng: integer(rng, 32, signed=False),
    CPP.CPPTYPE_UINT64: lambda rng: integer(rng, 64, signed=False),
    CPP.CPPTYPE_DOUBLE: lambda rng: rng.choice(FLOATS),
    CPP.CPPTYPE_FLOAT: lambda rng: rng.choice([number for number in FLOATS if abs(number) != 1e308]),
    CPP.CPPTYPE_BOOL: lambda rng: rng.random() < 0.5,
    CPP.CPPTYPE_ENUM: lambda rng: rng.choice([0, 1, 2, 3, 7, -1, 2**31 - 1]),
}


def scalar(field: FieldDescriptor, rng: random.Random) -> object:
    if field.type == CPP.TYPE_BYTES:
        return rng.randbytes(rng.choice([0, 1, 15, 16, 17, 256, 5000]))
    if field.cpp_type == CPP.CPPTYPE_STRING:
        return rng.choice(TEXTS)
    return SCALARS[field.cpp_type](rng)


def fill(message: Message, rng: random.Random, depth: int = 0) -> Message:
    """Set some of the fields, deep ones less often."""
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.4 + depth / 10:
            continue
        if field.is_repeated:
            fill_repeated(getattr(message, field.name), field, rng, depth)
        elif field.cpp_type == CPP.CPPTYPE_MESSAGE:
            if depth < 6:
                getattr(message, field.name).SetInParent()
                fill(getattr(message, field.name), rng, depth + 1)
        else:
            setattr(message, field.name, scalar(field, rng))
    return message


def fill_repeated(values: object, field: FieldDescriptor, rng: random.Random, depth: int) -> None:
    number = rng.choice([0, 1, 1, 2, 17] if depth < 2 else [0, 1, 2])
    entry = field.message_type
    for _ in range(number):
        if entry is not None and entry.GetOptions().map_entry:
            key, value = (entry.fields_by_name[name] for name in ("key", "value"))
            if value.cpp_type == CPP.CPPTYPE_MESSAGE:
                fill(values[scalar(key, rng)], rng, depth + 1)  # type: ignore[index]
            else:
                values[scalar(key, rng)] = scalar(value, rng)  # type: ignore[index]
        elif entry is not None:
            if depth < 6:
                fill(values.add(), rng, depth + 1)  # type: ignore[attr-defined]
        else:
            values.append(scalar(field, rng))  # type: ignore[attr-defined]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes as they are, cut, changed, or with more behind them."""
    at = rng.randrange(len(data) + 1)
    return rng.choice(
        [
            data,
            data,
            data,
            data[:at],
            data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :],
            data + rng.randbytes(9),
            rng.randbytes(64),
        ]
    )


def with_nul(message: Message, part: Message | None = None) -> Iterator[bytes]:
    """The message once for each of its texts, those in lists and maps excepted, with a NUL character in that text."""
    part = message if part is None else part
    for field, value in part.ListFields():
        if field.cpp_type == CPP.CPPTYPE_MESSAGE and not field.is_repeated:
            yield from with_nul(message, value)
        elif field.type == CPP.TYPE_STRING and not field.is_repeated:
            setattr(part, field.name, "a\0b")
            yield message.SerializeToString()
            setattr(part, field.name, value)


def methods() -> list[MethodDescriptor]:
    index = index_pb2.DESCRIPTOR.services_by_name["IndexService"].methods
    health = health_pb2.DESCRIPTOR.services_by_name["Health"].methods
    reflection = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].methods
    return [*public_methods(), *index, *(method for method in health if method.name == "Check"), *reflection]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home: Path = tmp_path_factory.mktemp("fuzz")
    limits = {"promote_wait_seconds": 0.2, "max_document_bytes": 10_000}
    with running(home, docs=DOCS, metadata_fields=frozenset({"team"}), **limits) as started:
        yield started


@pytest.fixture(scope="module")
def index_channel(server: RunningServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.index_target) as channel:
        yield channel


def call(channel: grpc.Channel, method: MethodDescriptor, sent: list[bytes], metadata: object) -> grpc.StatusCode:
    """The status of one call; everything that comes back is read to its end."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    streams = (method.client_streaming, method.server_streaming)
    kinds = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    request = iter(sent) if method.client_streaming else sent[0]
    try:
        answer = kinds[streams](path)(request, metadata=metadata, timeout=CALL_SECONDS)
        for _ in answer if method.server_streaming else ():
            pass
    except grpc.RpcError as error:
        found = failure_of(error)
        if found.code in TYPED and path in POLICIES and found.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
            assert found.reason, f"no reason code with {found}"
            if found.code is grpc.StatusCode.INVALID_ARGUMENT and found.reason != Reason.MESSAGE_INVALID:
                fields = {re.split(r"[.\[]", field)[0] for field, _ in violations(error)}
                assert fields, f"no field is named by {found}"
                assert fields <= set(method.input_type.fields_by_name), f"not a field of the request: {found}"
        return found.code
    return grpc.StatusCode.OK


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name.removeprefix("ragproto."))
@pytest.mark.timeout(max(120, CALLS))
def test_whatever_is_sent_the_answer_is_typed_and_the_server_lives(
    server: RunningServer, index_channel: grpc.Channel, method: MethodDescriptor
) -> None:
    rng = random.Random(f"{SEED} {method.full_name}")
    kind, scopes = GetMessageClass(method.input_type), sorted({policy.scope for policy in POLICIES.values()})
    own = method.containing_service.full_name.endswith(".IndexService")
    metadata = ((wire.SECRET_KEY, INDEX_SECRET),) if own else server.auth(scopes=scopes, groups=["hr"])
    for number in range(CALLS):
        messages = [fill(kind(), rng) for _ in range(rng.choice([1, 1, 3]) if method.client_streaming else 1)]
        sent = [damaged(message.SerializeToString(), rng) for message in messages]
        code = call(index_channel if own else server.channel, method, sent, metadata)
        assert code in TYPED, f"{code}, seed {SEED}, call {number}: {messages}"


@pytest.mark.parametrize("method", public_methods(), ids=lambda method: method.full_name.removeprefix("ragproto."))
def test_a_character_that_the_database_cannot_store_is_no_internal_error_in_any_field(
    server: RunningServer, method: MethodDescriptor
) -> None:
    """Whichever handler forgets to look: the rule is where a parameter meets the database."""
    rng = random.Random(method.full_name)
    kind, scopes = GetMessageClass(method.input_type), sorted({policy.scope for policy in POLICIES.values()})
    metadata = server.auth(scopes=scopes, groups=["hr"])
    for data in {data for _ in range(3) for data in with_nul(fill(kind(), rng))}:
        code = call(server.channel, method, [data], metadata)
        assert code in TYPED, f"{code}: {kind.FromString(data)}"


def test_after_all_that_the_server_still_answers(server: RunningServer) -> None:
    stub = v2_grpc.QueryServiceStub(server.channel)
    found = failure(lambda: stub.Search(v2.SearchRequest(query="bell"), metadata=server.auth(), timeout=20))
    assert found is None or found.code in TYPED, "the index service was asked to reset or retire what there was"
    tasks = (
        "revocations",
        "permissions",
        "readiness",
        "query models",
        "audit",
        "freshness",
        "source gauges",
        "generation gauges",
        "directory gauges",
    )
    sample = server.server.metrics.registry.get_sample_value
    assert {sample("rag_server_background_failures_total", {"task": task}) for task in tasks} == {0}
