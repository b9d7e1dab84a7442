"""Verify stored documents against the sources: read and parse items again and compare them with the rows.

`verify` compares the rows with the index; together they cover the path from the source to search results.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from rag_core.content.documents import store as documents
from rag_core.content.parsing import Parser
from rag_core.content.sources import Connector, FetchTask, Source, deletion_store, load_listing
from rag_core.content.sources import listing_store as listing
from rag_core.database import Store, locks
from rag_core.errors import Unavailable
from rag_core.ids import document_id, text_hash
from rag_core.ingestion.pipeline import WITHOUT_TEXT, Progress, Reader, ReadResult, parser_fingerprint
from rag_core.ingestion.verify import store as rows
from rag_core.ingestion.verify.report import Finding, FindingKind, Findings
from rag_core.settings import Settings

_PAGE = 500
_NOTHING = "verify"
"""Placeholder for parser fingerprint and run id, so that no stored outcome matches and every item is checked."""


@dataclass(frozen=True, slots=True)
class SourceComparison:
    """The result of the comparison with one source; `clean` when there is no difference.

    Of `listed` items, `read` were read and compared (others are trusted, because their version tag equals the row's),
    `quarantined` are known to be unusable, `skipped` are left out (empty, excluded or erased).
    """

    source: str
    tenant: str
    listed: int
    read: int
    stored: int
    quarantined: int
    skipped: int
    totals: dict[FindingKind, int]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def clean(self) -> bool:
        return not self.totals

    def to_json(self) -> dict[str, Any]:
        counts = ("source", "tenant", "listed", "read", "stored", "quarantined", "skipped")
        return {
            "clean": self.clean,
            **{name: getattr(self, name) for name in counts},
            "totals": {str(kind): count for kind, count in sorted(self.totals.items())},
            "findings": [finding.to_json() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }


def verify_source(
    store: Store,
    connector: Connector,
    parser: Parser,
    source: Source,
    settings: Settings,
    *,
    sample: int | None = None,
    progress: Progress | None = None,
) -> SourceComparison:
    """List a source to its end, read its items as a first run would, and compare them with the rows. Writes nothing.

    With `sample`, only about that many of the items with an unchanged version tag are read, chosen at random. Changes
    at the source or in the rows during the comparison are reported as differences. Raises `Unavailable` when the source
    cannot be reached.
    """
    started = time.monotonic()
    with locks.observer_connection(store) as connection:
        look = _SourceCheck(connection, connector, parser, source, settings)
        look.run(sample, progress)
    return SourceComparison(
        source=source.name,
        tenant=source.tenant,
        **{name: look.counts[name] for name in ("listed", "read", "stored", "quarantined", "skipped")},
        totals=dict(look.findings.totals),
        findings=tuple(look.findings.kept),
        seconds=time.monotonic() - started,
    )


class _SourceCheck:
    def __init__(
        self, connection: Connection, connector: Connector, parser: Parser, source: Source, settings: Settings
    ) -> None:
        self._connection = connection
        self._connector = connector
        self._source = source
        self._of = {"tenant": source.tenant, "source": source.name}
        self._reader = Reader(
            connector,
            parser,
            parser_fingerprint=parser_fingerprint(parser, source),
            workers=settings.parser_workers,
            max_bytes=settings.sync_batch_bytes,
            quality=source.quality,
        )
        self.counts: Counter[str] = Counter()
        self.findings = Findings()

    def run(self, sample: int | None, progress: Progress | None) -> None:
        listing.prepare(self._connection)
        error = load_listing(self._connection, replace(self._source, shards=1), self._connector.list_items()).error
        self.counts["listed"] = listing.entries(self._connection, 0)
        key = (self._source.tenant, self._source.name, 0)
        listing.compare(self._connection, *key, parser_fingerprint=_NOTHING, run_id=_NOTHING, attempts=0)
        self._connection.commit()
        self._check_refused()
        share = 1.0 if sample is None else sample / max(1, self.counts["listed"])
        reads = self._reader.read(self._chosen(share))
        done = 0
        while page := list(islice(reads, _PAGE)):
            self._check_items(page)
            done += len(page)
            if progress is not None:
                progress(done, self.counts["listed"])
        if error is not None:
            self._find(FindingKind.UNPROVEN, f"{self._source.name}: {error}")
        else:
            self._check_absent()

    def _chosen(self, share: float) -> Iterator[FetchTask]:
        """Items to read, as if they were new."""
        chance = random.Random()  # noqa: S311 - a fixed seed would check the same items for ever
        for task in listing.take_tasks(self._connection, _PAGE):
            if share < 1 and task.live and task.known_token == task.token and chance.random() >= share:
                self.counts["stored"] += 1
                continue
            yield replace(task, live=False, content_hash=b"")

    def _check_refused(self) -> None:
        """Entries that the connector itself could not offer."""
        for row in rows.refused(self._connection, **self._of):
            if row.skipped or row.known:
                self.counts["skipped" if row.skipped else "quarantined"] += 1
            else:
                self._find(FindingKind.NOT_HELD, f"{row.locator}: {row.reason}, and not in quarantine")
        self._connection.commit()

    def _check_items(self, reads: Sequence[ReadResult]) -> None:
        ids = [document_id(self._source.tenant, self._source.name, read.task.locator) for read in reads]
        live = rows.live_rows(self._connection, ids)
        locators = [read.task.locator for read in reads]
        known = rows.quarantined(self._connection, **self._of, locators=locators)
        erased = {
            doc_id for doc_id, held in documents.load_stored(self._connection, ids).items() if _is_erased(held, live)
        }
        self._connection.commit()
        for doc_id, read in zip(ids, reads, strict=True):
            self.counts["read"] += 1
            if doc_id in erased:
                self.counts["skipped"] += 1
            elif read.document is not None:
                self._check_document(read, live.get(doc_id), doc_id)
            elif read.failure is not None:
                self._check_failure(read, live.get(doc_id), read.task.locator in known)

    def _check_document(self, read: ReadResult, row: Any, doc_id: uuid.UUID) -> None:
        locator = read.task.locator
        if row is None:
            self._find(FindingKind.NOT_HELD, f"{locator}: is not stored", doc_id)
            return
        self.counts["stored"] += 1
        wrong = list(_differences(read, row, self._source))
        if wrong:
            self._find(FindingKind.DIFFERS_FROM_SOURCE, f"{locator}: {', '.join(wrong)}", doc_id)

    def _check_failure(self, read: ReadResult, row: Any, known: bool) -> None:
        failure, locator = read.failure, read.task.locator
        assert failure is not None  # noqa: S101
        if failure.reason in WITHOUT_TEXT and row is not None:
            self._find(FindingKind.DIFFERS_FROM_SOURCE, f"{locator}: has no text at the source", row.doc_id)
        elif read.left_out and row is None:
            self.counts["skipped"] += 1
        elif isinstance(failure, Unavailable):
            self._find(FindingKind.UNPROVEN, f"{locator}: {failure.reason}")
        elif known:
            self.counts["quarantined"] += 1
        else:
            self._find(FindingKind.NOT_HELD, f"{locator}: {failure.reason}, and not in quarantine")

    def _check_absent(self) -> None:
        deletion_store.find_deleted(self._connection, **self._of)
        self._connection.commit()
        for row in rows.absent(self._connection):
            self._find(FindingKind.NOT_AT_SOURCE, f"{row.locator}: is stored, and not at the source", row.doc_id)

    def _find(self, kind: FindingKind, detail: str, doc_id: uuid.UUID | None = None) -> None:
        self.findings.add(Finding(kind, detail, doc_id))


def _is_erased(held: documents.StoredDocument, live: dict[uuid.UUID, Any]) -> bool:
    return bool(held.erased) and held.doc_id not in live


def _differences(read: ReadResult, row: Any, source: Source) -> Iterator[str]:
    document = read.document
    assert document is not None  # noqa: S101
    if text_hash(document.text) != bytes(row.text_hash):
        yield "text"
    for name in ("title", "language", "media_type"):
        if getattr(document, name) != getattr(row, name):
            yield name
    if {**source.metadata, **document.metadata} != row.metadata:
        yield "metadata"
    if not _same_acl(read.raw_acl, row, source):
        yield "ACL"


def _same_acl(reported: tuple[str, ...] | None, row: Any, source: Source) -> bool:
    """Return whether the ACL matches: an item without one keeps its stored ACL, or has the source's default."""
    if reported is not None:
        return row.acl is not None and set(row.acl) == set(reported)
    if not row.acl_inherited and row.acl is not None:
        return True
    return source.acl is None or (row.acl is not None and set(row.acl) == set(source.acl))
