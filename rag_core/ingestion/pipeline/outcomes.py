"""Collect read results and store them in one transaction: versions, metadata updates, tombstones, quarantine."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from rag_core import failpoints
from rag_core.content.documents import Deletion, MetadataUpdate, NewDocument
from rag_core.content.documents import store as documents
from rag_core.content.documents import tombstone_store as tombstones
from rag_core.content.quality import BEFORE_STORE, QuarantineEntry
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.content.sources import Scope
from rag_core.errors import RagError, Unavailable
from rag_core.governance.access import without_refused
from rag_core.ids import document_id
from rag_core.ingestion.pipeline.reading import WITHOUT_TEXT, ReadResult


@dataclass(slots=True)
class Batch:
    """Results waiting for a commit. `chars` is the size of their extracted text in memory."""

    scope: Scope
    parser_fingerprint: str
    added: list[NewDocument] = field(default_factory=list)
    updated: list[NewDocument] = field(default_factory=list)
    unchanged: list[MetadataUpdate] = field(default_factory=list)
    acl_changed: list[MetadataUpdate] = field(default_factory=list)
    now_empty: list[ReadResult] = field(default_factory=list)
    failed: list[QuarantineEntry] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    """Deletions with a version (event sources)."""
    counts: Counter[str] = field(default_factory=Counter)
    chars: int = 0

    def __len__(self) -> int:
        return len(self.added) + len(self.updated) + len(self.unchanged) + len(self.failed)

    @property
    def doc_ids(self) -> list[uuid.UUID]:
        """The documents whose rows the next commit may change."""
        rows: list[NewDocument | MetadataUpdate | Deletion] = [*self.added, *self.updated, *self.unchanged]
        rows += [*self.acl_changed, *self.deletions]
        return [row.doc_id for row in rows] + [_known_id(read) for read in self.now_empty]

    def add(self, read: ReadResult) -> None:
        """Add one result."""
        if read.document is not None:
            self._store(read)
        elif read.same:
            update = self._metadata(read, token=read.task.token, content_hash=read.content_hash)
            self.unchanged.append(replace(update, source_version=read.source_version))
        elif read.failure is not None:
            self._record_failure(read, read.failure)
        else:
            self._record_vanished(read)

    def commit(self, connection: Connection) -> Counter[str]:
        """Write everything in one transaction and return the counts; the batch is empty afterwards."""
        self.write(connection)
        connection.commit()
        failpoints.reach("after_commit")
        return self._reset()

    def write(self, connection: Connection) -> None:
        """Write everything in the current transaction.

        A live document that has become empty is deleted, because its stored text is outdated. A document whose new
        content is unusable keeps its old version, with the ACL the source reports now.
        """
        (tenant, source, shard), run = self.scope.key, self.scope.run_id
        added = documents.write(connection, tenant, source, shard, run, self.added)
        updated = documents.write(connection, tenant, source, shard, run, self.updated)
        touched = documents.update_metadata(connection, run, self.unchanged)
        documents.update_metadata(connection, run, self.acl_changed)
        tombstones.soft_delete(
            connection, run, [_known_id(read) for read in self.now_empty if read.source_version is None]
        )
        tombstones.soft_delete_versions(
            connection, tenant, source, shard, run, [*self.deletions, *_versions(self.now_empty)]
        )
        quarantine.record(connection, tenant, source, shard, run, self.failed)
        fine = [row.locator for row in (*self.added, *self.updated)] + [update.locator for update in self.unchanged]
        quarantine.clear(connection, tenant, source, fine, BEFORE_STORE)
        self.counts["added"] += added.changed
        self.counts["updated"] += updated.changed + touched.changed
        self.counts["stale"] += added.stale + updated.stale + touched.stale
        self.counts["unchanged"] += sum(one.same + one.stale for one in (added, updated, touched))

    def _store(self, read: ReadResult) -> None:
        task, document = read.task, read.document
        assert document is not None  # noqa: S101
        merged = {**self.scope.source.metadata, **document.metadata}
        acl, inherited = self._acl(read)
        row = NewDocument(
            doc_id=task.doc_id or document_id(self.scope.source.tenant, self.scope.source.name, task.locator),
            locator=task.locator,
            token=task.token,
            parser_fingerprint=self.parser_fingerprint,
            content_hash=read.content_hash,
            bytes=read.size,
            document=replace(document, metadata=merged),
            acl=acl,
            acl_inherited=inherited,
            modified_at=task.modified_at,
            base_version=task.version,
            source_version=read.source_version,
        )
        (self.updated if task.live else self.added).append(row)
        self.chars += len(document.text)

    def _record_failure(self, read: ReadResult, failure: RagError) -> None:
        skipped = read.left_out
        if failure.reason in WITHOUT_TEXT and read.task.live:
            self.now_empty.append(read)
        elif read.task.live and read.raw_acl is not None:
            self.acl_changed.append(
                self._metadata(read, token=read.task.known_token, content_hash=read.task.content_hash)
            )
        self.counts["skipped" if skipped else "quarantined"] += 1
        self.failed.append(
            QuarantineEntry(
                locator=read.task.locator,
                stage=read.stage,
                reason=failure.reason,
                message=failure.message,
                # A transient failure is retried in every run; only a permanent one is recorded as final.
                token=None if isinstance(failure, Unavailable) else read.task.token,
                parser_fingerprint=self.parser_fingerprint,
                skipped=skipped,
            )
        )

    def _record_vanished(self, read: ReadResult) -> None:
        # The item disappeared after the listing; the next listing shows whether it is deleted.
        self.counts["vanished"] += 1
        if read.task.live:
            self.counts["updated" if read.task.mine else "unchanged"] += 1
        else:
            self.counts["skipped"] += 1

    def _metadata(self, read: ReadResult, *, token: str, content_hash: bytes) -> MetadataUpdate:
        task = read.task
        assert task.doc_id is not None  # noqa: S101
        acl, inherited = self._acl(read)
        event = read.source_version is not None
        return MetadataUpdate(
            task.doc_id, task.locator, task.version, token, task.parsed_as, content_hash, acl, inherited, event
        )

    def _acl(self, read: ReadResult) -> tuple[Sequence[str] | None, bool]:
        """The ACL to store (reported, else stored, else the source's default), and whether it is the default."""
        if read.raw_acl is not None:
            return without_refused(read.raw_acl), False
        if read.task.acl is not None and not read.task.acl_inherited:
            return read.task.acl, False
        default = self.scope.source.acl if self.scope.source.acl is not None else read.task.acl
        return default, default is not None

    def _reset(self) -> Counter[str]:
        counts = self.counts
        self.added, self.updated, self.unchanged, self.acl_changed, self.now_empty, self.failed = [], [], [], [], [], []
        self.deletions, self.counts, self.chars = [], Counter(), 0
        return counts


def _known_id(read: ReadResult) -> uuid.UUID:
    assert read.task.doc_id is not None  # noqa: S101
    return read.task.doc_id


def _versions(emptied: Sequence[ReadResult]) -> list[Deletion]:
    return [
        Deletion(_known_id(read), read.task.locator, read.source_version)
        for read in emptied
        if read.source_version is not None
    ]
