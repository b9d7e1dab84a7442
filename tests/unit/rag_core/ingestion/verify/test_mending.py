"""A damaged embedded index is not served and fills itself again from the rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from query_server.runtime.mending import FIRST_PAUSE_SECONDS, Mender
from rag_core.database import Store, open_store
from rag_core.errors import DataCorruption, Reason, Unavailable
from rag_core.governance.audit import audit_store as audit
from rag_core.ingestion.alerts import AlertKind, rebuilt_indexes
from rag_core.ingestion.verify import verify
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.engines.edge.index import ALIAS
from rag_core.retrieval.index import SearchMode, SearchRequest, SearchResult
from rag_core.retrieval.search import hybrid as retrieval
from tests.support.pipeline import PipelineHarness


def _search(index: EdgeIndex) -> SearchResult:
    wanted = SearchRequest("acme", ("everyone",), 5, mode=SearchMode.LEXICAL, text="closing paragraph")
    return index.search(wanted)


def _generation(flow: PipelineHarness) -> str:
    alias = flow.index.alias()
    assert alias is not None
    return alias


def _mender(flow: PipelineHarness, index: EdgeIndex) -> Mender:
    return Mender(index, lambda: open_store(flow.settings))


Damage = Callable[[Path], object]
Stopped = Callable[[Damage], EdgeIndex]


@pytest.fixture
def stopped(flow: PipelineHarness, folder: Path) -> Iterator[Stopped]:
    """The index, stopped, damaged and opened by the process that owns it."""

    def reopened(damage: Damage) -> EdgeIndex:
        name = _generation(flow)
        flow.index.close()
        damage(folder / "generations" / name)
        flow.index = EdgeIndex(folder, repair=True)
        return flow.index

    yield reopened
    flow.index.close()


def _cut_segments(generation: Path) -> None:
    for path in generation.glob("shard-*/segments/**/*"):
        if path.is_file() and path.stat().st_size > 64:
            path.write_bytes(b"\xff" * 64)


def _lose_segments(generation: Path) -> None:
    for path in generation.glob("shard-*/segments"):
        shutil.rmtree(path)


def _cut_specification(generation: Path) -> None:
    (generation / "spec.json").write_bytes(b"{")


def _cut_alias(generation: Path) -> None:
    (generation.parents[1] / ALIAS).write_bytes(b"")


DAMAGES = [_cut_segments, _lose_segments, _cut_specification, _cut_alias, shutil.rmtree]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_files_are_filled_again_without_embedding_anything(
    flow: PipelineHarness, stopped: Stopped, damage: Damage
) -> None:
    name, embedded = _generation(flow), flow.embedder.texts
    index = stopped(damage)
    with pytest.raises((DataCorruption, Unavailable)) as refused:
        _search(index)
    assert refused.value.reason in {Reason.INDEX_CORRUPT, Reason.INDEX_EMPTY}
    mender = _mender(flow, index)
    assert mender.run_once() == [name]
    assert _search(index).hits
    assert verify(flow.store, index).clean
    assert flow.embedder.texts == embedded
    assert (index.damaged(), mender.run_once()) == ([], [])


def test_what_is_filled_again_is_not_served_before_its_end_even_after_a_crash(
    flow: PipelineHarness, stopped: Stopped
) -> None:
    name = _generation(flow)
    assert isinstance(flow.index, EdgeIndex)
    flow.index.set_due(name)
    flow.index.reset(name)
    index = stopped(lambda _: None)
    for read in (lambda: _search(index), lambda: index.fetch(name, []), lambda: index.count(name)):
        with pytest.raises(DataCorruption):
            read()
    assert _mender(flow, index).run_once() == [name]
    assert len(_search(index).hits) == 5


def test_damage_that_a_call_meets_is_looked_into_and_mended(
    flow: PipelineHarness, folder: Path, stopped: Stopped
) -> None:
    index = stopped(lambda _: None)
    name = _generation(flow)
    (stored,) = folder.glob(f"generations/{name}/shard-*/segments/*/payload_storage/page_0.dat")
    with stored.open("r+b") as file:
        file.write(b"\xff" * stored.stat().st_size)
    with pytest.raises(DataCorruption) as met:
        _search(index)
    assert met.value.reason is Reason.INDEX_CORRUPT
    assert _mender(flow, index).run_once() == [name]
    assert _search(index).hits
    assert verify(flow.store, index).clean


def test_what_a_single_request_makes_the_engine_say_costs_no_rebuild(
    flow: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DataCorruption(Reason.INDEX_CORRUPT, "the index engine failed")

    assert isinstance(flow.index, EdgeIndex)
    with monkeypatch.context() as odd:
        odd.setattr(retrieval, "search", fail)
        with pytest.raises(DataCorruption):
            _search(flow.index)
    assert _mender(flow, flow.index).run_once() == []
    assert _search(flow.index).hits


def test_a_rebuild_that_fails_is_tried_again_later_and_rarely(flow: PipelineHarness, stopped: Stopped) -> None:
    now, asked = [0.0], list[float]()

    def away() -> Store:
        asked.append(now[0])
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, "the database cannot be reached")

    index = stopped(_lose_segments)
    mender = Mender(index, away, clock=lambda: now[0])
    for now[0] in (0.0, 1.0, FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS + 1, 4 * FIRST_PAUSE_SECONDS):
        assert mender.run_once() == []
    assert asked == [0.0, FIRST_PAUSE_SECONDS, 4 * FIRST_PAUSE_SECONDS]


def test_an_installation_without_a_generation_is_left_to_its_pipeline(flow: PipelineHarness, tmp_path: Path) -> None:
    with flow.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.generations SET state = 'retired'")
    index = EdgeIndex(tmp_path / "index")
    assert _mender(flow, index).run_once() == []
    assert (index.generations(), index.alias()) == ([], None)
    index.close()


def test_an_index_that_mended_itself_is_alerted_and_on_record(flow: PipelineHarness, stopped: Stopped) -> None:
    name = _generation(flow)
    _mender(flow, stopped(_lose_segments)).run_once()
    with flow.store.engine.connect() as connection:
        entries = audit.find(connection, audit.AuditQuery(actor="index", action="index.rebuild"))
    (alert,) = rebuilt_indexes(entries)
    assert (alert.kind, alert.severity, alert.started_at) == (AlertKind.INDEX_DAMAGED, "critical", entries[0].at)
    assert name in alert.summary
