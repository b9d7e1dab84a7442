"""Named points at which a fault test can end the process: `RAG_FAILPOINT=name:count:kill`.

A point costs one comparison when nothing is armed. `kill` sends SIGKILL to the own process, so nothing is flushed,
closed or rolled back by us; `raise` raises `FailpointReached`, for tests that stay in one process.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from rag_core.errors import ConfigError, Reason

POINTS = frozenset(
    {
        "after_fetch",  # bytes read, nothing written
        "before_run_recorded",  # the process of a run is started, nobody knows which one it is
        "before_settle",  # a micro-batch is read, neither its rows nor its progress are written
        "after_commit",  # a batch of documents is in PostgreSQL, the index knows nothing of it
        "after_embed_batch",  # a batch of vectors is committed
        "after_upsert",  # the index holds a batch, the mark is not written
        "before_stale_delete",  # new points are in, the old ones not yet out
        "after_build_slice",  # a part of a generation is built, the rest is not
        "before_ready",  # nothing is pending in a generation any more, its state still says `building`
        "before_judgement_kept",  # the gate has its result, the generation has not
        "after_promote_commit",  # PostgreSQL names another active generation, the alias has not moved
        "after_alias_move",  # readers are moved, the caller has no answer yet
        "after_retire_commit",  # a generation is retired, its files are there
        "before_retire_drop",  # its marks are gone, its files are there
        "deploy_recorded",  # a deployment's next state is in PostgreSQL, nothing was done for it yet
        "deploy_acted",  # its work was done (servers started, weights moved), the result is not in PostgreSQL
        "before_mark",  # the mark is written, its transaction not committed
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
    """Arm one point for this process (`None` disarms). Raises `ConfigError` (`CONFIG_INVALID`) otherwise."""
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
    """Mark that execution passed the point `name`; the `count`-th pass of the armed one ends here."""
    if _armed is None or _armed.name != name:
        return
    _armed.remaining -= 1
    if _armed.remaining > 0:
        return
    if _armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    arm(None)
    raise FailpointReached(name)
