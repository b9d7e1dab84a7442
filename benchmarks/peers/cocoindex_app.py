"""The ingest peer: folder to chunks to vectors to a table, in CocoIndex. Runs in the peer's environment.

Prints one JSON document: seconds and texts embedded per update. As in its documentation, a file is memoised as a whole
and each chunk's vector by its text; the target is a SQLite table, the lightest it offers, so nothing else is timed.
"""

# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import resource
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import cocoindex as coco
from cocoindex.connectors import localfs, sqlite
from cocoindex.ops.text import RecursiveSplitter
from cocoindex.resources.file import FileLike, PatternFilePathMatcher

from rag_core.content.embedding import Embedder, open_embedder
from rag_core.settings import Settings

_DATABASE = coco.ContextKey[sqlite.ManagedConnection]("bench_database")
_CHUNK_BYTES = 800
_splitter = RecursiveSplitter()


@dataclass
class Run:
    """What this process works with; set before the app starts."""

    embedder: Embedder
    state: Path
    embedded: int = 0


_run: Run


@dataclass
class Row:
    """One chunk in the target table."""

    key: str
    file: str
    text: str
    vector: bytes


@coco.lifespan
async def _lifespan(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
    builder.settings.db_path = _run.state / "cocoindex.lmdb"
    builder.provide_with(_DATABASE, sqlite.managed_connection(_run.state / "target.sqlite", load_vec=False))
    yield


@coco.fn(memo=True)
async def _embed(text: str) -> bytes:
    _run.embedded += 1
    vectors = await asyncio.to_thread(_run.embedder.embed_passages, [text])
    return bytes(vectors[0].tobytes())


@coco.fn(memo=True)
async def _index_file(file: FileLike, table: sqlite.TableTarget[Row]) -> None:
    name = str(file.file_path.path)
    chunks = _splitter.split(await file.read_text(), chunk_size=_CHUNK_BYTES, language="markdown")
    vectors = await asyncio.gather(*(_embed(chunk.text) for chunk in chunks))
    for number, (chunk, vector) in enumerate(zip(chunks, vectors, strict=True)):
        key = hashlib.sha256(f"{name}\0{number}\0{chunk.text}".encode()).hexdigest()
        table.declare_row(row=Row(key, name, chunk.text, vector))


@coco.fn
async def _main(folder: Path) -> None:
    schema = await sqlite.TableSchema.from_class(Row, primary_key=["key"])
    table = await sqlite.mount_table_target(_DATABASE, "chunks", schema)
    files = localfs.walk_dir(folder, recursive=True, path_matcher=PatternFilePathMatcher(included_patterns=["**/*.md"]))
    await coco.mount_each(_index_file, files.items(), table)


def main() -> None:
    """Update the target `--updates` times and report each."""
    global _run
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--embedder", required=True)
    parser.add_argument("--updates", type=int, default=1)
    arguments = parser.parse_args()
    arguments.state.mkdir(parents=True, exist_ok=True)
    _run = Run(open_embedder(Settings(home=arguments.home, embedder=arguments.embedder)), arguments.state)
    app = coco.App(coco.AppConfig(name="bench"), _main, folder=arguments.folder)
    updates = []
    for _ in range(arguments.updates):
        before, started = _run.embedded, time.perf_counter()
        app.update_blocking()
        updates.append({"seconds": time.perf_counter() - started, "embedded": _run.embedded - before})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"updates": updates, "peak_mb": peak}))


if __name__ == "__main__":
    main()
