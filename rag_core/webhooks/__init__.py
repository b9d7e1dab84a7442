"""Webhooks: events that tenants subscribe to, an outbox in the transaction of each fact, signed deliveries."""

from rag_core.webhooks import delivery_store, outbox_store, store
from rag_core.webhooks.base import (
    KAFKA,
    MAX_DESCRIPTION_CHARS,
    Answer,
    Delivery,
    DeliveryState,
    Event,
    EventType,
    NewWebhook,
    Webhook,
    require_events,
    require_id,
    require_url,
)
from rag_core.webhooks.dispatcher import Dispatcher
from rag_core.webhooks.signing import require_keys, secret_of
