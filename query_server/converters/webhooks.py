"""Messages of admin.v1.WebhookService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.converters.fields import message_of
from rag_core.errors import InvalidInput, Reason
from ragproto.admin.v1 import webhooks_pb2 as pb

if TYPE_CHECKING:
    from rag_core.governance.webhooks import Delivery, DeliveryState, Webhook

_STATES = {
    "pending": pb.WEBHOOK_DELIVERY_STATE_PENDING,
    "delivered": pb.WEBHOOK_DELIVERY_STATE_DELIVERED,
    "failed": pb.WEBHOOK_DELIVERY_STATE_FAILED,
}


def from_webhook(row: Webhook) -> pb.Webhook:
    """A subscription without what may be secret in its URL."""
    return message_of(pb.Webhook, row, url=row.shown_url)


def from_delivery(row: Delivery) -> pb.WebhookDelivery:
    """A delivery with its event."""
    return message_of(
        pb.WebhookDelivery, row, event_id=str(row.event_id), data=dict(row.data), state=_STATES[row.state]
    )


def to_state(value: int) -> DeliveryState | None:
    """The state to filter by. Raises `InvalidInput` (`FIELD_INVALID`) for an unknown one."""
    from rag_core.governance.webhooks import DeliveryState

    if value == pb.WEBHOOK_DELIVERY_STATE_UNSPECIFIED:
        return None
    for name, number in _STATES.items():
        if number == value:
            return DeliveryState(name)
    raise InvalidInput(Reason.FIELD_INVALID, "state: not a state of deliveries")
