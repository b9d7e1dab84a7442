"""The alert value and the notifier protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol


class AlertKind(StrEnum):
    """The kinds of alerts."""

    RUN_FAILED = "run_failed"
    CHECK_BLOCKED = "check_blocked"
    SOURCE_STALE = "source_stale"
    DELETIONS_HELD = "deletions_held"
    DOCUMENTS_DISAPPEARED = "documents_disappeared"
    POISON_RATE = "poison_rate"
    STREAM_HALTED = "stream_halted"
    CURSOR_AHEAD = "cursor_ahead"
    INDEX_DAMAGED = "index_damaged"


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition that began at `started_at` and, when it is over, ended at `ended_at`.

    `key` identifies the condition: the same key is the same alert. Neither `summary` nor `details` contains document
    text or secrets.
    """

    key: str
    kind: AlertKind
    severity: Literal["warning", "critical"]
    summary: str
    source: str = ""
    tenant: str = ""
    details: Mapping[str, str | int | float] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def firing(self) -> bool:
        return self.ended_at is None

    def as_json(self) -> dict[str, Any]:
        """The alert as notifiers send it; times in ISO 8601 with time zone."""
        return {
            "key": self.key,
            "kind": str(self.kind),
            "status": "firing" if self.firing else "resolved",
            "severity": self.severity,
            "source": self.source,
            "tenant": self.tenant,
            "summary": self.summary,
            "details": dict(self.details),
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
        }


class Notifier(Protocol):
    """Delivers alerts, at least once: a receiver identifies an alert by its key and status."""

    name: str
    """`log`, `webhook` or `alertmanager`."""
    repeat_seconds: float | None
    """Interval at which a firing alert is sent again; `None`: only when it begins and ends."""

    def send(self, alerts: Sequence[Alert]) -> None:
        """Send alerts. Raises `Unavailable` (`ALERT_UNDELIVERED`) unless delivery is confirmed."""
        ...

    def close(self) -> None:
        """Close connections. Idempotent."""
        ...
