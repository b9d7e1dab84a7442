"""Estimate of the first ingest of a folder: a walk over its names, and a few of its files read as a run does."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal

from rag_core.errors import RagError
from rag_core.ingestion.source_status import duration
from rag_core.platform import usable_cores
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import existing_part

if TYPE_CHECKING:
    from rag_core.content.parsing import Parser

SAMPLE_FILES, SAMPLE_SECONDS, SAMPLE_BYTES = 24, 4.0, 2 << 20
WALK_SECONDS = 20.0
BACKGROUND_SECONDS = 600.0
"""An ingest that takes longer is not waited for."""
_TOKENS_LATIN, _TOKENS_CJK = 0.23, 0.75
"""Model tokens for a character of each script."""
_FILLED = 0.52
"""Average share of a chunk that is filled: blocks are not cut to fill them, and headings are repeated."""
_TEXTS_A_SECOND_AND_CORE = 12.0
_BYTES_A_CHUNK = 9_000
"""Text, chunk, vector and index of one chunk on the disk, with what PostgreSQL and the index need while they write."""
MEMORY_IDLE, _MEMORY_A_CHUNK = 2 << 30, 2_500
"""Memory of the services together, with the embedding model loaded, and of each chunk."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate. `bounded`: the walk was cut off after a while, so that there is more than this.

    `seconds` is `None` when the speed of the embedder is not known (a remote one).
    """

    documents: int
    bytes: int
    chunks: int
    seconds: float | None
    memory_bytes: int
    disk_bytes: int
    disk_free_bytes: int
    bounded: bool = False

    @property
    def long(self) -> bool:
        """True when nobody should have to wait for it."""
        return self.bounded or self.seconds is None or self.seconds > BACKGROUND_SECONDS

    @property
    def fits(self) -> bool:
        return self.disk_bytes < self.disk_free_bytes

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def describe(self) -> str:
        """One line for people."""
        more = "more than " if self.bounded else "about "
        lasts = duration(self.seconds) if self.seconds is not None else "as long as the remote embedder needs"
        return (
            f"{more}{self.documents:,} documents ({decimal(self.bytes)}), {self.chunks:,} chunks, {lasts}, "
            f"{decimal(self.memory_bytes)} of memory, {decimal(self.disk_bytes)} on the disk "
            f"({decimal(self.disk_free_bytes)} free)"
        )


@dataclass(slots=True)
class _Kind:
    """Files of one extension. `text_tokens` is of the `read` bytes of the files that were `tried`."""

    files: int = 0
    bytes: int = 0
    read: int = 0
    text_tokens: float = 0.0
    tried: int = 0
    usable: int = 0
    sample: list[Path] = field(default_factory=list)
    smallest: tuple[int, Path] | None = None


def estimate(folder: Path, settings: Settings) -> Estimate:
    """Estimate the ingest of a folder in a few seconds. Reads few files, writes nothing."""
    from rag_core.content.parsing import open_parser

    kinds, bounded = _walk(folder, settings.max_file_bytes)
    with closing(open_parser(settings)) as parser:
        _sample(kinds, parser)
    documents = sum(round(kind.files * _share(suffix, kind)) for suffix, kind in kinds.items())
    tokens = sum(kind.bytes * kind.text_tokens / kind.read for kind in kinds.values() if kind.read)
    chunks = max(documents, round(tokens / (settings.chunk_tokens * _FILLED)))
    remote = settings.embedder not in ("onnx", "fake")
    cores = usable_cores()
    speed = _TEXTS_A_SECOND_AND_CORE * min(cores, settings.embed_threads or cores)
    return Estimate(
        documents=documents,
        bytes=sum(kind.bytes for kind in kinds.values()),
        chunks=chunks,
        seconds=None if remote else round(chunks / speed, 1),
        memory_bytes=MEMORY_IDLE + chunks * _MEMORY_A_CHUNK,
        disk_bytes=chunks * _BYTES_A_CHUNK,
        disk_free_bytes=shutil.disk_usage(existing_part(settings.home)).free,
        bounded=bounded,
    )


def _walk(folder: Path, largest: int) -> tuple[dict[str, _Kind], bool]:
    """Files by extension, and whether the time was over before the end."""
    kinds: defaultdict[str, _Kind] = defaultdict(_Kind)
    deadline = time.monotonic() + WALK_SECONDS
    for path, size in _files(folder):
        if time.monotonic() > deadline:
            return kinds, True
        kind = kinds[Path(path).suffix.lower()]
        kind.files += 1
        if size > largest:
            continue
        kind.bytes += size
        if kind.smallest is None or size < kind.smallest[0]:
            kind.smallest = size, Path(path)
        # The 1st, 2nd, 4th, 8th … file: some of the whole folder without a list of it.
        if size <= SAMPLE_BYTES and kind.files & (kind.files - 1) == 0:
            kind.sample.append(Path(path))
    return kinds, False


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Regular files below a folder with their sizes; hidden ones and links are left out, as a run leaves them out."""
    folders = [str(folder)]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path, entry.stat(follow_symlinks=False).st_size


def _sample(kinds: dict[str, _Kind], parser: Parser) -> None:
    """Read some files of each extension, those that fill the folder first."""
    from rag_core.content.sources import FetchedItem, SourceItem

    deadline = time.monotonic() + SAMPLE_SECONDS
    ordered = sorted(kinds.values(), key=lambda kind: kind.bytes, reverse=True)
    each = max(1, SAMPLE_FILES // max(1, len(ordered)))
    for kind in ordered:
        # Where all are large one is read all the same: without any nothing is known of their text.
        for path in kind.sample[-each:] or ([kind.smallest[1]] if kind.smallest else []):
            if time.monotonic() > deadline:
                return
            kind.tried += 1
            try:
                content = path.read_bytes()
                text = parser.parse(FetchedItem(SourceItem(path.name, ""), content)).text
            except (RagError, OSError):
                kind.read += path.stat().st_size if path.exists() else 0
                continue
            kind.usable += 1
            kind.read += len(content)
            kind.text_tokens += _tokens(text)


def _tokens(text: str) -> float:
    cjk = sum("\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7a3" for char in text)
    return cjk * _TOKENS_CJK + (len(text) - cjk) * _TOKENS_LATIN


def _share(suffix: str, kind: _Kind) -> float:
    """Share of the files that can be used. Of those that were not sampled, all whose name promises a known type."""
    from rag_core.content.parsing import promised_kind

    return kind.usable / kind.tried if kind.tried else float(promised_kind(f"a{suffix}") is not None)
