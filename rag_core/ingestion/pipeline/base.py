"""Types that the four stages share: their inputs, their result and the accounting identity."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from rag_core.content.sources import Scope
from rag_core.ingestion.generations import Generation
from rag_core.ingestion.pipeline.pending_store import Extent
from rag_core.ingestion.pipeline.turns import NO_TURN, Turn
from rag_core.settings import Settings

Progress = Callable[[int, int | None], None]
"""Called with (done, total or `None`) from time to time; always on the stage's own thread."""


Stop = Callable[[], bool]
"""Called between two batches; true ends the stage early. The remaining work is pending for the next run."""


class RunRequired(Exception):  # noqa: N818
    """More of a source has changed than a `SmallChanges` allows. Nothing was written; a run has to read it."""


@dataclass(frozen=True, slots=True)
class SmallChanges:
    """The most that a caller brings in outside of a run: items to read, their bytes, and seconds of listing."""

    items: int
    bytes: int
    seconds: float


def never() -> bool:
    """The `Stop` of stages that run to their end."""
    return False


@dataclass(frozen=True, slots=True)
class Work:
    """The input of the stages after the first: a shard whose lock `connection` holds, or only `doc_ids` of it.

    `progress` and `stop` are called after each batch. Embedding waits for its `turn`. With `include_unindexed`
    documents that a building generation has never indexed are brought to it too; otherwise they are left to its build.
    """

    connection: Connection
    scope: Scope
    settings: Settings
    doc_ids: Sequence[uuid.UUID] | None = None
    progress: Progress | None = None
    stop: Stop = never
    include_unindexed: bool = False
    turn: Turn = NO_TURN

    @property
    def extent(self) -> Extent:
        return Extent(self.scope.key, self.doc_ids)

    def only_indexed(self, generation: Generation) -> bool:
        """Return whether to leave out documents that the generation has never indexed."""
        return generation.state == "building" and not self.include_unindexed

    def report(self, done: int, total: int) -> bool:
        """Report progress; returns whether the stage must end now."""
        if self.progress is not None:
            self.progress(done, total)
        return self.stop()


@dataclass(frozen=True, slots=True)
class DocumentCounts:
    """The accounting of one run over one shard, in documents.

    `read` counts every item of the listing plus every stored document that is missing from it. A blocking check after
    the index stage asserts the identity `read = indexed + unchanged + deleted + quarantined + skipped` (`balanced`),
    and that `pending`, the number of documents not yet indexed, is 0. A held deletion counts as `unchanged` (the
    document stays) and in `held`. A document that an incomplete listing does not name counts as read and `unchanged`.
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
class StageResult:
    """The result of one stage, as metadata for the asset.

    `counts` are integers by name (documents, chunks, embedded, cached, upserted, ...), `preview` up to ten rows for a
    table, `problem` the reason code when the stage is incomplete (a held deletion, an incomplete listing), for which a
    check at the end of the run fails it. `version_tag` is the listing's, also when another run made the listing; `None`
    for the other stages. `pending` is the pending work that the stage did not do, because it was stopped or a document
    was not ready. `outcomes` are further counts of a listing (fetch results of a crawl's URLs).
    """

    stage: str
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    bytes: int = 0
    preview: list[dict[str, str | int | float]] = field(default_factory=list)
    problem: str | None = None
    message: str | None = None
    version_tag: str | None = None
    pending: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
