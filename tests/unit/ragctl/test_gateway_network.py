"""The gateway over a bad network to its query servers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from rag_core.exit_codes import Exit
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.answerers import EchoAnswerer
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.local_stack import RAG
from tests.support.query_server import Doc, RunningServer, running
from tests.support.waiting import eventually
from tests.support.wire import WirePeer, gateway_options, running_envoy, running_gateway, wire_peer

LONG = "A passage of some length. " * 2000
NUMBERED = " ".join(f"The bell rings for the {number}th time." for number in range(4000))
"""A passage in which no part can be taken for another."""
Ended = subprocess.CompletedProcess[str]
PROBE_BYTES = 200
"""More than the answer to a health check of the gateway has."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WirePeer, FaultProxy, grpc.Channel]]:
    """A peer, the network before it, and a client of the gateway before that."""
    folder: Path = tmp_path_factory.mktemp("network")
    with (
        wire_peer() as peer,
        fault_proxy(peer.port) as network,
        running_envoy(gateway_options(network.port), folder) as address,
        grpc.insecure_channel(address) as channel,
    ):
        peer.passages = [v2.Passage(text=LONG)]
        yield peer, network, channel


def search(channel: grpc.Channel) -> v2.SearchResponse:
    return v2_grpc.QueryServiceStub(channel).Search(v2.SearchRequest(query="bell"), timeout=30)


def test_one_address_keeps_no_other_out_however_many_connections_it_opens(tmp_path: Path) -> None:
    """They are closed the sooner the more there are; beyond the limit none is taken."""
    with running_gateway(tmp_path, max_client_connections=100) as gateway, ExitStack() as held:
        host, _, port = gateway.address.partition(":")

        def ask() -> int:
            with httpx.Client(base_url=f"http://{gateway.address}", trust_env=False, timeout=10) as client:
                try:
                    return client.post("/api/v1/query", json={"query": "x"}).status_code
                except httpx.TransportError:  # there is no place for one more connection yet
                    return 0

        def count(name: str) -> int:
            url = f"http://127.0.0.1:{gateway.options.admin_port}/stats?filter=^(http.public|listener.127.*){name}$"
            lines = httpx.get(url, trust_env=False, timeout=60).text.splitlines()
            return max(int(line.rpartition(": ")[2]) for line in lines)

        def open_idle(wanted: int) -> None:
            for _ in range(wanted):
                one = socket.create_connection((host, int(port)), 10, source_address=("127.0.0.66", 0))
                held.enter_context(one)

        open_idle(90)
        assert ask() == 200
        assert count("downstream_global_cx_overflow") == 0
        # A fifth of the places is free again long before the five minutes of an idle connection are over.
        assert eventually(lambda: count("downstream_cx_active") <= 80)
        open_idle(150)
        assert eventually(lambda: count("downstream_global_cx_overflow"))
        assert eventually(lambda: ask() == 200)


@pytest.mark.catalogue("F37")
def test_a_search_whose_connection_is_reset_is_sent_again(path: tuple[WirePeer, FaultProxy, grpc.Channel]) -> None:
    _, network, channel = path
    assert search(channel).passages[0].text == LONG
    before = network.resets
    network.reset_after = 0
    assert search(channel).passages[0].text == LONG
    assert network.resets == before + 1


@pytest.mark.catalogue("F37")
def test_a_stream_that_is_cut_ends_as_an_error_and_is_not_sent_again(
    path: tuple[WirePeer, FaultProxy, grpc.Channel],
) -> None:
    peer, network, channel = path
    peer.answer = [v2.AnswerEvent(delta=v2.AnswerDelta(text=LONG)) for _ in range(12)]
    network.bytes_per_second = 100_000  # what is not read yet is still on its way when the connection is cut
    answer = v2_grpc.QueryServiceStub(channel).Answer(v2.AnswerRequest(query="bell"), timeout=60)
    seen = [next(answer)]
    network.spared_bytes, network.reset_after, network.bytes_per_second = PROBE_BYTES, 0, None
    with pytest.raises(grpc.RpcError) as cut:
        seen.extend(answer)
    assert cut.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}
    assert len(seen) < 12
    assert all(event.HasField("delta") for event in seen)


@pytest.mark.catalogue("F38")
def test_a_slow_network_delays_and_changes_nothing(path: tuple[WirePeer, FaultProxy, grpc.Channel]) -> None:
    _, network, channel = path
    network.bytes_per_second = 200_000
    try:
        assert search(channel).passages[0].text == LONG
    finally:
        network.bytes_per_second = None


