"""What `AdminService.GetStatus` reports, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rag_core.index.base import GenerationSpec


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """One source: live documents, their chunks in the active generation's chunking, and what is still owed."""

    name: str
    kind: str
    documents: int
    chunks: int
    pending: int
    quarantined: int
    held_deletions: int
    last_complete_at: datetime | None


@dataclass(frozen=True, slots=True)
class GenerationEvent:
    """One step in the life of a generation: `detail` says what the action met."""

    at: datetime
    actor: str
    action: str
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """What the database knows of a generation: `documents` it holds, `pending` ones it lacks, and its history."""

    spec: GenerationSpec
    state: str
    created_at: datetime
    documents: int = 0
    pending: int = 0
    events: tuple[GenerationEvent, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    actor: str = ""
    reason: str = ""
    frozen: bool = False
    ready_at: datetime | None = None
    evaluation_wanted_at: datetime | None = None
    retired_at: datetime | None = None
    promoted_at: datetime | None = None
    promoted_from: str | None = None
    keep_until: datetime | None = None
    evaluation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One part: whether it works now, and why not."""

    name: str
    healthy: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class GenerationStatus:
    """A generation as the index holds it; `row` is what the database adds while it can be asked."""

    spec: GenerationSpec
    state: str
    points: int
    row: GenerationRow | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot of the platform for one tenant."""

    components: tuple[ComponentStatus, ...]
    sources: tuple[SourceCounts, ...]
    generations: tuple[GenerationStatus, ...]
    server_version: str
