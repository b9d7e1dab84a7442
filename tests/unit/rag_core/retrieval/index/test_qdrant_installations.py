"""Several installations on one Qdrant server, and collections that are not whole. The server's part is played."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import Any

import pytest

from rag_core.content.parsing import Parser
from rag_core.database import Store
from rag_core.errors import ConfigError, Conflict, NotFound, Reason
from rag_core.ingestion.verify import verify
from rag_core.ingestion.verify.report import FindingKind
from rag_core.retrieval.engines.qdrant import store as installation
from rag_core.retrieval.engines.qdrant.collections import ALIAS, Installation, require_version
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.engines.qdrant.layout import ONE_NODE
from rag_core.retrieval.engines.qdrant.opening import _installation
from rag_core.retrieval.index import GenerationSpec
from rag_core.settings import FieldType, Settings
from tests.support.index_points import SPEC, ask, document
from tests.support.pipeline import PipelineHarness
from tests.support.qdrant_server import StandIn
from tests.support.waiting import run_together


@pytest.fixture
def server() -> StandIn:
    return StandIn()


def installed(server: StandIn, prefix: str, identity: str | None = None, **more: Any) -> QdrantIndex:
    mine = Installation(prefix, identity or uuid.uuid4().hex, **more)
    return QdrantIndex(server, lambda: mine)


def names(server: StandIn) -> set[str]:
    return {item.name for item in server.get_collections().collections}


def test_two_installations_on_one_server_do_not_see_each_other(server: StandIn) -> None:
    one, two = installed(server, "one"), installed(server, "two")
    for index, text in ((one, "walrus of one"), (two, "walrus of two")):
        index.create(SPEC)
        index.apply("g1", [document("a", [text])])
        index.promote("g1")
    assert (ask(one, "walrus"), ask(two, "walrus")) == (["walrus of one"], ["walrus of two"])
    assert one.generations() == two.generations() == [SPEC]
    assert one.alias() == two.alias() == "g1"
    points = [point.chunk_id for page in one.scroll("g1") for point in page]
    two.reset("g1")
    assert one.count("g1") == len(points) == 1


def test_a_collection_of_another_installation_is_neither_read_nor_written_nor_dropped(server: StandIn) -> None:
    installed(server, "same").create(SPEC)
    other = installed(server, "same")
    calls: list[Any] = [
        lambda: other.create(SPEC),
        lambda: other.apply("g1", [document("a", ["x"])]),
        lambda: other.count("g1"),
        lambda: other.promote("g1"),
        lambda: other.reset("g1"),
        lambda: other.drop("g1"),
    ]
    for call in calls:
        with pytest.raises(Conflict) as refused:
            call()
        assert refused.value.reason is Reason.INDEX_FOREIGN
    assert other.generations() == []
    assert names(server) == {"same_g1"}


def as_release_0_1(server: StandIn, *texts: str) -> None:
    """A collection and an alias without prefix and id, as the first release made them."""
    index = installed(server, "old", "old")
    index.create(SPEC)
    index.apply("g1", [document(f"d{n}", [text]) for n, text in enumerate(texts)])
    collections = server._client.collections  # type: ignore[attr-defined]
    collections["g1"] = collections.pop("old_g1")
    del collections["g1"].config.metadata["rag_platform"]["installation"]
    server._client.aliases[ALIAS] = "g1"  # type: ignore[attr-defined]


def test_a_collection_without_an_id_is_adopted_once_its_points_prove_to_be_ours(server: StandIn) -> None:
    as_release_0_1(server, "walrus")
    index = installed(server, "acme", owns=lambda generation, points: generation == "g1" and len(points) == 1)
    assert index.alias() == "g1"
    assert ask(index, "walrus") == ["walrus"]
    stranger = installed(server, "beta", owns=lambda generation, points: True)
    assert stranger.generations() == []
    assert stranger.alias() is None
    index.create(GenerationSpec("g2", SPEC.dimensions, "e2", "c"))
    index.promote("g2")
    aliases = {one.alias_name: one.collection_name for one in server.get_aliases().aliases}
    assert aliases == {"acme_rag-live": "acme_g2", ALIAS: "acme_g2"}, "readers of release 0.1 move too"


@pytest.mark.parametrize("texts", [[], ["walrus"]], ids=["empty", "of other rows"])
def test_a_collection_without_an_id_that_proves_nothing_is_left_alone(server: StandIn, texts: list[str]) -> None:
    as_release_0_1(server, *texts)
    index = installed(server, "acme", owns=lambda _generation, _points: False)
    assert (index.alias(), index.generations()) == (None, [])
    index.create(SPEC)
    index.apply("g1", [document("mine", ["walrus"])])
    assert {"g1", "acme_g1"} <= names(server)
    index.drop("g1")
    assert names(server) == {"g1"}


@pytest.mark.parametrize("after", [0, 1, 5])
def test_payload_indexes_that_a_dead_process_left_out_are_made_up_for(server: StandIn, after: int) -> None:
    mine = Installation("acme", "id")
    dying = QdrantIndex(server, lambda: mine)
    server.dies_after = after
    with pytest.raises(KeyboardInterrupt):
        dying.create(SPEC)
    server.dies_after = None
    assert len(server.indexes.get("acme_g1", {})) == after
    wanted = set(ONE_NODE.payload_indexes({}))
    QdrantIndex(server, lambda: mine).create(SPEC)
    assert set(server.indexes["acme_g1"]) == wanted
    server.indexes["acme_g1"].clear()
    QdrantIndex(server, lambda: mine).apply("g1", [document("a", ["x"])])
    assert set(server.indexes["acme_g1"]) == wanted, "also when it is only written to"


def test_a_configuration_that_differs_is_named_and_indexes_are_made_up_for(server: StandIn) -> None:
    mine = Installation("acme", "id")
    index = QdrantIndex(server, lambda: mine)
    index.create(SPEC)
    assert index.differences("g1") == []
    server.indexes["acme_g1"].clear()
    again = QdrantIndex(server, lambda: mine)
    assert again.differences("g1") == []
    assert server.indexes["acme_g1"]
    server._client.collections["acme_g1"].config.metadata["rag_platform"]["dimensions"] = 999  # type: ignore[attr-defined]
    assert QdrantIndex(server, lambda: mine).differences("g1") == [
        "vector dense is not of 999 dimensions with cosine distance"
    ]


def test_verify_reports_a_configuration_that_differs(store: Store, settings: Settings, parser: Parser) -> None:
    server, mine = StandIn(), Installation("acme", "id")
    flow = PipelineHarness(store, QdrantIndex(server, lambda: mine), parser, settings)
    flow.connector.put("a.txt", "The walrus sleeps.")
    flow.run()
    assert verify(store, flow.index).clean
    (name,) = names(server)
    server._client.collections[name].config.sparse_vectors["lexical"].modifier = None  # type: ignore[attr-defined]
    report = verify(store, flow.index)
    assert report.totals[FindingKind.CONFIGURATION] == 1


def test_the_rows_prove_whose_points_they_are(store: Store, settings: Settings, parser: Parser) -> None:
    server, mine = StandIn(), Installation("acme", "id")
    flow = PipelineHarness(store, QdrantIndex(server, lambda: mine), parser, settings)
    for number in range(5):
        flow.connector.put(f"{number}.txt", f"Walrus number {number} sleeps.")
    flow.run()
    generation, points = str(flow.index.alias()), flow.points()
    stale = [replace(point, payload=replace(point.payload, version=9)) for point in points]
    with store.engine.connect() as connection:
        assert installation.read_id(connection) == installation.read_id(connection)
        assert installation.owns(connection, generation, points)
        assert not installation.owns(connection, generation, stale)
        assert not installation.owns(connection, "another", points)
        assert not installation.owns(connection, generation, [])


def test_the_prefix_comes_from_the_settings_or_from_the_id_of_the_installation(
    store: Store, settings: Settings
) -> None:
    own = settings.model_copy(update={"qdrant_url": "http://127.0.0.1:6334"})
    with store.engine.connect() as connection:
        identity = installation.read_id(connection)
    found = _installation(own)
    assert (found.prefix, found.id) == (f"rag-{identity[:8]}", identity)
    assert _installation(own.model_copy(update={"qdrant_prefix": "acme"})).prefix == "acme"


def test_declared_metadata_fields_get_their_payload_index(server: StandIn) -> None:
    mine = Installation("acme", "id")
    declared = {"team": FieldType.KEYWORD, "price": FieldType.NUMBER, "due": FieldType.TIME}
    QdrantIndex(server, lambda: mine, metadata=declared).create(SPEC)
    assert {"metadata.team", "metadata.price", "numbers.price", "metadata.due"} <= set(server.indexes["acme_g1"])


def test_a_server_that_drops_the_corpus_of_term_statistics_is_refused(server: StandIn) -> None:
    old = StandIn("1.18.4")
    with pytest.raises(ConfigError, match=r"1\.18\.4") as refused:
        installed(old, "acme").create(SPEC)
    assert refused.value.reason is Reason.INDEX_VERSION
    assert names(old) == set()
    for version in ("1.19.0", "1.20", "v2.0.1", "1.119.0"):
        require_version(version)


def test_the_installation_is_asked_for_once_also_by_threads(server: StandIn) -> None:
    asked: list[int] = []

    def ask_once() -> Installation:
        asked.append(1)
        return Installation("acme", "id")

    index = QdrantIndex(server, ask_once)
    index.create(SPEC)
    run_together(threading.Thread(target=index.count, args=("g1",)) for _ in range(4))
    assert len(asked) == 1


class _ServerError(Exception):
    """A gRPC error as qdrant-client raises it."""

    def __init__(self, name: str, details: str) -> None:
        super().__init__(f"<_InactiveRpcError: {name}, {details}>")
        self._name, self._details = name, details

    def code(self) -> Any:
        return type("Code", (), {"name": self._name})

    def details(self) -> str:
        return self._details


def test_only_a_missing_collection_is_a_missing_generation() -> None:
    from rag_core.retrieval.engines.qdrant.filters import translated

    strict = 'Wrong input: Index required but not found for "metadata.team" of one of the following types: [keyword]'
    error = translated(_ServerError("INVALID_ARGUMENT", strict))
    assert error.reason is Reason.INDEX_UNAVAILABLE
    assert "RAG_METADATA_FIELDS" in error.message
    assert translated(_ServerError("UNAVAILABLE", "service not found")).reason is Reason.INDEX_UNAVAILABLE
    for gone in (_ServerError("NOT_FOUND", "Collection `g1` doesn't exist!"), ValueError("Collection g1 not found")):
        assert isinstance(translated(gone), NotFound)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://user:secret@host:6334", "without a user"),
        ("http://host:6334/prefix", "without a path"),
        ("http://host:6334?x=1", "without a path"),
        ("http://host:6333", "REST"),
        ("grpc://host:6334", "http"),
        ("http://:6334", "http"),
        ("http://host:99999", "port"),
    ],
)
def test_an_address_that_would_be_half_ignored_is_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        QdrantIndex.connect(url, None, 1)
    assert refused.value.reason is Reason.CONFIG_INVALID
    assert "secret" not in str(refused.value)
