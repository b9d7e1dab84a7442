"""What only the embedded engine has: a folder, one owner, crashes and damage."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge as edge

from rag_core.errors import Conflict, DataCorruption, Exhausted, NotFound, Reason
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.engines.edge.layout import create_shard
from rag_core.retrieval.engines.edge.shard import ShardReader
from rag_core.settings import Settings
from tests.support.index_points import SPEC, ask, document, filled, removal, request

ROOT = Path(__file__).parents[5]


def _fill(folder: Path, count: int = 300) -> None:
    index = EdgeIndex(folder)
    filled(index, *(document(str(n), [f"text number {n}"]) for n in range(count)))
    index.close()


def _shard(folder: Path) -> Path:
    (shard,) = (folder / "generations" / "g1").glob("shard-*")
    return shard


def test_an_index_reopens_with_everything(folder: Path) -> None:
    _fill(folder)
    index = EdgeIndex(folder)
    assert (index.count("g1"), index.alias(), index.generations()) == (300, "g1", [SPEC])
    assert ask(index, "text number 7", limit=1) == ["text number 7"]
    index.close()
    index.close()


def test_only_the_owner_may_read_an_index_also_one_that_others_could_before(folder: Path) -> None:
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    EdgeIndex(folder).close()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_second_open_is_refused_with_the_owner(folder: Path) -> None:
    index = EdgeIndex(folder)
    with pytest.raises(Conflict) as raised:
        EdgeIndex(folder)
    assert raised.value.reason is Reason.INDEX_LOCKED
    assert str(os.getpid()) in raised.value.message
    index.close()
    EdgeIndex(folder).close()


def test_open_index_without_url_or_endpoint_opens_the_folder_under_home(tmp_path: Path) -> None:
    index = open_index(Settings(home=tmp_path))
    assert isinstance(index, EdgeIndex)
    with pytest.raises(Conflict):
        EdgeIndex(tmp_path / "index")
    index.close()


WRITER = """
import sys
from pathlib import Path
from rag_core.retrieval.engines.edge.index import EdgeIndex
from tests.support.index_points import SPEC, document, removal
index = EdgeIndex(Path(sys.argv[1]))
index.create(SPEC)
index.promote("g1")
ledger = open(sys.argv[2], "a")
start = int(sys.argv[3])
for n in range(start, start + 10_000):
    index.apply("g1", [document(str(n), [f"text {n}", f"more {n}"], version=2 + n)])
    print("put", n, file=ledger, flush=True)
    if n % 5 == 4:
        index.apply("g1", [removal(str(n - 2), version=3 + n)])
        print("del", n - 2, file=ledger, flush=True)