class Behind:
    """A real query server behind a gateway, with a network between them, and what `rag` and others need to ask it."""

    def __init__(self, server: RunningServer, network: FaultProxy, address: str) -> None:
        self.server = server
        self.network = network
        self.address = address

    def answer(self, channel: grpc.Channel, resume_token: str = "") -> Any:
        request = v2.AnswerRequest(query="when does the bell ring?", resume_token=resume_token)
        return v2_grpc.QueryServiceStub(channel).Answer(request, metadata=self.server.auth(), timeout=30)

    @contextmanager
    def cut_in_the_middle(self, times: int = 1) -> Iterator[None]:
        """An answer asked for within comes slowly, so that its beginning arrives, and is cut; what follows as well."""
        resets, after = self.network.resets, len(NUMBERED) // 2 // times
        self.network.bytes_per_second, self.network.reset_after = 300_000, after
        self.network.then_after = [after] * (times - 1)
        yield
        self.network.bytes_per_second = None
        assert self.network.resets == resets + times


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    home: Path = tmp_path_factory.mktemp("behind")
    doc = Doc(NUMBERED, locator="bell.md")
    with (
        running(home, docs=[doc], dependencies={"answerer": EchoAnswerer(2000)}) as server,
        fault_proxy(server.ports.query) as net,
    ):
        (home / "secrets").mkdir()
        (home / "secrets" / "jwt-private.pem").write_text(server.keys.private)
        net.spared_bytes = PROBE_BYTES
        with running_envoy(replace(gateway_options(net.port), max_seconds=30), home) as address:
            yield Behind(server, net, address)


@pytest.fixture
def rag(behind: Behind) -> Callable[..., Ended]:
    """Runs `rag query` against the gateway."""
    home, port = behind.server.keys.path.parent, behind.address.rpartition(":")[2]
    environment = {**os.environ, "RAG_HOME": str(home), "RAG_GATEWAY_PORT": port}

    def query(*options: str) -> Ended:
        command = [RAG, "query", "when does the bell ring?", "--tenant", "acme", *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return query


@pytest.mark.catalogue("F37")
def test_a_cut_answer_is_resumed_through_the_gateway_with_exactly_the_rest(behind: Behind) -> None:
    with grpc.insecure_channel(behind.address) as channel:
        whole = list(behind.answer(channel))
        seen: list[v2.AnswerEvent] = []
        with behind.cut_in_the_middle(), pytest.raises(grpc.RpcError):
            seen.extend(behind.answer(channel))
        assert 0 < len(seen) < len(whole) - 1
        rest = list(behind.answer(channel, seen[-1].resume_token))
    assert "".join(event.delta.text for event in [*seen, *rest]) == f"{NUMBERED} [1]"
    assert len(seen) + len(rest) == len(whole)
    assert rest[-1].final.answered == whole[-1].final.answered


@pytest.mark.catalogue("F37")
def test_rag_query_resumes_by_itself_and_prints_no_text_twice(behind: Behind, rag: Callable[..., Ended]) -> None:
    whole = rag()
    assert whole.returncode == 0
    assert whole.stdout.startswith(f"{NUMBERED} [1]\n")
    with behind.cut_in_the_middle():
        assert rag().stdout == whole.stdout
    with behind.cut_in_the_middle():
        assert json.loads(rag("--json").stdout)["answer"] == f"{NUMBERED} [1]"


@pytest.mark.catalogue("F37")
def test_rag_query_says_so_when_the_answer_is_cut_again(behind: Behind, rag: Callable[..., Ended]) -> None:
    with behind.cut_in_the_middle(times=2):
        ended = rag()
    assert ended.returncode == Exit.UNAVAILABLE
    assert ended.stdout == "", "an answer is printed when it is complete"
    assert ended.stderr == "rag: SERVER_UNAVAILABLE: the connection to the server broke; ask again\n"


@pytest.mark.catalogue("F37")
def test_a_rest_client_sees_the_token_and_resumes(behind: Behind) -> None:
    headers = dict(behind.server.auth()) | {"accept": "text/event-stream"}

    def ask(**fields: str) -> list[dict[str, Any]]:
        body = {"query": "when does the bell ring?", **fields}
        with httpx.stream(
            "POST", f"http://{behind.address}/api/v2/answer", json=body, headers=headers, timeout=60
        ) as response:
            return [json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:")]

    whole = ask()
    rest = ask(resume_token=whole[2]["resume_token"])
    assert [event["delta"] for event in rest[:-1]] == [event["delta"] for event in whole[3:-1]]
    assert "resume_token" not in rest[-1]
    assert rest[-1]["final"]["answered"] == whole[-1]["final"]["answered"]
