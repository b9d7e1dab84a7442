"""Sign messages by the Standard Webhooks conventions (https://www.standardwebhooks.com), version 1.

No signing secret is stored: it is derived from RAG_WEBHOOK_SECRET, the id of the webhook and a number that grows with
each rotation. So neither the database nor a backup of it opens anything.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rag_core.errors import Conflict, Reason
from rag_core.governance.webhooks.base import Delivery, Webhook

PREFIX: Final = "whsec_"


def require_keys(keys: Sequence[bytes]) -> Sequence[bytes]:
    """Raise `Conflict` (`SECRET_MISSING`) where webhooks cannot be signed."""
    if not keys:
        raise Conflict(Reason.SECRET_MISSING, "webhooks need RAG_WEBHOOK_SECRET, which an administrator sets")
    return keys


def secret_of(key: bytes, webhook_id: str, number: int) -> str:
    """The signing secret of a webhook, as its receiver gets it."""
    return PREFIX + base64.b64encode(_derived(key, webhook_id, number)).decode()


def body_of(delivery: Delivery) -> bytes:
    """The body of a message: `type`, `timestamp`, `data`."""
    message = {
        "type": delivery.type,
        "timestamp": delivery.occurred_at.astimezone(UTC).isoformat(),
        "data": {"tenant": delivery.tenant, **delivery.data},
    }
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def signed_headers(
    keys: Sequence[bytes], webhook: Webhook, message_id: str, body: bytes, now: datetime
) -> dict[str, str]:
    """The three headers. One signature for each secret that is accepted now, so that rotations overlap."""
    timestamp = str(int(now.timestamp()))
    numbers = [webhook.secret_number]
    if webhook.previous_secret_until is not None and now < webhook.previous_secret_until:
        numbers.append(webhook.secret_number - 1)
    said = message_id.encode() + b"." + timestamp.encode() + b"." + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(_derived(key, webhook.id, number), said, hashlib.sha256).digest()).decode()
        for number in numbers
        for key in keys
    ]
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def _derived(key: bytes, webhook_id: str, number: int) -> bytes:
    return hmac.new(key, f"webhook:{webhook_id}:{number}".encode(), hashlib.sha256).digest()
