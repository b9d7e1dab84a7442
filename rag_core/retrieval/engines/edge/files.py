"""Files of an Edge shard: durable small files, the folder lock, and the checksum manifest."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag_core.errors import Conflict, DataCorruption, Exhausted, Reason
from rag_core.files import replace_file, sync_folder

CHECKSUM_MANIFEST = "seal.json"
CHECKSUM_SECONDS = 2 << 30
"""Maximum bytes to checksum; further files are compared by size only, so that a large index starts quickly."""
SPACE_RESERVE = 64 << 20
"""Free bytes that must remain after a write."""
_BLOCK = 1 << 20


def write_durably(path: Path, content: dict[str, Any]) -> None:
    """Replace a small JSON file; after a power cut it has the old or the new content."""
    replace_file(path, json.dumps(content).encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises `DataCorruption` (`INDEX_CORRUPT`) when it is missing, unreadable or no object."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataCorruption(Reason.INDEX_CORRUPT, f"the index file {path.name} is missing or damaged") from error
    if not isinstance(content, dict):
        raise DataCorruption(Reason.INDEX_CORRUPT, f"the index file {path.name} is damaged")
    return content


def require_space(path: Path, needed: int) -> None:
    """Raise `Exhausted` (`STORAGE_FULL`) before the engine writes into its memory-mapped files.

    On a full disk such a write ends the process with SIGBUS, which cannot be handled.
    """
    free = shutil.disk_usage(path).free
    if free < needed:
        raise Exhausted(
            Reason.STORAGE_FULL,
            # Round needed up and free down, so that the two never read the same.
            f"the index needs {-(-needed >> 20)} MiB of free disk space and has {free >> 20}; free some and run again",
        )


class FolderLock:
    """An exclusive lock on a folder, held by this process until `release` or its end."""

    def __init__(self, folder: Path) -> None:
        """Lock the folder. Raises `Conflict` (`INDEX_LOCKED`) with the owner's process id."""
        self._file = (folder / "LOCK").open("a+", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read(32).strip() or "unknown"
            self._file.close()
            raise Conflict(
                Reason.INDEX_LOCKED,
                f"the index folder is in use by process {owner}: "
                "stop it, or set RAG_INDEX_ENDPOINT to reach the index through it",
                owner=owner,
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Unlock explicitly: a forked child may have a copy of the descriptor, so closing it would not be enough."""
        if not self._file.closed:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._file.close()


def write_checksum_manifest(folder: Path, shard: Path, *, settled: bool = False) -> None:
    """Record size and checksum of every file of a closed shard, and whether it has one version of each document."""
    write_durably(folder / CHECKSUM_MANIFEST, {"files": _measure(shard), "settled": settled})


def was_settled(folder: Path) -> bool:
    """Return whether the shard was closed with one version of each document; unknown after a crash, which is no."""
    return (folder / CHECKSUM_MANIFEST).exists() and read_json(folder / CHECKSUM_MANIFEST).get("settled") is True


def remove_checksum_manifest(folder: Path) -> None:
    """Remove the manifest, durably, before the shard's files may change."""
    (folder / CHECKSUM_MANIFEST).unlink(missing_ok=True)
    sync_folder(folder)


def verify_checksum_manifest(folder: Path, shard: Path) -> None:
    """Compare the files with the manifest of the last clean close; there is none after a crash.

    Raises `DataCorruption` (`INDEX_CORRUPT`) naming the first file that differs.
    """
    if not (folder / CHECKSUM_MANIFEST).exists():
        return
    expected: dict[str, list[int]] = read_json(folder / CHECKSUM_MANIFEST).get("files", {})
    actual = _measure(shard)
    for name in sorted(expected.keys() | actual.keys()):
        if expected.get(name) != actual.get(name):
            kind = "missing" if name not in actual else "unexpected" if name not in expected else "changed"
            raise DataCorruption(Reason.INDEX_CORRUPT, f"its file {Path(name).name} is {kind} since the last stop")


def _measure(shard: Path) -> dict[str, list[int]]:
    budget = CHECKSUM_SECONDS
    measured: dict[str, list[int]] = {}
    files = [(path.stat(), path) for path in shard.rglob("*") if path.is_file()]
    for state, path in sorted(files, key=lambda file: (file[0].st_size, file[1])):
        budget -= min(state.st_size, state.st_blocks * 512)
        measured[str(path.relative_to(shard))] = [state.st_size, _checksum(path) if budget >= 0 else 0]
    return measured


def copy_sparse(source: str, target: str) -> None:
    """Copy a file and keep its holes (for `shutil.copytree`)."""
    with open(source, "rb") as file, open(target, "wb") as copy:  # noqa: PTH123 (the names come as text)
        copy.truncate(os.fstat(file.fileno()).st_size)
        for offset, block in _data(file.fileno()):
            os.pwrite(copy.fileno(), block, offset)


def _checksum(path: Path) -> int:
    """CRC over the non-zero blocks: the engine's files are mostly holes, which a copy may fill with zeros."""
    value = 0
    with path.open("rb") as file:
        for offset, block in _data(file.fileno()):
            value = zlib.crc32(block, zlib.crc32(offset.to_bytes(8), value))
    return value


def _data(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """The non-zero blocks of a file, at multiples of `_BLOCK`."""
    offset = 0
    while True:
        try:
            found = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole remains
                return
            raise
        offset = max(offset, found - found % _BLOCK)
        block = os.pread(descriptor, _BLOCK, offset)
        if block != bytes(len(block)):
            yield offset, block
        offset += _BLOCK
