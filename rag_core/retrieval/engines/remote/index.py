"""The client of an Edge index in another process, over `admin.v1.IndexService` on loopback.

Every call is idempotent (deterministic ids, fencing versions), so a call that finds no server is repeated for as long
as the settings allow: pipelines survive a restart of the query server.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import grpc
import stamina

from rag_clients.failures import read_failure
from rag_core.errors import DeadlineExceeded, Exhausted, RagError, Reason, Unavailable, kind_of
from rag_core.retrieval.engines.remote import wire
from rag_core.retrieval.index import (
    ApplyResult,
    ChunkRange,
    DocumentUpdate,
    GenerationSpec,
    IndexPoint,
    SearchRequest,
    SearchResult,
    SelfRetrieval,
    checks,
)
from rag_tracing import outgoing
from ragproto.admin.v1 import index_pb2 as pb
from ragproto.admin.v1 import index_pb2_grpc

MAX_RESPONSE_BYTES = 64 << 20
OPTIMIZE_SECONDS = 6 * 3600.0
"""Optimizing a generation of a million chunks takes hours on a small machine."""
_IDS_PER_CALL = 500
Result = TypeVar("Result")

_DEFAULT_REASONS = {DeadlineExceeded: Reason.DEADLINE, Exhausted: Reason.OVERLOADED}


class RemoteIndex:
    """See `VectorIndex`. `timeout` (of one call) and `retry` (waiting for a server to return) are in seconds."""

    def __init__(self, endpoint: str, secret: str, timeout: float, retry: float) -> None:
        self._channel = grpc.insecure_channel(
            endpoint,
            options=[
                ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
                # Reconnect to a restarted server within a second, not after gRPC's minutes of backoff.
                ("grpc.max_reconnect_backoff_ms", 1000),
                ("grpc.initial_reconnect_backoff_ms", 100),
            ],
        )
        self._stub = index_pb2_grpc.IndexServiceStub(self._channel)
        self._metadata = ((wire.SECRET_KEY, secret),)
        self._timeout = timeout
        self._retry = retry

    def create(self, spec: GenerationSpec) -> None:
        checks.check_spec(spec)
        self._call(self._stub.CreateGeneration, pb.CreateGenerationRequest(spec=wire.spec_to_wire(spec)))

    def drop(self, generation: str) -> None:
        self._call(self._stub.DropGeneration, pb.DropGenerationRequest(generation=generation))

    def reset(self, generation: str) -> None:
        self._call(self._stub.ResetGeneration, pb.ResetGenerationRequest(generation=generation))

    def generations(self) -> list[GenerationSpec]:
        response = self._call(self._stub.ListGenerations, pb.ListGenerationsRequest())
        return [wire.spec_from_wire(spec) for spec in response.generations]

    def alias(self) -> str | None:
        return self._call(self._stub.ListGenerations, pb.ListGenerationsRequest()).alias or None

    def promote(self, generation: str) -> None:
        self._call(self._stub.Promote, pb.PromoteRequest(generation=generation))

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        newest, older = checks.latest(updates)
        work = list(newest.values())
        # A stream of requests can be sent only once, so each attempt makes its own.
        response = self._attempt(
            lambda: self._stub.Apply(wire.apply_frames(generation, work), timeout=self._timeout, metadata=self._sent())
        )
        return ApplyResult(response.upserted, response.removed, response.stale + older)

    def search(self, request: SearchRequest) -> SearchResult:
        return wire.result_from_wire(self._call(self._stub.SearchIndex, wire.search_to_wire(request)))

    def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        message = wire.around_to_wire(request, places)
        return list(map(wire.point_from_wire, self._call(self._stub.AroundPoints, message).points))

    def count(self, generation: str, *, tenant: str | None = None, source: str | None = None) -> int:
        request = pb.CountRequest(generation=generation, tenant=tenant or "", source=source or "")
        return int(self._call(self._stub.Count, request).points)

    def differences(self, generation: str) -> list[str]:
        return []  # opening a generation checks its files against their manifest

    def scroll(self, generation: str, *, batch: int = 1000, with_vectors: bool = True) -> Iterator[list[IndexPoint]]:
        request = pb.ScrollRequest(
            generation=generation, batch=min(batch, wire.MAX_SCROLL_BATCH), with_vectors=with_vectors
        )
        # No retry within a stream: the caller would get points twice. No deadline: the caller sets the pace.
        call = self._stub.Scroll(request, metadata=self._metadata)
        try:
            for response in call:
                yield [wire.point_from_wire(point) for point in response.points]
        except grpc.RpcError as error:
            raise from_status(error) from error
        finally:
            call.cancel()

    def fetch(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> list[IndexPoint]:
        points: list[IndexPoint] = []
        for ids in _chunks(chunk_ids):
            request = pb.FetchPointsRequest(generation=generation, chunk_ids=ids)
            points += map(wire.point_from_wire, self._call(self._stub.FetchPoints, request).points)
        return points

    def self_retrieval(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> SelfRetrieval:
        requests = (pb.SelfRetrievalRequest(generation=generation, chunk_ids=ids) for ids in _chunks(chunk_ids))
        return wire.self_retrieval_from_wire([self._call(self._stub.SelfRetrieval, one) for one in requests])

    def delete_points(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> int:
        requests = (pb.DeletePointsRequest(generation=generation, chunk_ids=ids) for ids in _chunks(chunk_ids))
        return sum(self._call(self._stub.DeletePoints, request).removed for request in requests)

    def optimize(self, generation: str) -> None:
        self._call(self._stub.Optimize, pb.OptimizeRequest(generation=generation), timeout=OPTIMIZE_SECONDS)

    def close(self) -> None:
        self._channel.close()

    def _call(self, method: Callable[..., Any], request: object, timeout: float | None = None) -> Any:
        seconds = timeout or self._timeout
        return self._attempt(lambda: method(request, timeout=seconds, metadata=self._sent()))

    def _sent(self) -> tuple[tuple[str, str], ...]:
        return (*self._metadata, *outgoing())

    def _attempt(self, call: Callable[[], Any]) -> Any:
        attempts = None if self._retry else 1
        for attempt in stamina.retry_context(
            on=_server_is_away, attempts=attempts, timeout=self._retry or None, wait_max=2.0, wait_jitter=0.2
        ):
            with attempt:
                try:
                    return call()
                except grpc.RpcError as error:
                    raise from_status(error) from error
        raise Unavailable(Reason.INDEX_UNAVAILABLE, "the index service cannot be reached")


def from_status(error: grpc.RpcError) -> RagError:
    """Restore the server's error: its class from the status code, its reason from `google.rpc.ErrorInfo`."""
    failure = read_failure(error)
    kind = kind_of(failure.status)
    if failure.reason in Reason.__members__:
        return kind(Reason(failure.reason), failure.message, **failure.metadata)
    if kind is Unavailable:
        return Unavailable(
            Reason.INDEX_UNAVAILABLE, "the index service cannot be reached; is the query server running?"
        )
    return kind(_DEFAULT_REASONS.get(kind, Reason.INTERNAL), f"the index service failed with {failure.status}")


def _server_is_away(error: Exception) -> bool:
    # An empty index is `Unavailable` too, but waiting does not fill it.
    return isinstance(error, Unavailable) and error.reason is not Reason.INDEX_EMPTY


def _chunks(ids: Sequence[uuid.UUID]) -> Iterator[list[bytes]]:
    for start in range(0, len(ids), _IDS_PER_CALL):
        yield [chunk_id.bytes for chunk_id in ids[start : start + _IDS_PER_CALL]]
