"""Small durable files, the lock and the seal."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from rag_core.errors import Conflict, DataCorruption, Exhausted, Reason
from rag_core.retrieval.engines.edge import files as edge_files


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
