"""Rows of deliveries: which are due, what became of them, the log that operators read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, text, update

from rag_core.database.tables.webhooks import webhook_deliveries, webhook_events, webhooks
from rag_core.errors import NotFound, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.webhooks.base import Delivery, DeliveryState, Webhook
from rag_core.governance.webhooks.store import get

_COLUMNS = (
    webhook_deliveries,
    webhooks.c.tenant,
    webhook_events.c.type,
    webhook_events.c.data,
    webhook_events.c.created_at.label("occurred_at"),
)
_JOINED = webhook_deliveries.join(webhooks, webhooks.c.id == webhook_deliveries.c.webhook_id).join(
    webhook_events, webhook_events.c.id == webhook_deliveries.c.event_id
)


def find(
    connection: Connection,
    *,
    tenant: str | None,
    webhook_id: str = "",
    state: DeliveryState | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """Deliveries, newest first; `before` is the id that the page ends below."""
    columns = webhook_deliveries.c
    statement = select(*_COLUMNS).select_from(_JOINED).order_by(columns.id.desc()).limit(limit)
    if tenant is not None:
        statement = statement.where(webhooks.c.tenant == tenant)
    if webhook_id:
        statement = statement.where(columns.webhook_id == webhook_id)
    if state is not None:
        statement = statement.where(columns.state == str(state))
    if before is not None:
        statement = statement.where(columns.id < before)
    return [_delivery(row) for row in connection.execute(statement)]


def get_delivery(connection: Connection, number: int, *, tenant: str | None) -> Delivery:
    """One delivery. Raises `NotFound` (`WEBHOOK_DELIVERY_NOT_FOUND`)."""
    statement = select(*_COLUMNS).select_from(_JOINED).where(webhook_deliveries.c.id == number)
    if tenant is not None:
        statement = statement.where(webhooks.c.tenant == tenant)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(Reason.WEBHOOK_DELIVERY_NOT_FOUND, f"delivery: no delivery {number}")
    return _delivery(row)


def redeliver(connection: Connection, delivery: Delivery, *, actor: str, why: str = "") -> None:
    """Send one event again, whatever became of it, with all its tries."""
    _queue_again(connection, and_(webhook_deliveries.c.id == delivery.id))
    details = {"delivery": delivery.id, "type": delivery.type} | ({"reason": why} if why else {})
    audit.record(
        connection, actor=actor, action="webhook.redeliver", target=delivery.webhook_id, details=details,
        tenant=delivery.tenant,
    )  # fmt: skip


def redeliver_failed(connection: Connection, webhook: Webhook, *, actor: str, why: str = "") -> int:
    """Send every failed event of a webhook again; returns how many there are."""
    columns = webhook_deliveries.c
    count = _queue_again(connection, and_(columns.webhook_id == webhook.id, columns.state == "failed"))
    details = {"failed": count} | ({"reason": why} if why else {})
    audit.record(
        connection, actor=actor, action="webhook.redeliver", target=webhook.id, details=details, tenant=webhook.tenant
    )
    return count


def _queue_again(connection: Connection, condition: Any) -> int:
    values = {"state": "pending", "attempts": 0, "queued_at": func.now(), "next_attempt_at": func.now()}
    queued = connection.execute(
        update(webhook_deliveries).where(condition).values(values).returning(webhook_deliveries.c.webhook_id)
    )
    ids = list(queued.scalars())
    # An operator who sends again has repaired something, so the wait for a receiver that failed is over.
    connection.execute(update(webhooks).where(webhooks.c.id.in_(set(ids))).values(failures=0, not_before=None))
    return len(ids)


# --------------------------------------------------------------------------------------------------------------------
# What the dispatcher does. A claim is a lease: when its process ends, the delivery is due again after it.


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """Result of one attempt. `wait_seconds` is until the next one; `None`: there is none."""

    delivered: bool
    status: int | None
    reason: str
    milliseconds: int
    wait_seconds: float | None = None


_DUE = text("""
SELECT w.id, w.tenant FROM rag.webhooks w
WHERE w.enabled AND coalesce(w.not_before <= now(), true) AND w.id <> ALL(:busy) AND EXISTS (
    SELECT FROM rag.webhook_deliveries d
    WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= now())
AND NOT EXISTS (SELECT FROM rag.tenants t WHERE t.name = w.tenant AND t.state <> 'active')
ORDER BY random()
""")
_CLAIM = text("""
UPDATE rag.webhook_deliveries SET attempts = attempts + 1, last_attempt_at = now(),
    next_attempt_at = now() + make_interval(secs => :lease)
