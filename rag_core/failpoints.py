"""Failpoints: named points at which a fault test can end the process, `RAG_FAILPOINT=name:count:kill`.

A point costs one comparison when none is armed. `kill` sends SIGKILL to the own process, so that it flushes, closes and
rolls back nothing; `raise` raises `FailpointReached`, for tests in one process.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from rag_core.errors import ConfigError, Reason

POINTS = frozenset(
    {
        "after_fetch",  # bytes read, nothing written
        "before_run_recorded",  # the process of a run is started, its id is not stored
        "before_settle",  # a micro-batch is read, its rows and progress are not written
        "after_commit",  # a batch of documents is in PostgreSQL, not in the index
        "after_embed_batch",  # a batch of vectors is committed
        "after_upsert",  # a batch is in the index, the mark is not written
        "before_stale_delete",  # new points are written, old ones not yet removed
        "after_build_slice",  # a part of a generation is built, the rest is not
        "before_ready",  # nothing is pending for a generation, its state is still `building`
        "before_judgement_kept",  # the gate's result is not yet stored with the generation
        "after_promote_commit",  # PostgreSQL has another active generation, the alias has not moved
        "after_alias_move",  # readers are moved, the caller has no response yet
        "after_retire_commit",  # a generation is retired, its files still exist
        "before_retire_drop",  # its marks are deleted, its files still exist
        "deploy_recorded",  # a deployment's next state is in PostgreSQL, its work is not begun
        "deploy_acted",  # its work is done (servers started, weights moved), the result is not in PostgreSQL
        "before_mark_commit",  # the mark is written, its transaction not committed
    }
)


class FailpointReached(RuntimeError):  # noqa: N818
    """Raised at an armed point with the action `raise`."""


@dataclass(slots=True)
class _Armed:
    name: str
    remaining: int
    action: str


_armed: _Armed | None = None


def arm(spec: str | None) -> None:
    """Arm one point for this process (`None` disarms). Raises `ConfigError` (`CONFIG_INVALID`) if invalid."""
    global _armed
    if spec is None:
        _armed = None
        return
    name, _, rest = spec.partition(":")
    count, _, action = rest.partition(":")
    if name not in POINTS or not count.isdecimal() or int(count) < 1 or action not in {"kill", "raise"}:
        raise ConfigError(
            Reason.CONFIG_INVALID, f"RAG_FAILPOINT: expected name:count:kill with a name of {sorted(POINTS)}"
        )
    _armed = _Armed(name, int(count), action)


def reach(name: str) -> None:
    """Pass the point `name`; the `count`-th pass of the armed point triggers its action."""
    if _armed is None or _armed.name != name:
        return
    _armed.remaining -= 1
    if _armed.remaining > 0:
        return
    if _armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    arm(None)
    raise FailpointReached(name)
