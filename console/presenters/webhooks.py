"""Webhooks and deliveries as rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from console.i18n import N_
from console.presenters.formats import plain
from ragproto.admin.v1 import webhooks_pb2 as pb

EVENTS = (
    *("document.indexed", "document.rejected", "document.deleted", "source.state", "generation.promoted"),
    *("alert.firing", "alert.resolved"),
)
STATES = N_(
    {
        pb.WEBHOOK_DELIVERY_STATE_PENDING: "not sent yet",
        pb.WEBHOOK_DELIVERY_STATE_DELIVERED: "delivered",
        pb.WEBHOOK_DELIVERY_STATE_FAILED: "not delivered",
    }
)


def webhook_rows(webhooks: Iterable[pb.Webhook]) -> list[dict[str, Any]]:
    """One row per webhook."""
    return [
        {
            "id": item.id,
            "url": plain(item.url),
            "events": ", ".join(item.events),
            "state": webhook_state(item),
            "pending": item.pending,
            "description": plain(item.description),
            "tenant": item.tenant,
            "created_by": plain(item.created_by),
            "created_at": _moment(item.created_at),
        }
        for item in webhooks
    ]


def webhook_state(item: pb.Webhook) -> str:
    """`on`, `failing`, or `off`."""
    if not item.enabled:
        return "off"
    return N_("failing" if item.failures else "on")


def delivery_rows(deliveries: Iterable[pb.WebhookDelivery]) -> list[dict[str, Any]]:
    """One row per delivery."""
    return [
        {
            "id": item.id,
            "occurred_at": _moment(item.occurred_at),
            "type": item.type,
            "about": plain(about(item)),
            "state": STATES.get(item.state, "unknown"),
            "attempts": item.attempts,
            "answer": " ".join(part for part in (str(item.status or ""), item.reason) if part),
            "milliseconds": item.milliseconds if item.attempts else None,
            "next_attempt_at": _moment(item.next_attempt_at),
            "webhook_id": item.webhook_id,
        }
        for item in deliveries
    ]


def about(item: pb.WebhookDelivery) -> str:
    """Return the subject of the event: a document, a generation, an alert, or a source."""
    data = MessageToDict(item.data)
    names = ("locator", "generation", "key", "source", "doc_id")
    return next((str(data[name]) for name in names if data.get(name)), "")


def _moment(message: Timestamp) -> float | None:
    return float(message.seconds) if message.seconds else None