"""


@pytest.mark.catalogue("F16")
@pytest.mark.faults
@pytest.mark.parametrize("kills", [6])
def test_what_a_killed_writer_acknowledged_is_there_whole(folder: Path, tmp_path: Path, kills: int) -> None:
    _run_and_kill(folder, tmp_path / "ledger", kills, seconds=0.6)


@pytest.mark.catalogue("F16")
def test_an_index_reopens_after_a_kill(folder: Path, tmp_path: Path) -> None:
    _run_and_kill(folder, tmp_path / "ledger", 1, seconds=0.3)


def _run_and_kill(folder: Path, ledger: Path, kills: int, seconds: float) -> None:
    live: set[int] = set()
    for _ in range(kills):
        start = max(live, default=-1) + 10
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(ledger), str(start)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        _await_growth(ledger, child)
        time.sleep(seconds * np.random.default_rng(start).random())  # the kill has to land anywhere in a write
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        acknowledged, in_flight = _acknowledged(ledger, live)
        live = _documents(folder)
        assert live ^ acknowledged <= {in_flight}
        ledger.write_text("")


def _documents(folder: Path) -> set[int]:
    """Numbers of the documents in the index, each of which must be whole."""
    index = EdgeIndex(folder)
    held = [point.payload.text.split() for batch in index.scroll("g1") for point in batch]
    index.close()
    assert {number for word, number in held if word == "text"} == {number for word, number in held if word == "more"}
    return {int(number) for _, number in held}


def _await_growth(ledger: Path, child: subprocess.Popen[bytes]) -> None:
    before = ledger.stat().st_size if ledger.exists() else 0
    while not ledger.exists() or ledger.stat().st_size <= before:
        assert child.poll() is None
        time.sleep(0.01)


def _acknowledged(ledger: Path, before: set[int]) -> tuple[set[int], int]:
    """The documents that must be there, and the one that the write in flight was about."""
    live, in_flight = set(before), -1
    for line in ledger.read_text().splitlines():
        action, text = line.split()
        number = int(text)
        if action == "put":
            live.add(number)
            in_flight = number - 2 if number % 5 == 4 else number + 1
        else:
            live.discard(number)
            in_flight = number + 3
    return live, in_flight


def _remove_segments(shard: Path) -> None:
    shutil.rmtree(shard / "segments")


def _remove_one_segment(shard: Path) -> None:
    # The one that holds the points: the write-ahead log alone must not bring back a part and call it the whole.
    fullest = max((shard / "segments").iterdir(), key=lambda path: sum(1 for _ in path.rglob("*")))
    shutil.rmtree(fullest)


def _flip_vectors(shard: Path) -> None:
    (path,) = shard.glob("segments/*/vector_storage-dense/vectors/chunk_0.mmap")
    with path.open("r+b") as file:
        file.seek(64)
        file.write(b"\x7f\x3f\x00\xff")


def _flip_wal(shard: Path) -> None:
    path = next(shard.glob("wal/open-*"))
    with path.open("r+b") as file:
        file.write(b"\xff" * 16)


def _truncate_payload(shard: Path) -> None:
    (path,) = shard.glob("segments/*/payload_storage/page_0.dat")
    os.truncate(path, 100)


def _truncate_ids(shard: Path) -> None:
    (path,) = shard.glob("segments/*/mutable_id_tracker.mappings")
    os.truncate(path, path.stat().st_size // 2)


DAMAGES = [
    _remove_segments,
    _remove_one_segment,
    _flip_vectors,
    _flip_wal,
    _truncate_payload,
    _truncate_ids,
    shutil.rmtree,
]


@pytest.mark.catalogue("F17", "S45")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_to_a_stopped_index_is_named_at_start_and_repaired_by_a_reset(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    _fill(folder)
    damage(_shard(folder))
    with pytest.raises(DataCorruption) as raised:
        EdgeIndex(folder)
    assert raised.value.reason is Reason.INDEX_CORRUPT
    assert "generation g1 is damaged" in raised.value.message
    assert "rag index rebuild" in raised.value.message
    assert str(folder) not in raised.value.message
    index = EdgeIndex(folder, repair=True)
    with pytest.raises(DataCorruption):
        index.search(request("text"))
    index.reset("g1")
    assert (index.count("g1"), index.alias()) == (0, "g1")
    index.apply("g1", [document("a", ["text"])])
    index.close()
    index = EdgeIndex(folder)
    assert ask(index, "text") == ["text"]
    index.close()


@pytest.mark.catalogue("F17")
@pytest.mark.parametrize(
    "damage", [_remove_segments, _remove_one_segment, _truncate_ids, _flip_wal], ids=lambda d: d.__name__
)
def test_lost_points_are_noticed_after_a_crash_too(folder: Path, damage: Callable[[Path], None]) -> None:
    """A killed process leaves no seal; then the promised number of points tells."""
    _fill(folder)
    (folder / "generations" / "g1" / "seal.json").unlink()
    damage(_shard(folder))
    with pytest.raises(DataCorruption) as raised:
        EdgeIndex(folder)
    assert raised.value.reason is Reason.INDEX_CORRUPT


@pytest.mark.catalogue("F17")
@pytest.mark.parametrize("name", ["spec.json", "points.json"])
def test_damaged_or_missing_small_files_are_noticed(folder: Path, name: str) -> None:
    _fill(folder)
    path = folder / "generations" / "g1" / name
    content = path.read_bytes()
    for damage in (b"", b"{}", content[:-5]):
        path.write_bytes(damage)
        with pytest.raises(DataCorruption):
            EdgeIndex(folder)
    path.unlink()
    with pytest.raises(DataCorruption):
        EdgeIndex(folder)
    path.write_bytes(content)
    EdgeIndex(folder).close()


@pytest.mark.catalogue("F17")
def test_a_missing_active_generation_is_no_empty_index(folder: Path) -> None:
    _fill(folder)
    shutil.rmtree(folder / "generations" / "g1")
    with pytest.raises(DataCorruption) as raised:
        EdgeIndex(folder)
    assert raised.value.reason is Reason.INDEX_CORRUPT
    index = EdgeIndex(folder, repair=True)
    assert (index.alias(), index.generations()) == (None, [])
    index.create(SPEC)
    index.promote("g1")
    index.close()
    EdgeIndex(folder).close()


def test_a_generation_of_another_lexical_encoder_is_refused(folder: Path) -> None:
    _fill(folder, 3)
    path = folder / "generations" / "g1" / "spec.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lexical": "0" * 32}))
    with pytest.raises(DataCorruption, match="another lexical encoder"):
        EdgeIndex(folder)
    index = EdgeIndex(folder, repair=True)
    index.reset("g1")
    index.close()
    EdgeIndex(folder).close()


def test_leftovers_of_an_interrupted_creation_are_swept_away(folder: Path) -> None:
    _fill(folder, 3)
    (folder / "generations" / ".new-123" / "shard-1").mkdir(parents=True)
    (folder / "generations" / "g1" / "shard-stray").mkdir()
    EdgeIndex(folder).close()
    assert [path.name for path in (folder / "generations").iterdir()] == ["g1"]
    assert _shard(folder).name != "shard-stray"


@pytest.mark.catalogue("F28")
def test_a_write_that_the_disk_cannot_hold_is_refused_and_nothing_is_lost(folder: Path) -> None:
    _fill(folder, 3)
    index = EdgeIndex(folder, space_reserve=1 << 60)
    with pytest.raises(Exhausted) as raised:
        index.apply("g1", [document("new", ["text"])])
    assert raised.value.reason is Reason.STORAGE_FULL
    with pytest.raises(Exhausted):
        index.create(type(SPEC)("g2", 8, "e", "c"))
    assert len(ask(index, "text number")) == 3
    index.close()


def test_writes_during_an_optimization_are_kept_and_searches_continue(folder: Path) -> None:
    index = EdgeIndex(folder)
    filled(index, *(document(str(n), [f"text number {n}"]) for n in range(200)))
    before = _shard(folder)
    worker = threading.Thread(target=index.optimize, args=("g1",))
    worker.start()
    rounds = 0
    while worker.is_alive():
        rounds += 1
        index.apply("g1", [document("0", [f"changed {rounds}"], version=1 + rounds), removal(str(rounds % 199 + 1))])
        assert ask(index, "changed", limit=300)
    worker.join()
    expected = {f"text number {n}" for n in range(1, 200) if n not in {turn % 199 + 1 for turn in range(1, rounds + 1)}}
    expected.add(f"changed {rounds}")
    assert {point.payload.text for batch in index.scroll("g1") for point in batch} == expected
    index.close()
    assert _shard(folder) != before
    index = EdgeIndex(folder)
    assert index.count("g1") == len(expected)
    index.close()


class _Awaited(list[uuid.UUID]):
    """Ids of which the engine, once inside a call, gets the first when the test lets it."""

    def __init__(self, ids: Iterable[uuid.UUID]) -> None:
        super().__init__(ids)
        self.asked, self.given = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[uuid.UUID]:
        self.asked.set()
        assert self.given.wait(30)
        return super().__iter__()


@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "closed"])
def test_a_shard_is_closed_after_the_reads_under_way_in_it(tmp_path: Path, replaced: bool) -> None:
    for name in ("old", "new"):
        create_shard(tmp_path / name, SPEC.dimensions)
    old, new = (edge.EdgeShard.load(str(tmp_path / name)) for name in ("old", "new"))
    reader = ShardReader(old, has_idf_samples=True)
    ids = _Awaited([uuid.uuid4()])
    with ThreadPoolExecutor(2) as threads:
        read = threads.submit(reader.call, lambda shard: shard.retrieve(ids, with_payload=True, with_vector=False))
        assert ids.asked.wait(30)
        closing = threads.submit(reader.use, new if replaced else None)
        with pytest.raises(TimeoutError):
            closing.result(0.2)
        if replaced:
            assert reader.points_count() == 0
        ids.given.set()
        assert read.result(30) == []
        assert closing.result(30) is None
    with pytest.raises(Exception, match="not initialized"):
        old.info()
    reader.close()


def test_a_closed_index_says_so(folder: Path) -> None:
    _fill(folder, 3)
    index = EdgeIndex(folder)
    index.close()
    for call in (lambda: index.count("g1"), lambda: index.apply("g1", [document("a", ["x"])])):
        with pytest.raises(Exception, match="INDEX_UNAVAILABLE"):
            call()
    with pytest.raises(NotFound):
        index.count("g2")
