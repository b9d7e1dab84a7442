"""The report of `rag verify`: kinds of findings, findings and totals."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rag_core.ingestion.verify.recall import Recall

MAX_FINDINGS = 1000
"""Findings that are stored individually; further ones are only counted."""


class FindingKind(StrEnum):
    """The kinds of differences between rows, index and sources."""

    CONFIGURATION = "configuration"
    """A collection with another configuration than its generation needs."""
    MISSING = "missing"
    """A chunk of an indexed document that is missing from the index."""
    PHANTOM = "phantom"
    """A point without a row: its document is deleted, unknown, has no known ACL, or has no such chunk."""
    DUPLICATE = "duplicate"
    """A second point for a chunk."""
    STALE_VERSION = "stale_version"
    """A point whose version differs from the row's."""
    WRONG_TENANT = "wrong_tenant"
    WRONG_ACL = "wrong_acl"
    MALFORMED = "malformed"
    """A payload that differs from the row or cannot be read, or a chunk that is not the span of its document's text."""
    WRONG_DIMENSION = "wrong_dimension"
    NON_FINITE = "non_finite"
    ZERO_VECTOR = "zero_vector"
    VECTOR_MISMATCH = "vector_mismatch"
    """A vector that differs from the stored embedding."""
    UNEMBEDDED = "unembedded"
    """A chunk of an indexed document whose embedding row is gone."""
    NOT_RETRIEVABLE = "not_retrievable"
    """A point that exact search by its own vector does not find."""
    GRAPH_MISSES = "graph_misses"
    """More points than usual that exact search finds by their own vector and the search graph does not."""
    LOW_RECALL = "low_recall"
    """A search graph that finds too few of the exact nearest."""
    COUNT_MISMATCH = "count_mismatch"
    """The engine's count, overall or of a tenant, differs from a full scroll."""
    UNINDEXED = "unindexed"
    """A document version that is pending for the index."""
    ACCOUNTING = "accounting"
    """The number of chunk rows differs from the number that the indexed documents record."""
    ALIAS_MISMATCH = "alias_mismatch"
    """The alias does not point to the active generation of PostgreSQL."""
    NOT_HELD = "not_held"
    """An item of a source that is neither stored, nor quarantined, nor left out by policy."""
    NOT_AT_SOURCE = "not_at_source"
    """A stored document that its source does not have, or no longer has."""
    DIFFERS_FROM_SOURCE = "differs_from_source"
    """A stored document whose text, title, metadata or ACL differs from its source."""
    UNPROVEN = "unproven"
    """A source, or an item, that could not be read and so could not be compared."""


STRAY = frozenset({FindingKind.PHANTOM, FindingKind.DUPLICATE})
"""Points that should not be there."""
GRAPH = frozenset({FindingKind.GRAPH_MISSES, FindingKind.LOW_RECALL})
"""Findings about the search graph, which is approximate, and not about rows and points."""
LATE = frozenset({FindingKind.MISSING, FindingKind.STALE_VERSION})
"""Findings that a point also causes when it was scrolled before its row was written."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `detail` has the expected and the actual value, without document text."""

    kind: FindingKind
    detail: str
    doc_id: uuid.UUID | None = None
    chunk_id: uuid.UUID | None = None

    def to_json(self) -> dict[str, str]:
        ids = {"doc_id": self.doc_id, "chunk_id": self.chunk_id}
        return {"kind": str(self.kind), "detail": self.detail} | {k: str(v) for k, v in ids.items() if v is not None}


@dataclass(frozen=True, slots=True)
class DocumentStates:
    """Counts of document rows by their state in the generation; each row is in exactly one."""

    indexed: int = 0
    deleted: int = 0
    withheld: int = 0
    """Live and up to date, but not searchable because the ACL is unknown."""
    rejected: int = 0
    """Live and up to date, without chunks because it could not be chunked or embedded."""
    pending: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result of a verification. `sound`: no damage; `clean`: sound, and nothing is pending.

    `totals` counts findings by kind, `findings` has the first of them. `expected` rows were compared with `points`
    scrolled points, of which `retrieved` were searched by their vector. `missed` of these only exact search found: an
    approximate search graph has some, and they are a difference only when they are many. `unreached` has the first.
    """

    generation: str
    expected: int
    points: int
    retrieved: int
    documents: DocumentStates
    totals: dict[FindingKind, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    missed: int = 0
    unreached: tuple[Finding, ...] = ()
    recall: Recall | None = None
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return not self.totals

    @property
    def found(self) -> int:
        """The `retrieved` points that searches by their own vector found."""
        return self.retrieved - self.missed - self.totals.get(FindingKind.NOT_RETRIEVABLE, 0)

    @property
    def pending(self) -> int:
        """Document versions that are pending for the index, as is normal during ingestion."""
        return self.totals.get(FindingKind.UNINDEXED, 0)

    @property
    def sound(self) -> bool:
        return not set(self.totals) - {FindingKind.UNINDEXED}

    def to_json(self) -> dict[str, Any]:
        states = self.documents
        return {
            "clean": self.clean,
            "sound": self.sound,
            "pending": self.pending,
            "generation": self.generation,
            "expected": self.expected,
            "points": self.points,
            "retrieved": self.retrieved,
            "found": self.found,
            "missed": self.missed,
            "recall": None if self.recall is None else {"searches": self.recall.searches, "share": self.recall.share},
            "documents": {name: getattr(states, name) for name in DocumentStates.__slots__},
            "totals": {str(kind): count for kind, count in sorted(self.totals.items())},
            "findings": [finding.to_json() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }


class Findings:
    """Collects findings and stores the first `MAX_FINDINGS` of them."""

    def __init__(self) -> None:
        self.totals: Counter[FindingKind] = Counter()
        self.kept: list[Finding] = []

    def add(self, finding: Finding) -> None:
        self.totals[finding.kind] += 1
        if len(self.kept) < MAX_FINDINGS:
            self.kept.append(finding)

    def withdraw(self, withdrawn: list[Finding]) -> None:
        """Remove findings that turned out to be changes in progress."""
        for finding in withdrawn:
            self.totals[finding.kind] -= 1
            self.kept.remove(finding)
        self.totals += Counter()  # drops zero counts
