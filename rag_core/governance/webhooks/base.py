"""Events that a webhook subscribes to, deliveries of its log, and the rules for both."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

import httpx

from rag_core.errors import InvalidInput, Reason
from rag_core.http_client import FetchPolicy


class EventType(StrEnum):
    """Events that can be subscribed to."""

    DOCUMENT_INDEXED = "document.indexed"
    DOCUMENT_REJECTED = "document.rejected"
    DOCUMENT_DELETED = "document.deleted"
    SOURCE_STATE = "source.state"
    GENERATION_PROMOTED = "generation.promoted"
    ALERT_FIRING = "alert.firing"
    ALERT_RESOLVED = "alert.resolved"


TEST: Final = "webhook.test"
"""The type of the event that an operator sends to try a webhook; nobody subscribes to it."""
EVERYTHING: Final = "*"
PATTERNS: Final = frozenset({EVERYTHING, *EventType, *(f"{name.partition('.')[0]}.*" for name in EventType)})
KAFKA: Final = "kafka:"
"""Before the name of a Kafka source: events go to its completion topic in place of an address."""
MAX_PER_TENANT: Final = 20
MAX_DESCRIPTION_CHARS: Final = 256


class DeliveryState(StrEnum):
    """The state of a delivery: `failed` when its tries or its time are used up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """Something that happened. `tenant` is empty for what concerns the whole platform; no text of a document in it."""

    type: str
    tenant: str
    data: Mapping[str, Any]
    doc_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription. `url` may hold a token, so show `shown_url`."""

    id: str
    tenant: str
    url: str
    events: tuple[str, ...]
    description: str
    secret_number: int
    previous_secret_until: datetime | None
    enabled: bool
    disabled_reason: str
    failures: int
    not_before: datetime | None
    created_by: str
    created_at: datetime
    pending: int = 0
    """Deliveries that are to be made."""

    @property
    def shown_url(self) -> str:
        """The URL without its query."""
        return shown_url(self.url)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one webhook, with what became of it. `tenant` is the webhook's."""

    id: int
    webhook_id: str
    tenant: str
    event_id: uuid.UUID
    type: str
    data: Mapping[str, Any]
    occurred_at: datetime
    state: DeliveryState
    attempts: int
    queued_at: datetime
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    status: int | None
    reason: str
    milliseconds: int | None


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """A subscription to create."""

    tenant: str
    url: str
    events: Sequence[str]
    description: str = ""


@dataclass(frozen=True, slots=True)
class ReceiverResponse:
    """Answer of a receiver. `status`: of HTTP; `wait_seconds`: how long it asks to be left alone."""

    status: int | None = None
    wait_seconds: float | None = None


class Sender(Protocol):
    """Sends a signed message. Thread-safe."""

    def send(self, webhook: Webhook, delivery: Delivery, body: bytes, headers: Mapping[str, str]) -> ReceiverResponse:
        """Returns when the receiver has answered, whatever it said. Raises `RagError` when there is no answer."""
        ...

    def close(self) -> None:
        """Close connections. Idempotent."""
        ...


def new_id() -> str:
    """A random id of a webhook."""
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    return "wh_" + "".join(secrets.choice(alphabet) for _ in range(16))


def require_id(text: str, field: str = "id") -> str:
    """Raise `InvalidInput` (`ID_CHARS`) for what is no id of a webhook."""
    if not re.fullmatch(r"wh_[A-Za-z0-9]{16}", text):
        raise InvalidInput(Reason.ID_CHARS, f"{field}: not the id of a webhook; it begins with wh_")
    return text


def require_events(names: Sequence[str]) -> tuple[str, ...]:
    """The subscribed types, each once. Raises `InvalidInput` (`FIELD_INVALID`)."""
    wanted = tuple(dict.fromkeys(names))
    if unknown := sorted(set(wanted) - PATTERNS):
        shown = ", ".join(name[:64] for name in unknown[:5])
        raise InvalidInput(Reason.FIELD_INVALID, f"events: unknown {shown}; there are {', '.join(sorted(PATTERNS))}")
    if not wanted:
        raise InvalidInput(Reason.FIELD_INVALID, f"events: name one at least of {', '.join(sorted(PATTERNS))}")
    return wanted


def require_url(url: str, policy: FetchPolicy, *, plain: bool) -> str:
    """The URL in its normal form, or `kafka:SOURCE`; its addresses are checked at each delivery.

    Raises `InvalidInput` (`URL_SCHEME`, `URL_INVALID`, `URL_PORT`). `plain`: allow http, which anyone on the way reads.
    """
    if re.fullmatch(rf"{KAFKA}[a-z0-9][a-z0-9_-]{{0,62}}", url):
        return url
    checked = policy.check_url(url)
    if checked.scheme != "https" and not plain:
        raise InvalidInput(Reason.URL_SCHEME, "url: must begin with https://")
    return str(checked)


def shown_url(url: str) -> str:
    """A URL without its query, where receivers often have a token."""
    if url.startswith(KAFKA):
        return url
    parsed = httpx.URL(url)
    return str(parsed.copy_with(query=None)) + ("?…" if parsed.query else "")
