"""Optimize a copy of a shard in a process of its own.

`EdgeShard.optimize` builds graphs for minutes with the GIL held, which would stop a server's searches, heartbeats and
deadlines. So the folder is copied, a low-priority child optimizes the copy, and the writer replays what changed
meanwhile before it moves over (`EdgeGeneration.optimize`).
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import qdrant_edge as edge

from rag_core.errors import RagError, Reason
from rag_core.index.edge_files import copy_sparse, require_space

_NICE = 10
_PR_SET_PDEATHSIG = 1


def copy_shard(source: Path, target: Path) -> None:
    """Copy a flushed shard. Raises `Exhausted` (`STORAGE_FULL`) unless copy and rebuilt segments fit on the disk."""
    size = sum(path.stat().st_blocks * 512 for path in source.rglob("*") if path.is_file())
    require_space(source, 3 * size)
    shutil.copytree(source, target, copy_function=copy_sparse)


def optimize_copy(path: Path) -> None:
    """Optimize the shard at `path` in a child process. Blocking.

    Raises `RagError` (`INTERNAL`) when the child fails.
    """
    child = subprocess.run([sys.executable, "-m", __name__, str(path)], capture_output=True, check=False)
    if child.returncode != 0:
        raise RagError(Reason.INTERNAL, f"optimizing failed with exit code {child.returncode}; nothing was changed")


def main(path: str) -> None:
    """Entry of the child, which ends with its parent: nobody would take up its work."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(_NICE)
    shard = edge.EdgeShard.load(path)
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main(sys.argv[1])
