from . import delivery_store as delivery_store, outbox_store as outbox_store, store as store
from .base import (
    KAFKA as KAFKA,
    MAX_DESCRIPTION_CHARS as MAX_DESCRIPTION_CHARS,
    ReceiverResponse as ReceiverResponse,
    Delivery as Delivery,
    DeliveryState as DeliveryState,
    WebhookEvent as WebhookEvent,
    EventType as EventType,
    NewWebhook as NewWebhook,
    Webhook as Webhook,
    require_events as require_events,
    require_id as require_id,
    require_url as require_url,
)
from .dispatcher import Dispatcher as Dispatcher
from .dispatcher import require_keys as require_keys, secret_of as secret_of
