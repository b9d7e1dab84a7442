"""The gateway over a bad network to its query servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.wire import WirePeer, gateway_options, running_envoy, wire_peer

LONG = "A passage of some length. " * 2000
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


def test_f37_a_search_whose_connection_is_reset_is_sent_again(path: tuple[WirePeer, FaultProxy, grpc.Channel]) -> None:
    _, network, channel = path
    assert search(channel).passages[0].text == LONG
    before = network.resets
    network.reset_after = 0
    assert search(channel).passages[0].text == LONG
    assert network.resets == before + 1


def test_f37_a_stream_that_is_cut_ends_as_an_error_and_is_not_sent_again(
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


def test_f38_a_slow_network_delays_and_changes_nothing(path: tuple[WirePeer, FaultProxy, grpc.Channel]) -> None:
    _, network, channel = path
    network.bytes_per_second = 200_000
    try:
        assert search(channel).passages[0].text == LONG
    finally:
        network.bytes_per_second = None
