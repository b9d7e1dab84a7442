"""Rows of alerts, and of their deliveries to each notifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from rag_core.database import page_of
from rag_core.database.tables.operations import alerts
from rag_core.governance.webhooks import EventType, WebhookEvent
from rag_core.governance.webhooks import outbox_store as outbox
from rag_core.ingestion.alerts.base import Alert, AlertKind


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert and, by notifier, its last delivery: `{"status", "since", "at"}`."""

    alert: Alert
    delivered: dict[str, dict[str, str]]

    @property
    def since(self) -> str:
        """The start time, which distinguishes occurrences of the same condition."""
        return self.alert.started_at.isoformat() if self.alert.started_at else ""


def begin(connection: Connection, conditions: Sequence[Alert], now: datetime) -> None:
    """Store the current conditions. An ended one begins again; one that continues keeps its start."""
    known = set(connection.scalars(select(alerts.c.key).where(alerts.c.ended_at.is_(None))))
    begun = {alert.key: replace(alert, started_at=alert.started_at or now) for alert in conditions}
    outbox.record(
        connection, [_event(EventType.ALERT_FIRING, alert) for key, alert in sorted(begun.items()) if key not in known]
    )
    for alert in sorted(conditions, key=lambda one: one.key):
        statement = insert(alerts).values(
            key=alert.key,
            kind=str(alert.kind),
            severity=alert.severity,
            tenant=alert.tenant,
            source=alert.source,
            summary=alert.summary,
            details=dict(alert.details),
            started_at=alert.started_at or now,
        )
        new = statement.excluded
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["key"],
                set_={
                    "severity": new.severity,
                    "summary": new.summary,
                    "details": new.details,
                    "started_at": case((alerts.c.ended_at.is_(None), alerts.c.started_at), else_=new.started_at),
                    "ended_at": None,
                },
            )
        )


def close_others(connection: Connection, keys: Sequence[str], kinds: Sequence[str] | None, now: datetime) -> int:
    """Close the open alerts (of these kinds) whose condition is over; returns their number."""
    statement = update(alerts).where(alerts.c.ended_at.is_(None), alerts.c.key.not_in(list(keys)))
    if kinds is not None:
        statement = statement.where(alerts.c.kind.in_(list(kinds)))
    ended = [_alert(row) for row in connection.execute(statement.values(ended_at=now).returning(alerts))]
    outbox.record(connection, [_event(EventType.ALERT_RESOLVED, alert) for alert in ended])
    return len(ended)


def _event(kind: EventType, alert: Alert) -> WebhookEvent:
    return WebhookEvent(
        kind, alert.tenant, {name: value for name, value in alert.as_json().items() if name != "tenant"}
    )


def newest(
    connection: Connection, tenant: str, *, ended: bool, limit: int, after: Sequence[Any] | None = None
) -> list[Alert]:
    """Alerts of a tenant or the whole platform: open ones first, then, on request, ended ones."""
    columns = alerts.c
    statement = select(alerts).where(columns.tenant.in_([tenant, ""]))
    if not ended:
        statement = statement.where(columns.ended_at.is_(None))
    order = (columns.ended_at.is_(None), columns.started_at, columns.key)
    page = page_of(statement, order, after=after, limit=limit, newest_first=True)
    return [_alert(row) for row in connection.execute(page)]


def count_open(connection: Connection) -> dict[tuple[str, str], int]:
    """Count open alerts by kind and severity, over all tenants."""
    columns = alerts.c
    statement = select(columns.kind, columns.severity, func.count()).where(columns.ended_at.is_(None))
    rows = connection.execute(statement.group_by(columns.kind, columns.severity))
    return {(kind, severity): count for kind, severity, count in rows}


def undelivered(connection: Connection) -> list[OpenAlert]:
    """Open alerts, and ended ones whose end was not delivered to some notifier."""
    rows = connection.execute(_UNDELIVERED).all()
    return [OpenAlert(_alert(row), row.delivered) for row in rows]


_UNDELIVERED = text("""
SELECT * FROM rag.alerts a
WHERE a.ended_at IS NULL OR EXISTS (
    SELECT FROM jsonb_each(a.delivered) AS sent WHERE sent.value ->> 'status' = 'firing')
ORDER BY a.started_at, a.key
""")


