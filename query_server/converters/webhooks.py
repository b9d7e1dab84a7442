"""Messages of admin.v1.WebhookService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.struct_pb2 import Struct

from query_server.converters.times import to_timestamp
from rag_core.errors import InvalidInput, Reason
from ragproto.admin.v1 import webhooks_pb2 as pb

if TYPE_CHECKING:
    from rag_core.webhooks import Delivery, DeliveryState, Webhook

_STATES = {
    "pending": pb.WEBHOOK_DELIVERY_STATE_PENDING,
    "delivered": pb.WEBHOOK_DELIVERY_STATE_DELIVERED,
    "failed": pb.WEBHOOK_DELIVERY_STATE_FAILED,
}


def from_webhook(row: Webhook) -> pb.Webhook:
    """A subscription without what may be secret in its URL."""
    return pb.Webhook(
        id=row.id,
        tenant=row.tenant,
        url=row.shown_url,
        events=row.events,
        description=row.description,
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        failures=row.failures,
        not_before=to_timestamp(row.not_before),
        pending=row.pending,
        previous_secret_until=to_timestamp(row.previous_secret_until),
        created_by=row.created_by,
        created_at=to_timestamp(row.created_at),
    )


def from_delivery(row: Delivery) -> pb.WebhookDelivery:
    """A delivery with its event."""
    data = Struct()
    data.update(dict(row.data))
    return pb.WebhookDelivery(
        id=row.id,
        webhook_id=row.webhook_id,
        tenant=row.tenant,
        event_id=str(row.event_id),
        type=row.type,
        data=data,
        occurred_at=to_timestamp(row.occurred_at),
        state=_STATES[row.state],
        attempts=row.attempts,
        last_attempt_at=to_timestamp(row.last_attempt_at),
        next_attempt_at=to_timestamp(row.next_attempt_at),
        status=row.status or 0,
        reason=row.reason,
        milliseconds=row.milliseconds or 0,
    )


def to_state(value: int) -> DeliveryState | None:
    """The state to filter by. Raises `InvalidInput` (`FIELD_INVALID`) for an unknown one."""
    from rag_core.webhooks import DeliveryState

    if value == pb.WEBHOOK_DELIVERY_STATE_UNSPECIFIED:
        return None
    for name, number in _STATES.items():
        if number == value:
            return DeliveryState(name)
    raise InvalidInput(Reason.FIELD_INVALID, "state: not a state of deliveries")
