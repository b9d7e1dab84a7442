"""Write to one Edge shard, and optimize a copy of it in a child process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import qdrant_edge as edge

from rag_core.errors import RagError, Reason
from rag_core.logging import get_logger
from rag_core.platform import end_with_parent
from rag_core.retrieval.engines.edge.files import copy_sparse, require_space
from rag_core.retrieval.engines.edge.filters import engine_errors
from rag_core.retrieval.engines.edge.layout import DENSE, LEXICAL, config, create_payload_indexes
from rag_core.retrieval.engines.edge.shard import ShardReader
from rag_core.retrieval.index import OPERATION_POINTS, DocumentUpdate, operations, slices, to_json
from rag_core.retrieval.search import encode_documents, self_retrieval


def upsert(shard: edge.EdgeShard, updates: Sequence[DocumentUpdate]) -> int:
    """Write the points of updates; a document of up to `OPERATION_POINTS` points becomes visible in one step."""
    written = 0
    for batch in operations(updates):
        vectors = encode_documents([point.lexical_text or point.payload.text for point, _ in batch])
        points = [
            edge.Point(
                point.chunk_id,
                {DENSE: point.vector.tolist(), LEXICAL: edge.SparseVector(terms.indices, terms.values)},
                to_json(point, total),
            )
            for (point, total), terms in zip(batch, vectors, strict=True)
        ]
        with engine_errors():
            shard.update(edge.UpdateOperation.upsert_points(points))
        written += len(points)
    return written


def delete(shard: edge.EdgeShard, ids: Sequence[uuid.UUID]) -> None:
    """Remove points by id."""
    for some in slices(ids):
        with engine_errors():
            shard.update(edge.UpdateOperation.delete_points([*some]))


def replay(source: edge.EdgeShard, target: edge.EdgeShard, ids: Sequence[uuid.UUID]) -> None:
    """Copy the state of points from `source` to `target`, including their absence."""
    for wanted in slices(ids, OPERATION_POINTS):
        with engine_errors():
            records = source.retrieve([*wanted], with_payload=True, with_vector=True)
            present = [edge.Point(record.id, record.vector or {}, record.payload) for record in records]
            gone: list[edge.PointId] = [*(set(wanted) - {record.id for record in records})]
            if present:
                target.update(edge.UpdateOperation.upsert_points(present))
            if gone:
                target.update(edge.UpdateOperation.delete_points(gone))


# --------------------------------------------------------------------------------------------------------------------
# Optimize a copy of a shard in a separate process.


_NICE = 10
_ROUNDS = 20
"""A hundred graphs with 4 links a point: 98 had none left after five rounds, and all after seven."""
_SAID_CHARS = 2000
"""The end of what a failed child printed has the error with its cause."""
_log = get_logger(__name__)


def copy_shard(source: Path, target: Path) -> None:
    """Copy a flushed shard. Raises `Exhausted` (`STORAGE_FULL`) unless copy and rebuilt segments fit on disk."""
    require_space(source, 3 * _size(source))
    shutil.copytree(source, target, copy_function=copy_sparse)


def _size(shard: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in shard.rglob("*") if path.is_file())


def optimize_copy(path: Path, dimensions: int) -> int:
    """Optimize the shard at `path` in a child process. Blocking. Returns the number of points outside of its graph.

    Raises, when the child fails, `Exhausted` (`STORAGE_FULL`) on a disk without room, else `RagError` (`INTERNAL`).
    """
    command = [sys.executable, "-m", __name__, str(path), str(dimensions)]
    child = subprocess.run(command, capture_output=True, check=False)
    if child.returncode != 0:
        said = child.stderr.decode(errors="replace").strip()
        _log.error("graph_build_failed", exit_code=child.returncode, said=said[-_SAID_CHARS:])
        # Others may have filled the disk since, of which a child dies without a word. A reset has removed the copy.
        require_space(path.parent, _size(path))
        raise RagError(Reason.INTERNAL, f"optimizing failed with exit code {child.returncode}; nothing was changed")
    return int(child.stdout)


def optimize(shard: edge.EdgeShard) -> int:
    """Build the search graph, and keep the points that it does not reach outside of it. Returns their number.

    A graph may have points to which no link leads. Written again they are in a segment without a graph, which every
    search compares point by point. That takes them, and so their links, out of the graph: it is examined again.
    """
    shard.optimize()
    reader = ShardReader(shard, has_idf_samples=False)
    outside = 0
    for _ in range(_ROUNDS):
        unreached = _unreached(reader)
        replay(shard, shard, unreached)
        outside += len(unreached)
        if not unreached:
            break
    return outside


def _unreached(reader: ShardReader) -> list[uuid.UUID]:
    if reader.indexed_vectors() <= reader.points_count():
        return []  # only sparse vectors: it is too small for a graph
    pages = ([chunk_id for chunk_id, _, _ in page] for page in reader.identity_pages())
    return [one for page in pages for one in self_retrieval(reader, page).missed]


def main(path: str, dimensions: str) -> None:
    """The child's entry point. It ends with its parent, because its result would be unused."""
    end_with_parent(signal.SIGKILL)
    os.nice(_NICE)
    shard = edge.EdgeShard.load(path, config(int(dimensions)))
    create_payload_indexes(shard)  # an older release may have made others
    sys.stdout.write(str(optimize(shard)))
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