def record_delivery(connection: Connection, notifier: str, sent: Sequence[Alert], now: datetime) -> None:
    """Record that these alerts were delivered to a notifier in this state."""
    for alert in sent:
        since = alert.started_at.isoformat() if alert.started_at else ""
        status = "firing" if alert.firing else "resolved"
        message = func.jsonb_build_object("status", status, "since", since, "at", now.isoformat())
        merged = alerts.c.delivered.op("||")(func.jsonb_build_object(notifier, message))
        connection.execute(update(alerts).where(alerts.c.key == alert.key).values(delivered=merged))


def forget_notifiers(connection: Connection, notifiers: Sequence[str]) -> None:
    """Delete the deliveries of notifiers that are no longer configured."""
    connection.execute(_FORGET_NOTIFIERS, {"names": list(notifiers)})


_FORGET_NOTIFIERS = text("""
UPDATE rag.alerts SET delivered = (
    SELECT coalesce(jsonb_object_agg(sent.key, sent.value), '{}') FROM jsonb_each(delivered) AS sent
    WHERE sent.key = ANY(:names))
WHERE EXISTS (SELECT FROM jsonb_object_keys(delivered) AS name WHERE name <> ALL(:names))
""")


def purge(connection: Connection, *, days: int) -> int:
    """Delete alerts that ended more than `days` ago."""
    statement = text("DELETE FROM rag.alerts WHERE ended_at < now() - make_interval(days => :days)")
    return connection.execute(statement, {"days": days}).rowcount


def _alert(row: Any) -> Alert:
    return Alert(
        row.key,
        AlertKind(row.kind),
        row.severity,
        row.summary,
        row.source,
        row.tenant,
        row.details,
        row.started_at,
        row.ended_at,
    )


# --------------------------------------------------------------------------------------------------------------------
# States of sources, for alerts and metrics.


_SOURCES = text("""
SELECT s.tenant, s.name, s.held_deletions, s.held_at, s.last_complete_at AS listed_at,
       (SELECT count(*) FROM rag.quarantine q
        WHERE q.tenant = s.tenant AND q.source = s.name AND NOT q.skipped) AS quarantined,
       coalesce((SELECT min(q.message) FROM rag.quarantine q
                 WHERE q.tenant = s.tenant AND q.source = s.name AND q.reason = 'CURSOR_AHEAD'), '') AS dated_ahead
FROM rag.sources s ORDER BY s.tenant, s.name
""")


@dataclass(frozen=True, slots=True)
class SourceAlertState:
    """The state of one source: held deletions, quarantined inputs, the last complete listing, and what is known of rows
    dated in the future."""

    tenant: str
    name: str
    held_deletions: int
    held_at: datetime | None
    listed_at: datetime | None
    quarantined: int
    dated_ahead: str = ""


def source_states(connection: Connection) -> list[SourceAlertState]:
    """The state of every source that has ever run."""
    return [SourceAlertState(*row) for row in connection.execute(_SOURCES)]


_DISAPPEARED = text("""
SELECT s.tenant, s.name, r.documents, r."of", r.finished_at FROM rag.sources s
CROSS JOIN LATERAL (
    SELECT (n.counts ->> 'disappeared')::int AS documents, (n.counts ->> 'disappeared_of')::int AS "of", n.finished_at
    FROM rag.run_stages n
    WHERE n.tenant = s.tenant AND n.source = s.name AND n.stage = 'documents' AND n.finished_at >= :since
      AND (n.counts ->> 'disappeared')::float > CAST(:share AS float) * (n.counts ->> 'disappeared_of')::float
    ORDER BY n.finished_at DESC LIMIT 1) AS r
ORDER BY s.tenant, s.name
""")


@dataclass(frozen=True, slots=True)
class Disappearance:
    """Documents of a source that one run found missing and deleted, of so many."""

    tenant: str
    source: str
    documents: int
    of: int
    at: datetime


def disappearances(connection: Connection, *, since: datetime, share: float) -> list[Disappearance]:
    """For each source the newest run since a moment that deleted more than this share of it without an approval."""
    return [Disappearance(*row) for row in connection.execute(_DISAPPEARED, {"since": since, "share": share})]
