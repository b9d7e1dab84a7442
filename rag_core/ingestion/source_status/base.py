"""The facts about a source, and the status that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SourceState(StrEnum):
    """The state of a source. One at a time: what happens now, else what needs an operator, else how good it is."""

    NEW = "new"
    LISTING = "listing"
    EMBEDDING = "embedding"
    INDEXING = "indexing"
    WAITING = "waiting"
    UP_TO_DATE = "up_to_date"
    STALE = "stale"
    DEGRADED = "degraded"
    FAILED = "failed"
    PAUSED = "paused"
    HELD = "held"


class WaitingCause(StrEnum):
    """Causes for which a source is in the state `waiting`."""

    RUN_SLOT = "run_slot"
    EMBEDDING = "embedding"
    NEXT_RUN = "next_run"
    STREAM_WORKER = "stream_worker"
    DAGSTER = "dagster"
    DELETIONS = "deletions"
    """Approved deletions, which the next run carries out."""


class RunState(StrEnum):
    """The state of a run, as far as the status needs it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class SourceRun:
    """The newest run of a shard. `failing_since`: the first failure since the last good run."""

    shard: int
    run_id: str
    state: RunState
    queued_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failing_since: datetime | None = None
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Texts:
    """Distinct texts of what the runs under way work on: how many, how many have a vector, and vectors per second."""

    total: int = 0
    embedded: int = 0
    per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class EmbeddingTurn:
    """A run that waits for its turn at embedding: sources before it, and seconds until then (`None`: not known)."""

    before: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about a source, from its rows.

    `observed_at` is when Dagster's knowledge of it was last written, `None` when it never was. `read` counts the
    documents that the runs under way have stored, `unread` the listed items they have not read yet. `listing` says
    whether one of them still lists while it reads, `listed` whether all have listed and read everything. `ahead`
    counts the sources whose runs come first. `worker_alive` and `halted` (a reason code) are the stream worker's.
    `mistake` is what is wrong in its source file. `closed` (a reason code) is why its tenant is not active.
    """

    name: str
    kind: str
    documents: int = 0
    pending: int = 0
    quarantined: int = 0
    held_deletions: int = 0
    held_at: datetime | None = None
    deletions_approved: bool = False
    last_complete_at: datetime | None = None
    has_runs: bool = True
    configured: bool = True
    paused_at: datetime | None = None
    freshness_minutes: int | None = None
    observed_at: datetime | None = None
    runs: tuple[SourceRun, ...] = ()
    texts: Texts = Texts()
    turn: EmbeddingTurn | None = None
    read: int = 0
    unread: int = 0
    listing: bool = False
    listed: bool = False
    ahead: int = 0
    inbox: int = 0
    worker_alive: bool = True
    halted: str = ""
    mistake: str = ""
    egress_refused_at: datetime | None = None
    closed: str = ""
    tenant: str = "default"


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The status of a source. `reason` is a code of `rag_core.errors.Reason`, `count` what the sentence counts.

    `percent` and `seconds_left` belong to `embedding`, `run_id` to a failure of a run. `failing_since` and `reason`
    stay while a failed source is tried again.
    """

    state: SourceState
    since: datetime | None = None
    count: int = 0
    percent: int = 0
    seconds_left: float | None = None
    waiting_for: WaitingCause | None = None
    ahead: int = 0
    reason: str = ""
    message: str = ""
    remedy: str = ""
    failing_since: datetime | None = None
    run_id: str = ""
