"""The report of `verify`, as plain values and as JSON."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MAX_FINDINGS = 1000
"""Findings kept one by one; beyond it they are only counted."""


class FindingKind(StrEnum):
    """A way in which rows and index can differ."""

    CONFIGURATION = "configuration"
    """A collection that is not configured as its generation needs it."""
    MISSING = "missing"
    """A chunk of an indexed document that is missing in the index."""
    PHANTOM = "phantom"
    """A point that no row accounts for: its document is deleted, unknown, has no known ACL, or has no such chunk."""
    DUPLICATE = "duplicate"
    """A second point for a chunk."""
    STALE_VERSION = "stale_version"
    """A point of another version than the row's."""
    WRONG_TENANT = "wrong_tenant"
    WRONG_ACL = "wrong_acl"
    MALFORMED = "malformed"
    """A payload that differs from the row or cannot be read, or a chunk that is not the span of its document's text."""
    WRONG_DIMENSION = "wrong_dimension"
    NON_FINITE = "non_finite"
    ZERO_VECTOR = "zero_vector"
    VECTOR_MISMATCH = "vector_mismatch"
    """A vector that is not the stored embedding."""
    UNEMBEDDED = "unembedded"
    """A chunk of an indexed document whose embedding row is gone."""
    NOT_RETRIEVABLE = "not_retrievable"
    """A point that its own vector does not find."""
    COUNT_MISMATCH = "count_mismatch"
    """The engine's count, of all or of a tenant, differs from what a full scroll returns."""
    UNINDEXED = "unindexed"
    """A document version that the index still has to follow."""
    ACCOUNTING = "accounting"
    """The chunk rows of indexed documents are not as many as their documents say."""
    ALIAS_MISMATCH = "alias_mismatch"
    """The alias does not point to the generation that PostgreSQL calls active."""
    NOT_HELD = "not_held"
    """An item of a source that is neither stored nor in quarantine nor left out by policy."""
    NOT_AT_SOURCE = "not_at_source"
    """A stored document that its source does not have (any more)."""
    DIFFERS_FROM_SOURCE = "differs_from_source"
    """A stored document with another text, title, metadata or ACL than its source gives it."""
    UNPROVEN = "unproven"
    """A source, or an item of it, that could not be read: nothing is known of what it holds."""


STRAY = frozenset({FindingKind.PHANTOM, FindingKind.DUPLICATE})
"""Points that should not be there."""
LATE = frozenset({FindingKind.MISSING, FindingKind.STALE_VERSION})
"""Findings that a point causes when it was scrolled before the write of its row."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `detail` says what was expected and what is there, without any document text."""

    kind: FindingKind
    detail: str
    doc_id: uuid.UUID | None = None
    chunk_id: uuid.UUID | None = None

    def to_json(self) -> dict[str, str]:
        ids = {"doc_id": self.doc_id, "chunk_id": self.chunk_id}
        return {"kind": str(self.kind), "detail": self.detail} | {k: str(v) for k, v in ids.items() if v is not None}


@dataclass(frozen=True, slots=True)
class DocumentStates:
    """Every document row in exactly one state towards the generation."""

    indexed: int = 0
    deleted: int = 0
    withheld: int = 0
    """Live and up to date, but never searchable because no ACL was ever known."""
    rejected: int = 0
    """Live and up to date, without chunks because it could not be chunked or embedded."""
    pending: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result. `sound`: nothing is wrong; `clean`: nothing is on its way either. `totals` counts findings by kind,
    `findings` holds the first of them.

    `expected` rows were compared with `points` scrolled points, of which `retrieved` were searched for.
    """

    generation: str
    expected: int
    points: int
    retrieved: int
    documents: DocumentStates
    totals: dict[FindingKind, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return not self.totals

    @property
    def pending(self) -> int:
        """Document versions that the index still has to follow, as is normal during an ingest."""
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
            "documents": {name: getattr(states, name) for name in DocumentStates.__slots__},
            "totals": {str(kind): count for kind, count in sorted(self.totals.items())},
            "findings": [finding.to_json() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }


class Findings:
    """Collects findings, keeping the first `MAX_FINDINGS` of them."""

    def __init__(self) -> None:
        self.totals: Counter[FindingKind] = Counter()
        self.kept: list[Finding] = []

    def add(self, finding: Finding) -> None:
        self.totals[finding.kind] += 1
        if len(self.kept) < MAX_FINDINGS:
            self.kept.append(finding)

    def withdraw(self, withdrawn: list[Finding]) -> None:
        """Take findings back that turned out to be changes in progress."""
        for finding in withdrawn:
            self.totals[finding.kind] -= 1
            self.kept.remove(finding)
        self.totals += Counter()  # drops what has come to zero
