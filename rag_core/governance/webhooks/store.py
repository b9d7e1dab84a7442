"""Rows of subscriptions, and the audited changes to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, text, update

from rag_core.database.tables.webhooks import announced_states, webhook_deliveries, webhooks
from rag_core.errors import Conflict, NotFound, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.webhooks.base import MAX_PER_TENANT, NewWebhook, Webhook, new_id, shown_url

_PENDING = (
    select(func.count())
    .select_from(webhook_deliveries)
    .where(webhook_deliveries.c.webhook_id == webhooks.c.id, webhook_deliveries.c.state == "pending")
    .scalar_subquery()
    .label("pending")
)


def list_webhooks(connection: Connection, *, tenant: str | None, after: str = "", limit: int = 1000) -> list[Webhook]:
    """The subscriptions of a tenant, or of all of them, by id."""
    statement = select(webhooks, _PENDING).where(webhooks.c.id > after).order_by(webhooks.c.id).limit(limit)
    if tenant is not None:
        statement = statement.where(webhooks.c.tenant == tenant)
    return [_webhook(row) for row in connection.execute(statement)]


def get(connection: Connection, webhook_id: str, *, tenant: str | None) -> Webhook:
    """A subscription (of a tenant). Raises `NotFound` (`WEBHOOK_NOT_FOUND`)."""
    statement = select(webhooks, _PENDING).where(webhooks.c.id == webhook_id)
    if tenant is not None:
        statement = statement.where(webhooks.c.tenant == tenant)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(Reason.WEBHOOK_NOT_FOUND, "webhook: not found")
    return _webhook(row)


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('webhooks of ' || :tenant, 0))")


def create(connection: Connection, wanted: NewWebhook, *, actor: str, why: str = "") -> Webhook:
    """Store a subscription that was checked. Raises `Conflict` (`WEBHOOK_LIMIT`)."""
    connection.execute(_LOCK, {"tenant": wanted.tenant})
    count = connection.scalar(select(func.count()).where(webhooks.c.tenant == wanted.tenant)) or 0
    if count >= MAX_PER_TENANT:
        raise Conflict(Reason.WEBHOOK_LIMIT, f"a tenant has {MAX_PER_TENANT} webhooks at most; remove one first")
    webhook_id = new_id()
    values = {
        "id": webhook_id,
        "tenant": wanted.tenant,
        "url": wanted.url,
        "events": list(wanted.events),
        "description": wanted.description,
        "created_by": actor,
    }
    connection.execute(insert(webhooks).values(values))
    made = get(connection, webhook_id, tenant=wanted.tenant)
    _audited(connection, "webhook.create", made, actor, why, events=list(made.events))
    return made


def rotate(connection: Connection, webhook: Webhook, *, overlap: timedelta, actor: str, why: str = "") -> Webhook:
    """Give a subscription a new secret; the old one signs as well for `overlap`."""
    values = {"secret_number": webhooks.c.secret_number + 1, "previous_secret_until": func.now() + overlap}
    connection.execute(update(webhooks).where(webhooks.c.id == webhook.id).values(values))
    hours = round(overlap.total_seconds() / 3600, 2)
    _audited(connection, "webhook.rotate", webhook, actor, why, overlap_hours=hours)
    return get(connection, webhook.id, tenant=webhook.tenant)


def enable(connection: Connection, webhook: Webhook, *, enabled: bool, actor: str, why: str = "") -> None:
    """Switch a subscription on or off. What happens while it is off is not sent later."""
    values: dict[str, Any] = {"enabled": enabled, "disabled_reason": "", "failures": 0, "not_before": None}
    connection.execute(update(webhooks).where(webhooks.c.id == webhook.id).values(values))
    _audited(connection, "webhook.enable" if enabled else "webhook.disable", webhook, actor, why)


_REMOVE_LOG = text("""
WITH gone AS (DELETE FROM rag.webhook_deliveries WHERE webhook_id = :id RETURNING event_id)
DELETE FROM rag.webhook_events e USING (SELECT DISTINCT event_id FROM gone) g
WHERE e.id = g.event_id
    AND NOT EXISTS (SELECT FROM rag.webhook_deliveries d WHERE d.event_id = e.id AND d.webhook_id <> :id)
""")


def remove(connection: Connection, webhook: Webhook, *, actor: str, why: str = "") -> None:
    """Delete a subscription and its log, with the events that no other webhook has."""
    # First: it waits for the facts whose events it gets, and then they are in its log.
    connection.execute(select(webhooks.c.id).where(webhooks.c.id == webhook.id).with_for_update())
    connection.execute(_REMOVE_LOG, {"id": webhook.id})
    connection.execute(delete(webhooks).where(webhooks.c.id == webhook.id))
    _audited(connection, "webhook.remove", webhook, actor, why)


_SUBSCRIBED = text("""
SELECT DISTINCT tenant FROM rag.webhooks WHERE enabled AND events && CAST(:names AS text[]) ORDER BY tenant
""")


def tenants_subscribed_to(connection: Connection, names: Sequence[str]) -> list[str]:
    """Tenants with a subscription that names one of these types or patterns."""
    return list(connection.scalars(_SUBSCRIBED, {"names": [str(name) for name in names]}))


def announced(connection: Connection, tenant: str) -> dict[str, str]:
    """The state of each source that was announced last."""
    columns = announced_states.c
    rows = connection.execute(select(columns.source, columns.state).where(columns.tenant == tenant))
    return {row.source: row.state for row in rows}


_ANNOUNCED = text("""
INSERT INTO rag.announced_states (tenant, source, state) VALUES (:tenant, :source, :state)
ON CONFLICT (tenant, source) DO UPDATE SET state = excluded.state
""")


def remember_announced(connection: Connection, tenant: str, states: dict[str, str], gone: Sequence[str]) -> None:
    """Store what has been announced, and forget sources that are gone."""
    for source, state in states.items():
        connection.execute(_ANNOUNCED, {"tenant": tenant, "source": source, "state": state})
    columns = announced_states.c
    if gone:
        connection.execute(delete(announced_states).where(columns.tenant == tenant, columns.source.in_(list(gone))))


def _audited(connection: Connection, action: str, webhook: Webhook, actor: str, why: str, **details: Any) -> None:
    facts = {"url": shown_url(webhook.url), **details, **({"reason": why} if why else {})}
    audit.record(connection, actor=actor, action=action, target=webhook.id, details=facts, tenant=webhook.tenant)


def _webhook(row: Row[Any]) -> Webhook:
    values = dict(row._mapping)
    return Webhook(**{**values, "events": tuple(values["events"])})
