"""What the four stages share: their inputs, their report and the accounting identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from rag_core.sources import Source

Progress = Callable[[int, int | None], None]
"""Called with (done, total or None) now and then; never from another thread."""


Stop = Callable[[], bool]
"""Asked between two batches; true ends a stage early. What is left is due in the next run."""


def never() -> bool:
    """A `Stop` for stages that go on to their end."""
    return False


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows one run works on: one shard of one source.

    `requested_at` is when the run was asked for: a listing that began later has every change from before that, so
    runs of several shards can share it. `None`: the run lists for itself.
    """

    source: Source
    run_id: str
    shard: int = 0
    requested_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DocumentCounts:
    """The accounting of one run over one shard, in documents.

    `read` counts every item of the listing plus every document of ours that was found gone. The identity
    `read = indexed + unchanged + deleted + quarantined + skipped` (`balanced`) is asserted by a blocking check after
    the index stage; `pending` is how many documents the index stage still owes and must be 0 by then. A held deletion
    counts as `unchanged` (the document stays) and in `held`. A document that an incomplete listing does not name is
    read and `unchanged` too.
    """

    read: int = 0
    indexed: int = 0
    unchanged: int = 0
    deleted: int = 0
    quarantined: int = 0
    skipped: int = 0
    pending: int = 0
    held: int = 0

    @property
    def balanced(self) -> bool:
        accounted = self.indexed + self.unchanged + self.deleted + self.quarantined + self.skipped
        return self.pending == 0 and self.read == accounted


@dataclass(frozen=True, slots=True)
class StageReport:
    """What one stage did, as metadata for the asset.

    `counts` are integers by name (documents, chunks, embedded, cached, upserted, ...), `preview` up to ten rows for a
    table, `problem` the reason code when the stage did not do all it should (a held deletion, an incomplete listing),
    which a check at the end of the run turns into a failed run. `change_token` is that of the listing, whichever run
    made it; `None` for the other stages.
    """

    stage: str
    counts: dict[str, int]
    seconds: float
    bytes: int = 0
    preview: list[dict[str, str | int | float]] = field(default_factory=list)
    problem: str | None = None
    message: str | None = None
    change_token: str | None = None
