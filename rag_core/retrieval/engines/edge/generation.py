"""One Edge generation in its folder: specification, shard, minimum point count and checksum manifest.

<generation>/spec.json    its specification, and the current shard folder
             points.json  its minimum point count, which reveals a lost segment at the next start
             seal.json    the checksum manifest: sizes and checksums of the shard's files; only after a clean close
             due.json     present from the detection of damage until the generation is filled again
             shard-…/     the engine's files
"""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from rag_core import failpoints
from rag_core.errors import DataCorruption, RagError, Reason, Unavailable
from rag_core.files import sync_folder
from rag_core.logging import get_logger
from rag_core.retrieval.engines.edge import files as edge_files
from rag_core.retrieval.engines.edge import writer as edge_writer
from rag_core.retrieval.engines.edge.filters import engine_errors
from rag_core.retrieval.engines.edge.layout import config, create_shard, graph_fingerprint
from rag_core.retrieval.engines.edge.shard import ShardReader
from rag_core.retrieval.index import (
    READ_DOCUMENTS,
    ApplyResult,
    DocumentUpdate,
    GenerationSpec,
    IndexPoint,
    checks,
    plan,
)
from rag_core.retrieval.search import lexical

SPEC = "spec.json"
POINTS = "points.json"
DUE = "due.json"
_TURN_POINTS = 2000
"""Points that are replayed while writes wait: for half a second. 61,000 at once took 17 s.

More than batches of `RAG_INDEX_BATCH_POINTS` write between two turns by default, so that the replay ends. Beside writes
instead of in turns it took six times as long, and did not end.
"""
_PAUSE_SECONDS = 0.01
"""Between two turns, in which waiting writes begin."""
_log = get_logger(__name__)


