"""Small durable files, the lock and the seal. Search graphs are built behind the requests when an embedded index has
grown."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from rag_core.errors import Conflict, DataCorruption, Exhausted, Reason
from rag_core.retrieval.engines.edge import EdgeIndex, background_optimizer
from rag_core.retrieval.engines.edge import files as edge_files
from rag_core.retrieval.engines.edge.optimizer import BackgroundOptimizer
from rag_core.retrieval.index import GenerationSpec, VectorIndex
from rag_core.settings import Settings
from tests.support.index_points import SPEC, ask, document, filled


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    folder = tmp_path / "shard"
    folder.mkdir()
    (folder / "small").write_bytes(b"content")
    with (folder / "sparse").open("wb") as file:
        file.truncate(8 << 20)
        file.seek(5 << 20)
        file.write(b"an island")
    edge_files.write_checksum_manifest(tmp_path, folder)
    return folder


def _check(shard: Path) -> None:
    edge_files.verify_checksum_manifest(shard.parent, shard)


def test_an_untouched_folder_passes(shard: Path) -> None:
    _check(shard)


def test_filling_the_holes_of_a_file_with_zeros_changes_nothing(shard: Path) -> None:
    content = (shard / "sparse").read_bytes()
    (shard / "sparse").write_bytes(content)
    _check(shard)


@pytest.mark.catalogue("S45")
@pytest.mark.parametrize(
    ("name", "offset"), [("small", 3), ("sparse", 5 << 20), ("sparse", 100), ("sparse", (8 << 20) - 1)]
)
def test_one_changed_byte_is_noticed(shard: Path, name: str, offset: int) -> None:
    with (shard / name).open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x01]))
    with pytest.raises(DataCorruption) as raised:
        _check(shard)
    assert (raised.value.reason, raised.value.message) == (
        Reason.INDEX_CORRUPT,
        f"its file {name} is changed since the last stop",
    )


def test_missing_truncated_and_extra_files_are_noticed(shard: Path) -> None:
    os.truncate(shard / "sparse", 4 << 20)
    with pytest.raises(DataCorruption, match="changed"):
        _check(shard)
    (shard / "sparse").unlink()
    with pytest.raises(DataCorruption, match="missing"):
        _check(shard)
    edge_files.write_checksum_manifest(shard.parent, shard)
    (shard / "extra").touch()
    with pytest.raises(DataCorruption, match="unexpected"):
        _check(shard)


def test_without_a_seal_there_is_nothing_to_compare(shard: Path) -> None:
    edge_files.remove_checksum_manifest(shard.parent)
    (shard / "small").write_bytes(b"changed")
    _check(shard)


def test_a_durable_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "alias.json"
    edge_files.write_durably(path, {"generation": "g1"})
    edge_files.write_durably(path, {"generation": "g2"})
    assert edge_files.read_json(path) == {"generation": "g2"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["alias.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "spec.json").write_bytes(content)
    with pytest.raises(DataCorruption, match=r"spec\.json"):
        edge_files.read_json(tmp_path / "spec.json")


def test_a_lock_names_its_owner_and_can_be_taken_after_release(tmp_path: Path) -> None:
    lock = edge_files.FolderLock(tmp_path)
    with pytest.raises(Conflict) as raised:
        edge_files.FolderLock(tmp_path)
    assert raised.value.reason is Reason.INDEX_LOCKED
    assert raised.value.metadata == {"owner": str(os.getpid())}
    assert str(os.getpid()) in raised.value.message
    lock.release()
    lock.release()
    edge_files.FolderLock(tmp_path).release()


@pytest.mark.catalogue("F28")
def test_too_little_space_is_storage_full(tmp_path: Path) -> None:
    edge_files.require_space(tmp_path, 1)
    with pytest.raises(Exhausted) as raised:
        edge_files.require_space(tmp_path, 1 << 60)
    assert raised.value.reason is Reason.STORAGE_FULL


def test_what_is_needed_never_reads_like_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=(64 << 20) + 1000))
    with pytest.raises(Exhausted, match="needs 65 MiB of free disk space and has 64;"):
        edge_files.require_space(tmp_path, (64 << 20) + 2000)


LEAST = 100


def write(index: EdgeIndex, first: int, count: int) -> None:
    index.apply("g1", [document(str(n), [f"text number {n}"]) for n in range(first, first + count)])


def test_a_generation_is_optimized_when_it_has_grown_and_not_again_for_what_the_engine_left(index: EdgeIndex) -> None:
    filled(index, *(document(str(n), [f"text number {n}"]) for n in range(LEAST - 1)))
    upkeep = BackgroundOptimizer(index, least=LEAST)
    assert upkeep.run_once() == [], "too little to be worth it"
    write(index, LEAST, LEAST)
    assert upkeep.run_once() == ["g1"]
    assert upkeep.run_once() == []
    write(index, 2 * LEAST, LEAST // 2)
    assert upkeep.run_once() == [], "little is new"
    write(index, 3 * LEAST, LEAST)
    assert (upkeep.run_once(), upkeep.run_once()) == ([], ["g1"])
    assert ask(index, "number", limit=300)
    assert index.count("g1") == LEAST - 1 + LEAST + LEAST // 2 + LEAST


def test_what_was_written_since_the_graph_is_known_after_a_restart(folder: Path) -> None:
    for round_, expected in enumerate((LEAST, LEAST // 2, 0)):
        index = EdgeIndex(folder)
        if round_ == 0:
            filled(index)
        write(index, round_ * LEAST, expected)
        index.close()
        index = EdgeIndex(folder)
        assert index.written_since_graph("g1") == expected
        index.optimize("g1")
        assert index.written_since_graph("g1") == 0
        index.close()


class Scripted:
    """An index of one generation, of which a test says how many points there are and how many were written since."""

    def __init__(self) -> None:
        self.points = self.written = 0
        self.old = False

    def generations(self) -> list[GenerationSpec]:
        return [SPEC]

    def count(self, generation: str) -> int:
        return self.points

    def written_since_graph(self, generation: str) -> int:
        return self.written

    def has_old_graph(self, generation: str) -> bool:
        return self.old

    def optimize(self, generation: str) -> None:
        self.written, self.old = 0, False


def test_while_much_is_written_a_graph_waits_until_it_is_quiet() -> None:
    scripted = Scripted()
    upkeep = BackgroundOptimizer(cast("EdgeIndex", scripted), least=LEAST)
    scripted.points, scripted.written = 10 * LEAST, 3 * LEAST
    assert upkeep.run_once() == []
    scripted.points, scripted.written = 11 * LEAST, 4 * LEAST
    assert upkeep.run_once() == [], "still being written"
    scripted.points, scripted.written = 11 * LEAST + 5, 4 * LEAST + 5
    assert upkeep.run_once() == ["g1"], "a few more are not much"
    scripted.points, scripted.written = 30 * LEAST, 19 * LEAST
    assert upkeep.run_once() == ["g1"], "most points are without a graph"


def test_a_graph_of_other_settings_is_replaced_once() -> None:
    scripted = Scripted()
    upkeep = BackgroundOptimizer(cast("EdgeIndex", scripted), least=LEAST)
    scripted.points = scripted.written = LEAST - 1
    scripted.old = True
    assert (upkeep.run_once(), upkeep.run_once()) == ([], []), "there is no graph to replace"
    scripted.written = 0
    assert (upkeep.run_once(), upkeep.run_once()) == (["g1"], [])


def test_only_an_index_of_this_process_is_looked_after_and_only_if_wanted(index: EdgeIndex) -> None:
    def threads(kept: VectorIndex, points: int) -> int:
        with background_optimizer(kept, Settings(index_optimize_points=points)):
            return sum(thread.name == "index-upkeep" for thread in threading.enumerate())

    assert threads(cast("VectorIndex", Scripted()), LEAST) == 0
    assert threads(index, 0) == 0
    assert threads(index, LEAST) == 1
