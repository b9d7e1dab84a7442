"""Promotions and rollbacks under queries and edits: nothing fails, nothing is mixed, no edit is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from rag_core.ingestion.promotion import build, declare, evaluate, promote, rollback
from rag_core.ingestion.verify import verify
from rag_core.retrieval.index import VectorIndex
from ragproto.admin.v1 import admin_pb2 as admin
from ragproto.admin.v1 import admin_pb2_grpc as admin_rpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_rpc
from tests.support.generations import GenerationHarness, golden, word_transforms
from tests.support.pipeline import PipelineHarness, prose
from tests.support.query_server import RunningServer, failing, running

FAR = 0.98
"""The fake models know nothing of each other: the exact text of a chunk has cosine 1 in its own model, about 0 else."""


@dataclass
class Tally:
    """What the clients saw."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    generations: list[str] = field(default_factory=list)


def ask(server: RunningServer, text: str) -> v2.SearchResponse:
    stub = v2_rpc.QueryServiceStub(server.channel)
    request = v2.SearchRequest(query=text, top_k=3, mode=v2.SEARCH_MODE_DENSE)
    return stub.Search(request, metadata=server.auth(), timeout=10)


@contextmanager
def clients(server: RunningServer, texts: list[str], tally: Tally, count: int = 2) -> Iterator[None]:
    """Clients that ask for the exact text of chunks that are never edited, one after the other."""
    ended = threading.Event()
    auth = server.auth()

    def work(first: int) -> None:
        stub = v2_rpc.QueryServiceStub(server.channel)
        for number in range(first, 1_000_000, count):
            if ended.is_set():
                return
            text = texts[number % len(texts)]
            request = v2.SearchRequest(query=text, top_k=3, mode=v2.SEARCH_MODE_DENSE)
            try:
                response = stub.Search(request, metadata=auth, timeout=10)
            except grpc.RpcError as error:
                tally.failures.append(str(error))
                continue
            tally.answered += 1
            tally.generations.append(response.generation)
            if not response.passages or response.passages[0].score < FAR:
                tally.mixed.append(f"{response.generation}: {[p.score for p in response.passages]}")

    with ThreadPoolExecutor(count) as pool:
        running_clients = [pool.submit(work, number) for number in range(count)]
        try:
            yield
        finally:
            ended.set()
            for client in running_clients:
                client.result(30)


@contextmanager
def edits(plant: GenerationHarness, made: dict[str, str]) -> Iterator[None]:
    """Runs of the source, each with a changed document, a new one and now and then a deleted one."""
    ended = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        for number in range(10_000):
            if ended.is_set():
                return
            locator = f"edited-{number % 5}.txt"
            plant.pipeline.connector.put(locator, f"Edit number {number} of this document.\n\n{prose(900 + number, 2)}")
            made[locator] = f"Edit number {number} of"
            if number % 4 == 3:
                gone = f"edited-{(number + 2) % 5}.txt"
                plant.pipeline.connector.items.pop(gone, None)
                made.pop(gone, None)
            try:
                counts = plant.run()
                assert counts.pending == 0
            except BaseException as error:
                failures.append(error)
                return

    writer = threading.Thread(target=work)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join(60)
        assert failures == []


@pytest.fixture
def plant(flow: PipelineHarness) -> GenerationHarness:
    made = GenerationHarness(flow)
    for number in range(20):
        flow.connector.put(f"{number}.txt", prose(number, 4))
    assert made.run().balanced
    return made


@pytest.fixture
def server(plant: GenerationHarness, tmp_path: Path) -> Iterator[RunningServer]:
    """A query server over the plant's index and database."""

    def instead(own: VectorIndex) -> VectorIndex:
        own.close()
        return plant.pipeline.index

    with running(tmp_path / "server", wrap=instead, open_store=lambda: plant.pipeline.store) as started:
        yield started


def exact_texts(plant: GenerationHarness) -> list[str]:
    """Chunk texts that every generation made here embeds alike."""
    rows = plant.pipeline.all(
        "SELECT c.embed_text FROM rag.chunks c JOIN rag.documents d USING (doc_id) WHERE d.locator !~ 'edited'"
    )
    return [row.embed_text for row in rows]