class EdgeGeneration:
    """A generation, open or damaged. Thread-safe: writes are serialised, reads need no lock."""

    def __init__(self, folder: Path, *, space_reserve: int = edge_files.SPACE_RESERVE) -> None:
        """Open a generation. `damage` is why it is unreadable; every call except `reset` and `close` raises it."""
        self.folder = folder
        self.spec, self._shard_folder, self._encoder, self._sampled, self._graph, self._built = _read_spec(folder)
        self.damage: RagError | None = None
        self.suspect = False
        """True when a call failed in a way that may be damage; `examine` decides."""
        self._due = (folder / DUE).exists()
        self._space_reserve = space_reserve
        self._write = threading.Lock()
        self._optimizing = threading.Lock()
        self._dirty: set[uuid.UUID] | None = None
        self._reader: ShardReader | None = None
        try:
            if self._encoder != lexical.FINGERPRINT:
                raise DataCorruption(Reason.INDEX_CORRUPT, "it was built with another lexical encoder")
            self._open()
        except DataCorruption as error:
            self.damage = _explain(error, self.spec.name)

    @staticmethod
    def create(folder: Path, spec: GenerationSpec) -> None:
        """Create an empty generation atomically."""
        temporary = folder.with_name(f".new-{uuid.uuid4().hex}")
        shard = f"shard-{uuid.uuid4().hex}"
        create_shard(temporary / shard, spec.dimensions)
        edge_files.write_durably(temporary / SPEC, _spec_content(spec, shard, 0, has_idf_samples=True))
        edge_files.write_durably(temporary / POINTS, {"at_least": 0})
        temporary.rename(folder)
        sync_folder(folder.parent)

    @property
    def reader(self) -> ShardReader:
        """The shard's reader. Raises `DataCorruption` (`INDEX_CORRUPT`) when damaged, `Unavailable` when closed."""
        if self.damage is not None:
            raise self.damage
        if self._reader is None:
            raise Unavailable(Reason.INDEX_UNAVAILABLE, "the index is closed")
        return self._reader

    @property
    def unserved(self) -> RagError | None:
        """The reason why it serves no reads: it is damaged, or not yet filled again after damage."""
        if self.damage is None and self._due:
            return _explain(DataCorruption(Reason.INDEX_CORRUPT, "it has to be filled again"), self.spec.name)
        return self.damage

    @property
    def has_old_graph(self) -> bool:
        """Return whether `optimize` would build another search graph, of the settings of this release."""
        return self._graph != graph_fingerprint()

    @property
    def written_since_graph(self) -> int:
        """Number of points written since `optimize`, also again. The engine's own counter of points without a graph
        counts what was removed from a graph as still in it."""
        return max(0, self.reader.indexed_vectors() - self._built)

    def set_due(self) -> None:
        """Stop serving reads, also after a restart, until `set_filled`."""
        edge_files.write_durably(self.folder / DUE, {})
        self._due = True

    def set_filled(self) -> None:
        """Serve reads again, once all rows have been applied."""
        (self.folder / DUE).unlink(missing_ok=True)
        sync_folder(self.folder)
        self._due = False

    def examine(self) -> bool:
        """Read and search all points after a suspicious failure; returns whether it is sound, else marks it damaged.

        One failed call is no proof: an unusual request must not cause a rebuild.
        """
        self.suspect = False
        try:
            self.reader.read_all()
        except DataCorruption:
            self.set_due()
        return self.unserved is None

    def apply(self, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        """See `VectorIndex.apply`."""
        checks.check_updates(updates, self.spec.dimensions)
        newest, stale = checks.latest(updates)
        work = list(newest.values())
        upserted = removed = 0
        with self._write:
            points = sum(len(update.points) for update in work)
            edge_files.require_space(self.folder, self._space_reserve + points * self.spec.dimensions * 16)
            for start in range(0, len(work), READ_DOCUMENTS):
                some = work[start : start + READ_DOCUMENTS]
                stored = [*self.reader.identities([update.doc_id for update in some])]
                planned = plan(some, stored)
                # Not those of a stale update, which leaves both versions of an interrupted replacement.
                replaced = {str(update.doc_id) for update in planned.updates} & {doc_id for _, doc_id, _ in stored}
                self.reader.replacements.begin(replaced)
                with self.reader.changing(planned.updates, planned.leftovers):
                    self._mark_dirty(point.chunk_id for update in planned.updates for point in update.points)
                    upserted += edge_writer.upsert(self.reader.shard, planned.updates)
                    failpoints.reach("before_stale_delete")
                    self._remove(planned.leftovers)
                self.reader.replacements.end(replaced)
                removed += len(planned.leftovers)
                stale += planned.stale
            self._flush()
        return ApplyResult(upserted, removed, stale)

    def delete_points(self, ids: Sequence[uuid.UUID]) -> int:
        """See `VectorIndex.delete_points`."""
        with self._write:
            existing = [point.chunk_id for point in self.reader.fetch(ids)]
            with self.reader.changing((), existing):
                self._remove(existing)
            self._flush()
        return len(existing)

    def scroll(self, batch: int, *, with_vectors: bool) -> Iterator[list[IndexPoint]]:
        """See `VectorIndex.scroll`."""
        return self.reader.scroll(batch, with_vectors=with_vectors)

    def optimize(self) -> None:
        """Optimize a copy, replay the writes made meanwhile in turns with those that come, and switch to it.

        Raises `Unavailable` (`INDEX_UNAVAILABLE`) when it was reset or closed meanwhile: the copy has what was removed.
        """
        with self._optimizing:
            name = f"shard-{uuid.uuid4().hex}"
            target = self.folder / name
            try:
                with self._write:
                    self._flush()
                    before = self._shard_folder
                    edge_writer.copy_shard(self.folder / before, target)
                    self._dirty = set()
                try:
                    outside = edge_writer.optimize_copy(target, self.spec.dimensions)
                    with engine_errors():
                        optimized = edge.EdgeShard.load(str(target), config(self.spec.dimensions))
                        built = optimized.info().indexed_vectors_count
                except RagError:
                    self._check_not_reset(before)  # which removes the copy too
                    raise
                while not self._move_to(name, optimized, built, before):
                    time.sleep(_PAUSE_SECONDS)
                if outside:
                    _log.info("points_outside_graph", generation=self.spec.name, points=outside)
            finally:
                with self._write:
                    self._dirty = None
                if self._shard_folder != name:
                    shutil.rmtree(target, ignore_errors=True)

    def reset(self) -> None:
        """See `VectorIndex.reset`."""
        with self._write:
            name = f"shard-{uuid.uuid4().hex}"
            create_shard(self.folder / name, self.spec.dimensions)
            with suppress(DataCorruption):  # it may be too damaged to be closed
                self._close_shard()
            self._reader = None
            edge_files.remove_checksum_manifest(self.folder)
            edge_files.write_durably(self.folder / POINTS, {"at_least": 0})
            self._sampled = True
            before = self._point_to(name, 0)
            self.damage = None
            self._open()
            shutil.rmtree(self.folder / before, ignore_errors=True)

    def close(self) -> None:
        """Flush, close and write the checksum manifest. Idempotent."""
        with self._write:
            if self._reader is None:
                return
            self._flush()
            settled = self._reader.replaced() == frozenset()
            self._close_shard()
            edge_files.write_checksum_manifest(self.folder, self.folder / self._shard_folder, settled=settled)

    def _open(self) -> None:
        path = self.folder / self._shard_folder
        for stray in self.folder.glob("shard-*"):
            if stray != path:
                shutil.rmtree(stray, ignore_errors=True)
        if not path.is_dir():
            raise DataCorruption(Reason.INDEX_CORRUPT, "its data folder is missing")
        edge_files.verify_checksum_manifest(self.folder, path)
        at_least = edge_files.read_json(self.folder / POINTS).get("at_least")
        settled = edge_files.was_settled(self.folder)
        edge_files.remove_checksum_manifest(self.folder)
        with engine_errors():
            shard = edge.EdgeShard.load(str(path), config(self.spec.dimensions))
            reader = ShardReader(shard, has_idf_samples=self._sampled)
        held = reader.points_count()
        if not isinstance(at_least, int) or held < at_least:
            reader.close()
            raise DataCorruption(Reason.INDEX_CORRUPT, f"it has {held} points, but at least {at_least} were written")
        if settled or held == 0:
            reader.replacements.settle()
        else:
            reader.replacements.check(reader.identity_pages)
        self._at_least = at_least
        self._reader = reader

    def _remove(self, ids: Sequence[uuid.UUID]) -> None:
        if not ids:
            return
        self._mark_dirty(ids)
        # The minimum is lowered before points are deleted: a crash in between must not look like a loss.
        self._write_minimum_count(max(0, min(self._at_least, self.reader.points_count()) - len(ids)))
        edge_writer.delete(self.reader.shard, ids)

    def _flush(self) -> None:
        with engine_errors():
            self.reader.shard.flush()
        self._write_minimum_count(self.reader.points_count())

    def _write_minimum_count(self, at_least: int) -> None:
        if at_least != self._at_least:
            edge_files.write_durably(self.folder / POINTS, {"at_least": at_least})
            self._at_least = at_least

    def _mark_dirty(self, ids: Iterable[uuid.UUID]) -> None:
        if self._dirty is not None:
            self._dirty.update(ids)

    def _move_to(self, name: str, optimized: edge.EdgeShard, built: int, before: str) -> bool:
        """Replay some of the writes made since `before` was copied; after the last switch to the copy, and say so."""
        with self._write:
            self._check_not_reset(before)
            dirty = self._dirty or set()
            some = list(islice(dirty, _TURN_POINTS))
            with engine_errors():
                edge_writer.replay(self.reader.shard, optimized, some)
                optimized.flush()
            dirty.difference_update(some)
            if dirty:
                return False
            self._point_to(name, built)
            self.reader.use(optimized)
            shutil.rmtree(self.folder / before, ignore_errors=True)
        return True

    def _check_not_reset(self, before: str) -> None:
        if self._shard_folder != before:
            raise Unavailable(Reason.INDEX_UNAVAILABLE, "it was reset while its search graph was built")

    def _point_to(self, name: str, built: int) -> str:
        content = _spec_content(self.spec, name, built, has_idf_samples=self._sampled)
        edge_files.write_durably(self.folder / SPEC, content)
        before, self._shard_folder, self._graph, self._built = self._shard_folder, name, graph_fingerprint(), built
        return before

    def _close_shard(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _spec_content(spec: GenerationSpec, shard: str, built: int, *, has_idf_samples: bool) -> dict[str, Any]:
    return {
        "name": spec.name,
        "dimensions": spec.dimensions,
        "embedder": spec.embedder,
        "chunker": spec.chunker,
        "lexical": lexical.FINGERPRINT,
        "shard": shard,
        "graph": graph_fingerprint(),
        "indexed_vectors": built,
        "sampled": has_idf_samples,
    }


def _read_spec(folder: Path) -> tuple[GenerationSpec, str, str, bool, str, int]:
    """Specification, shard folder, lexical fingerprint, whether points store their samples, the search graph, and the
    indexed vectors when it was built."""
    content = edge_files.read_json(folder / SPEC)
    try:
        spec = GenerationSpec(
            str(content["name"]), int(content["dimensions"]), str(content["embedder"]), str(content["chunker"])
        )
        shard, encoder = str(content["shard"]), str(content["lexical"])
        built = int(content.get("indexed_vectors", 0))  # older releases did not say: all counts as new
        if spec.name != folder.name or "/" in shard or not shard.startswith("shard-"):
            raise ValueError("name")
    except (KeyError, TypeError, ValueError) as error:
        raise DataCorruption(Reason.INDEX_CORRUPT, f"generation {folder.name} has a damaged specification") from error
    return spec, shard, encoder, content.get("sampled") is True, str(content.get("graph", "")), built


def _explain(error: RagError, generation: str) -> DataCorruption:
    return DataCorruption(
        Reason.INDEX_CORRUPT,
        f"generation {generation} is damaged: {error.message}. Nothing is served from it until it is filled again from "
        "PostgreSQL: a running stack does so automatically, `rag index rebuild` once the stack is stopped",
        generation=generation,
    )
