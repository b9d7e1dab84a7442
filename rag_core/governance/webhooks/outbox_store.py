"""The outbox: events and their deliveries, written in the transaction of the fact that they report.

A statement that finds no subscriber writes nothing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

from sqlalchemy import Connection, text

from rag_core.errors import PermissionDenied, Reason
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.webhooks.base import TEST, EventType, Webhook, WebhookEvent

_WANTS = "w.enabled AND w.events && ARRAY['*', split_part({type}, '.', 1) || '.*', {type}]"
# The lock lets no subscription be removed before its deliveries are committed: they would have nothing to refer to.
_STORE = f"""
), wanted AS MATERIALIZED (
    SELECT w.id AS webhook_id, o.id AS event_id, o.position FROM occurred o
    JOIN rag.webhooks w ON (w.tenant = o.tenant OR o.tenant = '') AND {_WANTS.format(type="o.type")}
    FOR KEY SHARE OF w
), stored AS (
    INSERT INTO rag.webhook_events (id, tenant, type, doc_id, data) SELECT id, tenant, type, doc_id, data FROM occurred
    WHERE id IN (SELECT event_id FROM wanted) RETURNING id
)
INSERT INTO rag.webhook_deliveries (webhook_id, event_id, next_attempt_at)
SELECT webhook_id, event_id, now() FROM wanted JOIN stored ON stored.id = wanted.event_id ORDER BY position
"""  # noqa: S608  constants above
_RECORD = text(f"""
WITH occurred AS (
    SELECT gen_random_uuid() AS id, e.tenant, e.type, e.doc_id, e.data, e.position
    FROM jsonb_to_recordset(CAST(:events AS jsonb)) AS e (tenant text, type text, doc_id uuid, data jsonb, position int)
    WHERE EXISTS (SELECT FROM rag.webhooks w
                  WHERE (w.tenant = e.tenant OR e.tenant = '') AND {_WANTS.format(type="e.type")})
{_STORE}""")  # noqa: S608  constants above


def record(connection: Connection, events: Sequence[WebhookEvent]) -> None:
    """Write events for their subscribers."""
    if not events:
        return
    rows = [
        {
            "tenant": event.tenant,
            "type": str(event.type),
            "doc_id": str(event.doc_id) if event.doc_id else None,
            "data": dict(event.data),
            "position": position,
        }
        for position, event in enumerate(events)
    ]
    connection.execute(_RECORD, {"events": json.dumps(rows)})


_DOCUMENTS = f"""
WITH occurred AS (
    SELECT gen_random_uuid() AS id, d.tenant, CAST(:type AS text) AS type, d.doc_id, jsonb_build_object(
        'doc_id', d.doc_id, 'source', d.source, 'locator', d.locator, 'version', d.version,
        'source_version', d.source_version) AS data, d.doc_id AS position
    FROM rag.documents d
    WHERE d.doc_id = ANY(:ids) AND EXISTS (
        SELECT FROM rag.webhooks w WHERE w.tenant = d.tenant AND {_WANTS.format(type="CAST(:type AS text)")}
    ) AND {{condition}}
{_STORE}"""  # noqa: S608
# A document whose ACL was never known is in the index, but nobody can find it.
_INDEXED = text(_DOCUMENTS.format(condition="d.deleted_at IS NULL AND d.acl IS NOT NULL"))
_DELETED = text(_DOCUMENTS.format(condition="d.deleted_at IS NOT NULL"))


def record_indexed(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> None:
    """These documents are searchable, in their present version."""
    if doc_ids:
        connection.execute(_INDEXED, {"type": str(EventType.DOCUMENT_INDEXED), "ids": list(doc_ids)})


def record_deleted(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> None:
    """These documents have become tombstones."""
    if doc_ids:
        connection.execute(_DELETED, {"type": str(EventType.DOCUMENT_DELETED), "ids": list(doc_ids)})


# The two times are one when an input fails for the first time, in this form or after a redrive.
_REJECTED = text(f"""
WITH occurred AS (
    SELECT gen_random_uuid() AS id, q.tenant, CAST(:type AS text) AS type, n.doc_id, jsonb_build_object(
        'doc_id', n.doc_id, 'source', q.source, 'locator', q.locator, 'stage', q.stage, 'reason', q.reason) AS data,
        q.locator AS position
    FROM unnest(CAST(:ids AS uuid[]), CAST(:locators AS text[])) AS n (doc_id, locator)
    JOIN rag.quarantine q ON q.tenant = :tenant AND q.source = :source AND q.locator = n.locator
    WHERE q.first_at = q.last_at AND NOT q.skipped AND EXISTS (
        SELECT FROM rag.webhooks w WHERE w.tenant = :tenant AND {_WANTS.format(type="CAST(:type AS text)")}
    )
{_STORE}""")  # noqa: S608


def record_rejected(connection: Connection, tenant: str, source: str, inputs: Sequence[tuple[uuid.UUID, str]]) -> None:
    """These inputs (document id and locator) went to quarantine. One that fails again is not reported again."""
    ids, locators = [doc_id for doc_id, _ in inputs], [locator for _, locator in inputs]
    params = {"type": str(EventType.DOCUMENT_REJECTED), "tenant": tenant, "source": source}
    connection.execute(_REJECTED, {**params, "ids": ids, "locators": locators})


_TEST = text("""
WITH event AS (
    INSERT INTO rag.webhook_events (id, tenant, type, data)
    VALUES (gen_random_uuid(), :tenant, :type, jsonb_build_object('webhook_id', CAST(:webhook_id AS text)))
    RETURNING id
)
INSERT INTO rag.webhook_deliveries (webhook_id, event_id, next_attempt_at) SELECT :webhook_id, id, now() FROM event
RETURNING id
""")


def record_test(connection: Connection, webhook: Webhook, *, actor: str) -> int:
    """Write an event for one webhook, so that its operator sees whether it arrives; returns the delivery's id.

    Raises `PermissionDenied` (`TENANT_ERASED`).
    """
    params = {"tenant": webhook.tenant, "type": TEST, "webhook_id": webhook.id}
    number = connection.scalar(_TEST, params)
    if number is None:
        raise PermissionDenied(Reason.TENANT_ERASED, f"tenant {webhook.tenant}: it was erased, or is being erased")
    details = {"delivery": number}
    audit.record(
        connection, actor=actor, action="webhook.test", target=webhook.id, details=details, tenant=webhook.tenant
    )
    return int(number)