@pytest.mark.catalogue("F39")
def test_five_moves_under_queries_and_edits_fail_mix_and_lose_nothing(
    plant: GenerationHarness, server: RunningServer
) -> None:
    flow = plant.pipeline
    tally, made = Tally(), dict[str, str]()
    texts = exact_texts(plant)
    questions = golden({text: f"{number}.txt" for number, text in _one_per_document(plant).items()})
    old = str(flow.index.alias())
    transforms = word_transforms(version="2")
    with clients(server, texts, tally), edits(plant, made):
        new = declare(flow.store, flow.index, transforms, actor="ann").name
        assert build(flow.store, flow.index, transforms, new, flow.settings).state == "ready"
        evaluation = evaluate(flow.store, flow.index, plant.transform_registry, new, flow.settings, golden=[questions])
        assert {check.name for check in evaluation.checks if not check.passed} <= {"latency"}, evaluation
        for target in (new, old, new, old, new):
            answered = tally.answered
            if target == old:
                assert rollback(flow.store, flow.index, flow.settings, actor="ann").seconds < 5
            else:
                promote(flow.store, flow.index, new, flow.settings, actor="ann", override="a loaded machine")
            assert ask(server, texts[0]).generation == target, "the very next query is answered by it"
            wait_for_answers(tally, answered + 20)
    assert plant.run().balanced
    assert tally.failures == []
    assert tally.mixed == []
    assert set(tally.generations) == {old, new}
    for name in (old, new):
        report = verify(flow.store, flow.index, name)
        assert report.clean, report.totals
        held = plant.texts(name)
        assert all(any(edit in text for text in held) for edit in made.values())


def _one_per_document(plant: GenerationHarness) -> dict[int, str]:
    rows = plant.pipeline.all(
        "SELECT d.locator, c.embed_text FROM rag.chunks c JOIN rag.documents d USING (doc_id) WHERE c.ordinal = 0"
    )
    return {int(row.locator.removesuffix(".txt")): row.embed_text for row in rows}


def wait_for_answers(tally: Tally, count: int) -> None:
    deadline = time.monotonic() + 60
    while tally.answered < count and not tally.failures:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_operator_builds_promotes_and_rolls_back_over_admin_v1(
    plant: GenerationHarness, server: RunningServer
) -> None:
    flow = plant.pipeline
    stub = admin_rpc.AdminServiceStub(server.channel)
    auth = server.auth(scopes=["admin", "platform.admin"])
    old = str(flow.index.alias())
    transforms = word_transforms(version="2")
    new = declare(flow.store, flow.index, transforms, actor="ann", reason="better").name
    build(flow.store, flow.index, transforms, new, flow.settings)
    refused = failing(lambda: stub.PromoteGeneration(admin.PromoteGenerationRequest(generation=new), metadata=auth))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "GENERATION_REFUSED")
    stub.EvaluateGeneration(admin.EvaluateGenerationRequest(generation=new), metadata=auth)
    assert plant.row(new).evaluation_wanted_at is not None
    evaluate(flow.store, flow.index, plant.transform_registry, new, flow.settings, golden=[])
    request = admin.PromoteGenerationRequest(generation=new, override_reason="no golden set here")
    moved = stub.PromoteGeneration(request, metadata=auth).move
    assert (moved.active, moved.before, flow.index.alias()) == (new, old, new)
    found = {row.name: row for row in stub.GetStatus(admin.GetStatusRequest(), metadata=auth).generations}
    assert (found[new].state, found[old].state) == ("active", "ready")
    assert (found[new].promoted_from, found[new].reason, found[new].actor) == (old, "better", "ann")
    assert [check.name for check in found[new].checks if not check.passed] == ["retrieval"]
    assert found[old].keep_until.seconds > time.time()
    back = stub.RollbackGeneration(admin.RollbackGenerationRequest(reason="complaints"), metadata=auth).move
    assert (back.active, flow.index.alias()) == (old, old)
    stub.RetireGeneration(admin.RetireGenerationRequest(generation=new, now=True), metadata=auth)
    assert plant.row(new).state == "retired"
    history = {row.name: row for row in stub.GetStatus(admin.GetStatusRequest(), metadata=auth).generations}[new]
    assert (history.state, history.points, history.retired_at.seconds > 0) == ("retired", 0, True)
    message = [(event.action, event.actor, event.reason) for event in history.events]
    assert message == [
        ("retire", "acme/ann", ""),
        ("promote", "acme/ann", "no golden set here"),
        ("evaluate", "pipeline", ""),
        ("want_evaluation", "acme/ann", ""),
        ("build", "ann", "better"),
    ]
    assert "retrieval: only 0 golden questions" in history.events[1].detail
    actors = {row.actor for row in flow.all("SELECT actor FROM rag.audit WHERE action ~ 'promote|rollback|retire'")}
    assert "acme/ann" in actors


def test_a_server_tells_the_database_which_query_models_it_has(plant: GenerationHarness, server: RunningServer) -> None:
    flow = plant.pipeline
    declare(flow.store, flow.index, word_transforms(version="2"), actor="ann")
    server.run(server.server._models.refresh())
    (row,) = flow.all("SELECT embedders FROM rag.query_replicas")
    assert set(row.embedders) == {
        word_transforms().embedder.fingerprint,
        word_transforms(version="2").embedder.fingerprint,
    }