WHERE id IN (SELECT id FROM rag.webhook_deliveries
             WHERE webhook_id = :webhook AND state = 'pending' AND next_attempt_at <= now()
             ORDER BY next_attempt_at, id LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING id
""")


def due(connection: Connection, busy: Sequence[str]) -> list[tuple[str, str]]:
    """Webhooks (id and tenant) that something is due for, in random order, without those that are busy.

    Nothing leaves of a tenant that is suspended: it waits, as what the tenant pushed does.
    """
    return [(row.id, row.tenant) for row in connection.execute(_DUE, {"busy": list(busy)})]


def claim(connection: Connection, webhook_id: str, *, lease: float, limit: int) -> tuple[Webhook, list[Delivery]]:
    """Take deliveries of a webhook that are due, oldest first; each counts as an attempt."""
    params = {"webhook": webhook_id, "lease": lease, "limit": limit}
    ids = list(connection.scalars(_CLAIM, params))
    statement = select(*_COLUMNS).select_from(_JOINED).where(webhook_deliveries.c.id.in_(ids))
    rows = connection.execute(statement.order_by(webhook_deliveries.c.id)).all()
    return get(connection, webhook_id, tenant=None), [_delivery(row) for row in rows]


def record_result(connection: Connection, delivery: Delivery, result: AttemptResult) -> None:
    """Record one attempt: delivered, to be tried again, or failed for good."""
    again = not result.delivered and result.wait_seconds is not None
    state = DeliveryState.DELIVERED if result.delivered else DeliveryState.PENDING if again else DeliveryState.FAILED
    columns = webhook_deliveries.c
    values = {
        "state": str(state),
        "status": result.status,
        "reason": result.reason,
        "milliseconds": result.milliseconds,
        "next_attempt_at": func.now() + func.make_interval(0, 0, 0, 0, 0, 0, result.wait_seconds) if again else None,
    }
    # Unless an operator has queued it again meanwhile, or the lease ended: then it is another attempt's.
    unchanged = and_(
        columns.id == delivery.id,
        columns.attempts == delivery.attempts,
        columns.last_attempt_at == delivery.last_attempt_at,
    )
    connection.execute(update(webhook_deliveries).where(unchanged).values(values))


_RESET = text("UPDATE rag.webhooks SET failures = 0, not_before = NULL WHERE id = :id AND failures > 0")
_PAUSE = text("""
UPDATE rag.webhooks
SET failures = failures + 1, not_before = now() + make_interval(secs => least(2.0 ^ least(failures, 16), :most))
WHERE id = :id AND coalesce(not_before <= now(), true)
""")
_DISABLE = text("UPDATE rag.webhooks SET enabled = false, disabled_reason = :reason WHERE id = :id")


def record_receiver(connection: Connection, webhook_id: str, *, failed: bool, most_seconds: float) -> None:
    """Note how a receiver does. One that fails gets nothing for a while, which doubles up to `most_seconds`."""
    if failed:
        connection.execute(_PAUSE, {"id": webhook_id, "most": most_seconds})
    else:
        connection.execute(_RESET, {"id": webhook_id})


def disable(connection: Connection, webhook: Webhook, reason: str) -> None:
    """Switch a webhook off because its receiver is gone for good. Audited."""
    connection.execute(_DISABLE, {"id": webhook.id, "reason": reason})
    audit.record(
        connection, actor="system/webhooks", action="webhook.disable", target=webhook.id, details={"cause": reason},
        tenant=webhook.tenant,
    )  # fmt: skip


_EXPIRE = text("""
UPDATE rag.webhook_deliveries
SET state = 'failed', next_attempt_at = NULL, reason = CASE WHEN reason = '' THEN :reason ELSE reason END
WHERE state = 'pending' AND queued_at < now() - make_interval(hours => :hours)
""")
_PURGE = text("""
DELETE FROM rag.webhook_events e WHERE e.created_at < now() - make_interval(days => :days) AND NOT EXISTS (
    SELECT FROM rag.webhook_deliveries d WHERE d.event_id = e.id AND d.state = 'pending')
""")

_TOO_MANY = text("""
SELECT d.id FROM rag.webhook_deliveries d WHERE d.webhook_id = :webhook ORDER BY d.id DESC OFFSET :keep LIMIT 1
""")
_TRIM = text("""
DELETE FROM rag.webhook_deliveries WHERE id IN (
    SELECT id FROM rag.webhook_deliveries WHERE webhook_id = :webhook AND id <= :last ORDER BY id LIMIT :limit)
RETURNING event_id, state
""")
_UNUSED = text("""
DELETE FROM rag.webhook_events e WHERE e.id = ANY(:ids)
AND NOT EXISTS (SELECT FROM rag.webhook_deliveries d WHERE d.event_id = e.id)
""")


def trim(connection: Connection, webhook: Webhook, *, keep: int, limit: int = 10_000) -> int:
    """Delete the oldest rows of a webhook's log beyond `keep`, `limit` at most; returns how many.

    Among them are events that were never sent, where a receiver has taken nothing for long: the audit log says so.
    """
    last = connection.scalar(_TOO_MANY, {"webhook": webhook.id, "keep": keep})
    if last is None:
        return 0
    gone = connection.execute(_TRIM, {"webhook": webhook.id, "last": last, "limit": limit}).all()
    connection.execute(_UNUSED, {"ids": [row.event_id for row in gone]})
    if dropped := sum(row.state == DeliveryState.PENDING for row in gone):
        audit.record(
            connection, actor="system/webhooks", action="webhook.drop", target=webhook.id, details={"events": dropped},
            tenant=webhook.tenant,
        )  # fmt: skip
    return len(gone)


def expire(connection: Connection, *, hours: int) -> int:
    """Give up deliveries that have waited too long; returns how many."""
    return connection.execute(_EXPIRE, {"hours": hours, "reason": str(Reason.WEBHOOK_EXPIRED)}).rowcount


def purge(connection: Connection, *, days: int) -> int:
    """Delete events that are older, with their deliveries; returns how many."""
    return connection.execute(_PURGE, {"days": days}).rowcount


def moment(connection: Connection) -> datetime:
    """The database's clock, by which leases and overlaps are judged."""
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now


def _delivery(row: Row[Any]) -> Delivery:
    values = dict(row._mapping)
    return Delivery(**{**values, "state": DeliveryState(values["state"])})
