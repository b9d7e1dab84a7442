"""What the four stages share: their inputs, their result and the accounting identity."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from rag_core.generations import Generation
from rag_core.pipeline.pending_store import Extent
from rag_core.settings import Settings
from rag_core.sources import Scope

Progress = Callable[[int, int | None], None]
"""Called with (done, total or None) now and then; never from another thread."""


Stop = Callable[[], bool]
"""Asked between two batches; true ends a stage early. What is left is due in the next run."""


def never() -> bool:
    """A `Stop` for stages that go on to their end."""
    return False


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage after the first works on: a shard that `connection` holds, or only `doc_ids` of it.

    `progress` is called and `stop` is asked after each batch.
    """

    connection: Connection
    scope: Scope
    settings: Settings
    doc_ids: Sequence[uuid.UUID] | None = None
    progress: Progress | None = None
    stop: Stop = never
    include_unindexed: bool = False

    @property
    def extent(self) -> Extent:
        return Extent(self.scope.key, self.doc_ids)

    def only_indexed(self, generation: Generation) -> bool:
        """Whether documents that the generation has never held are left out.

        They are the work of its build, which sets `include_unindexed`; given documents go to every generation at once.
        """
        return generation.state == "building" and self.doc_ids is None and not self.include_unindexed

    def report(self, done: int, total: int) -> bool:
        """Report progress; whether the stage must end now."""
        if self.progress is not None:
            self.progress(done, total)
        return self.stop()


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
class StageResult:
    """What one stage did, as metadata for the asset.

    `counts` are integers by name (documents, chunks, embedded, cached, upserted, ...), `preview` up to ten rows for a
    table, `problem` the reason code when the stage did not do all it should (a held deletion, an incomplete listing),
    which a check at the end of the run turns into a failed run. `version_tag` is that of the listing, whichever run
    made it; `None` for the other stages. `pending` is how much of what the stage found pending it has left: it was
    stopped, or a document was not ready. `outcomes` are further numbers of a listing (what became of URLs of a crawl).
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
