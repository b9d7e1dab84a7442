from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from google.rpc import status_pb2

from console.clients.errors import Breakers, ServiceError
from console.clients.errors import from_rpc as console_error
from interfaces.errors import from_rpc as interface_error
from rag_clients.breaker import CircuitBreaker
from rag_clients.failures import Failure, read_failure
from rag_core.errors import Conflict, RagError, Reason, Unavailable
from rag_core.retrieval.engines.remote import from_status
from ragctl.grpc_client import typed_errors

CODE = grpc.StatusCode.FAILED_PRECONDITION


@dataclass
class Failed(grpc.RpcError):  # type: ignore[misc]
    """A failed call as gRPC raises it."""

    status: grpc.StatusCode
    text: str
    trailers: tuple[tuple[str, str | bytes], ...] = ()

    def code(self) -> grpc.StatusCode:
        return self.status

    def details(self) -> str:
        return self.text

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return self.trailers


def failed(*said: Message, text: str = "no", within: str = "no") -> Failed:
    packed = []
    for one in said:
        packed.append(any_pb2.Any())
        packed[-1].Pack(one)
    status = status_pb2.Status(code=CODE.value[0], message=within, details=packed)
    return Failed(CODE, text, (("x-request-id", "r1"), ("grpc-status-details-bin", status.SerializeToString())))


def refused(text: str = "no") -> Failed:
    return failed(
        details.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2, nanos=1)),
        details.ErrorInfo(reason="MASS_DELETE_HELD", metadata={"held": "7"}),
        details.BadRequest(field_violations=[details.BadRequest.FieldViolation(field="top_k")]),
        text=text,
    )


def command_error(error: grpc.RpcError) -> RagError:
    with pytest.raises(RagError) as raised, typed_errors():
        raise error
    return raised.value


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (
            refused(),
            Failure("FAILED_PRECONDITION", "no", "MASS_DELETE_HELD", {"held": "7"}, "r1", field="top_k", retry_after=3),
        ),
        (refused("made by a proxy"), Failure("FAILED_PRECONDITION", "made by a proxy", request_id="r1")),
        (Failed(grpc.StatusCode.UNAVAILABLE, "gone"), Failure("UNAVAILABLE", "gone")),
        (grpc.RpcError(), Failure("UNKNOWN", "")),
    ],
    ids=["refused", "by a proxy", "not reached", "no call"],
)
def test_a_failed_call_is_read_whole(error: grpc.RpcError, failure: Failure) -> None:
    assert read_failure(error) == failure


def test_every_face_shows_the_reason_of_the_server() -> None:
    error = refused()
    ours = (from_status(error), command_error(error))
    assert [(type(one), one.reason, one.message) for one in ours] == [(Conflict, Reason.MASS_DELETE_HELD, "no")] * 2
    assert (console_error("gateway", error).code, console_error("gateway", error).id) == ("MASS_DELETE_HELD", "r1")
    shown = interface_error(error)  # type: ignore[arg-type]
    assert (shown.status, shown.reason, shown.field, shown.retry_after) == (400, "MASS_DELETE_HELD", "top_k", 3)


def test_no_face_breaks_at_an_error_that_a_proxy_made() -> None:
    error = refused("made by a proxy")
    assert type(from_status(error)) is type(command_error(error)) is Conflict
    assert console_error("gateway", error).code == "FAILED_PRECONDITION"
    assert interface_error(error).reason == "INTERNAL"  # type: ignore[arg-type]


def test_a_server_that_is_gone_says_so_on_every_face() -> None:
    error = Failed(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses")
    assert [(type(one), one.reason) for one in (from_status(error), command_error(error))] == [
        (Unavailable, Reason.INDEX_UNAVAILABLE),
        (Unavailable, Reason.SERVER_UNAVAILABLE),
    ]
    assert (console_error("gateway", error).code, interface_error(error).status) == ("UNAVAILABLE", 503)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", "DEADLINE: no answer in time: the server is busy"),
        (grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses", "SERVER_UNAVAILABLE: the server does not"),
    ],
)
def test_what_the_grpc_library_says_by_itself_is_said_with_what_to_do(
    status: grpc.StatusCode, text: str, said: str
) -> None:
    shown = str(command_error(Failed(status, text)))
    assert shown.startswith(said)
    assert "`rag status`" in shown


def test_one_call_at_a_time_tries_a_service_that_is_silent() -> None:
    now = 0.0
    breaker = CircuitBreaker(2, 3.0, clock=lambda: now)
    assert [(breaker.let_through(), breaker.failed()) for _ in range(2)] == [(True, False), (True, True)]
    assert not breaker.let_through()
    now = 3.0
    assert [breaker.let_through(), breaker.let_through()] == [True, False]
    assert (breaker.answered(), breaker.let_through(), breaker.answered()) == (True, True, False)


@pytest.mark.parametrize(("timed_out", "skipped"), [(True, True), (False, False)])
def test_the_console_skips_calls_to_a_service_that_timed_out_alone(timed_out: bool, skipped: bool) -> None:
    breakers, reached = Breakers(), []
    for _ in range(2):
        with suppress(ServiceError), breakers.call("Dagster", "DAGSTER_UNAVAILABLE"):
            reached.append("Dagster")
            raise ServiceError("Dagster", "DAGSTER_UNAVAILABLE", timed_out=timed_out)
    with breakers.call("gateway", "DEADLINE_EXCEEDED"):
        reached.append("gateway")
    assert reached == [*["Dagster"] * (1 if skipped else 2), "gateway"]
