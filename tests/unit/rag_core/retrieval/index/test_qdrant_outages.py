"""A Qdrant server that is away: waited for, or another node of its cluster is asked. Its part is played."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from qdrant_client import grpc as api

from query_server.runtime.dependencies import open_dependencies
from rag_core.errors import DeadlineExceeded, Reason, Unavailable
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.nodes import AGAIN_SECONDS, Node, Nodes
from rag_core.settings import Settings
from ragctl.tokens import ensure_keys
from tests.support.index_points import SPEC, ask, document
from tests.support.qdrant_server import Door, Gone, StandIn

OUTAGE_CALLS = 2


def through(*doors: Door, retry: float = 0) -> QdrantIndex:
    return QdrantIndex([Node(cast("Any", door)) for door in doors], retry=retry)


@pytest.fixture
def door() -> Door:
    return Door(StandIn())


def test_a_pipeline_waits_out_an_outage_in_the_middle_of_a_write(door: Door) -> None:
    index = through(door, retry=30)
    index.create(SPEC)
    door.loses, door.shut_for = "upsert", 0
    result = index.apply("g1", [document("a", ["a pump"], version=1)])
    door.shut_for = OUTAGE_CALLS
    index.apply("g1", [document("a", ["a valve"], version=2)])
    index.promote("g1")
    assert result.upserted == 1
    assert ask(index, "valve") == ["a valve"]
    assert index.count("g1") == 1


@pytest.mark.parametrize("lost", ["create_collection", "create_payload_index", "update_collection_aliases", "delete"])
def test_a_step_whose_answer_was_lost_may_be_taken_again(door: Door, lost: str) -> None:
    index = through(door, retry=30)
    door.loses = lost
    index.create(SPEC)
    index.apply("g1", [document("a", ["a pump"])])
    index.promote("g1")
    (chunk,) = [point.chunk_id for page in index.scroll("g1") for point in page]
    assert index.delete_points("g1", [chunk]) == 1
    assert door.loses == ""
    assert (index.alias(), index.count("g1")) == ("g1", 0)


def test_reading_everything_continues_where_an_outage_stopped_it(door: Door) -> None:
    index = through(door, retry=30)
    index.create(SPEC)
    index.apply("g1", [document("a", ["one", "two", "three"])])
    pages = index.scroll("g1", batch=1)
    first = next(pages)
    door.shut_for = OUTAGE_CALLS
    assert len({point.chunk_id for page in [first, *pages] for point in page}) == 3


def test_without_patience_an_outage_is_an_error_at_once(door: Door) -> None:
    index = through(door)
    index.create(SPEC)
    door.shut_for = 1
    with pytest.raises(Unavailable) as refused:
        index.count("g1")
    assert refused.value.reason is Reason.INDEX_UNAVAILABLE
    assert door.shut_for == 0


def test_what_time_does_not_mend_is_not_waited_for() -> None:
    class WrongKey(Gone):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAUTHENTICATED

    class Refusing(StandIn):
        def info(self) -> Any:
            raise WrongKey

    door = Door(Refusing())
    with pytest.raises(Unavailable, match="RAG_QDRANT_API_KEY"):
        through(door, retry=600).alias()
    assert door.asked == ["info"]


def test_the_setting_counts_for_pipelines_and_not_for_query_servers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, qdrant_url="http://127.0.0.1:6334", index_retry_seconds=60)
    settings.secrets_dir.mkdir()
    ensure_keys(settings)
    seen: list[float] = []

    def keep(settings: Settings) -> Any:
        seen.append(settings.index_retry_seconds)
        raise Unavailable(Reason.INDEX_UNAVAILABLE, "seen")

    monkeypatch.setattr("query_server.runtime.dependencies.open_index", keep)
    with pytest.raises(Unavailable):
        open_dependencies(settings)
    assert seen == [0.0]


def test_a_call_that_finds_a_node_away_goes_to_the_next() -> None:
    cluster = StandIn()
    one, two = Door(cluster), Door(cluster)
    index = through(one, two)
    index.create(SPEC)
    one.loses = "upsert"
    index.apply("g1", [document("a", ["a pump"])])
    index.promote("g1")
    assert ask(index, "pump") == ["a pump"]
    assert index.count("g1") == 1
    assert "upsert" in one.asked
    assert one.asked[-1] == "upsert", "a node that failed is left alone for a while"


def test_a_failed_node_is_asked_again_later() -> None:
    now = 100.0
    one, two = Door(StandIn()), Door(StandIn())
    nodes = Nodes([Node(cast("Any", door)) for door in (one, two)], retry=0, local=False, clock=lambda: now)

    def look() -> str:
        return nodes.persist(lambda: nodes.call(lambda client: client.info())).version

    one.shut_for = math.inf  # type: ignore[assignment]
    look()
    look()
    assert (len(one.calls), len(two.calls)) == (1, 2)
    now += AGAIN_SECONDS
    look()
    assert (len(one.calls), len(two.calls)) == (2, 3)
    one.shut_for = 0
    now += AGAIN_SECONDS
    look()
    assert (len(one.calls), len(two.calls)) == (3, 3)


def test_when_every_node_is_away_each_was_asked_once() -> None:
    doors = [Door(StandIn()) for _ in range(3)]
    for door in doors:
        door.shut_for = 1
    with pytest.raises(Unavailable):
        through(*doors).alias()
    assert [door.asked for door in doors] == [["info"]] * 3


def test_a_node_that_hangs_is_passed_over_by_the_next_call() -> None:
    class Hanging(StandIn):
        def info(self) -> Any:
            raise DeadlineExceeded(Reason.DEADLINE, "the Qdrant server did not answer in time")

    one, two = Door(Hanging()), Door(StandIn())
    index = through(one, two)
    with pytest.raises(DeadlineExceeded):
        index.alias()
    assert index.alias() is None
    assert one.asked == ["info"]


class _Answering(api.QdrantServicer, api.CollectionsServicer):
    """Real sockets: a node that has one alias."""

    def HealthCheck(self, request: Any, context: grpc.ServicerContext) -> Any:
        return api.HealthCheckReply(title="qdrant", version="1.19.0")

    def ListAliases(self, request: Any, context: grpc.ServicerContext) -> Any:
        alias = api.AliasDescription(alias_name="rag_rag-live", collection_name="rag_g7")
        return api.ListAliasesResponse(aliases=[alias])


@contextmanager
def node(port: int = 0) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(2))
    api.add_QdrantServicer_to_server(_Answering(), server)
    api.add_CollectionsServicer_to_server(_Answering(), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    yield bound
    server.stop(None).wait()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_over_real_sockets_the_next_address_answers_and_the_first_again_when_it_is_back() -> None:
    with node() as second:
        first = free_port()
        index = QdrantIndex.connect(f"http://127.0.0.1:{first}, http://127.0.0.1:{second}", None, 20, retry=20)
        assert index.alias() == "g7"
    with node(first):
        assert index.alias() == "g7"
    index.close()


def test_over_real_sockets_a_server_that_starts_late_is_waited_for() -> None:
    port = free_port()
    index = QdrantIndex.connect(f"http://127.0.0.1:{port}", None, 20, retry=60)
    answered = threading.Event()
    found: list[str | None] = []

    def look() -> None:
        found.append(index.alias())
        answered.set()

    threading.Thread(target=look, daemon=True).start()
    with node(port):
        assert answered.wait(60)
    assert found == ["g7"]
    index.close()
