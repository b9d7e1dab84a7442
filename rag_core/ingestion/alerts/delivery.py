"""Deliver alerts to notifiers: one message when an alert begins and one when it ends."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import stamina

from rag_core.database import Store, locks
from rag_core.errors import ConfigError, RagError, Reason, Unavailable
from rag_core.ingestion.alerts import store as table
from rag_core.ingestion.alerts.base import Alert, Notifier
from rag_core.logging import get_logger
from rag_core.settings import MIN_SECRET_LENGTH, Settings

log = get_logger("rag.alerts")


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """The result of one round: messages sent per notifier, and failures."""

    sent: dict[str, int] = field(default_factory=dict)
    failures: list[RagError] = field(default_factory=list)


def deliver(
    store: Store,
    notifiers: Sequence[Notifier],
    conditions: Sequence[Alert],
    *,
    scope: Sequence[str] | None = None,
    now: datetime | None = None,
) -> AlertDelivery:
    """Compare the conditions with the stored alerts, and notify every notifier of changes.

    An open alert of the kinds in `scope` (all kinds when `None`) without a condition has ended. A notifier that fails
    is retried in the next round and does not affect the others. Nothing is sent inside a transaction.
    """
    when = now or datetime.now(UTC)
    with store.engine.begin() as connection:
        locks.lock_transaction(connection, "alerts")
        table.begin(connection, conditions, when)
        table.close_others(connection, [alert.key for alert in conditions], scope, when)
        known = table.undelivered(connection)
    outcome = AlertDelivery()
    for notifier in notifiers:
        due = [row.alert for row in known if _is_due(row, notifier, when)]
        if not due:
            continue
        try:
            notifier.send(due)
        except RagError as error:
            log.warning("alert_undelivered", notifier=notifier.name, reason=str(error.reason), alerts=len(due))
            outcome.failures.append(error)
            continue
        outcome.sent[notifier.name] = len(due)
        with store.engine.begin() as connection:
            table.record_delivery(connection, notifier.name, due, when)
    with store.engine.begin() as connection:
        table.forget_notifiers(connection, [notifier.name for notifier in notifiers])
    return outcome


def _is_due(row: table.OpenAlert, notifier: Notifier, now: datetime) -> bool:
    message = row.delivered.get(notifier.name)
    status = "firing" if row.alert.firing else "resolved"
    if message is None:
        return row.alert.firing  # an alert whose beginning was never delivered needs no end
    if message["status"] != status or message["since"] != row.since:
        return row.alert.firing or message["status"] == "firing"
    if status == "resolved" or notifier.repeat_seconds is None:
        return False
    return (now - datetime.fromisoformat(message["at"])).total_seconds() >= notifier.repeat_seconds


# --------------------------------------------------------------------------------------------------------------------
# The three notifiers: the log, a signed webhook, and Alertmanager.


TIMESTAMP_HEADER, SIGNATURE_HEADER = "X-Rag-Timestamp", "X-Rag-Signature"
_RETRYING = stamina.RetryingCaller(attempts=3, timeout=30, wait_initial=0.2)


class LogNotifier:
    """Logs one line per alert. Always enabled."""

    name = "log"
    repeat_seconds: float | None = None

    def send(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            write = log.warning if alert.firing else log.info
            write("alert", **{name: value for name, value in alert.as_json().items() if value not in ("", None, {})})

    def close(self) -> None:
        """Nothing to close."""


class WebhookNotifier:
    """POSTs `{"alerts": [...]}`. The signature is `v1=` and the hex HMAC-SHA256 of timestamp, a dot, and the body.

    A receiver must compare it in constant time and refuse a timestamp (Unix seconds) that is minutes off, so that it
    accepts neither forged nor replayed messages.
    """

    name = "webhook"
    repeat_seconds: float | None = None

    def __init__(self, url: str, secret: str, client: httpx.Client, *, clock: Callable[[], float] = time.time) -> None:
        self._url, self._secret, self._client, self._clock = url, secret.encode(), client, clock

    def send(self, alerts: Sequence[Alert]) -> None:
        body = json.dumps({"alerts": [alert.as_json() for alert in alerts]}, separators=(",", ":")).encode()
        timestamp = str(int(self._clock()))
        signed = hmac.new(self._secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: f"v1={signed}",
        }
        _post(self._client, self.name, self._url, body, headers)

    def close(self) -> None:
        self._client.close()


class AlertmanagerNotifier:
    """POSTs to `/api/v2/alerts`. Firing alerts are repeated, because Alertmanager resolves those not sent again."""

    name = "alertmanager"
    repeat_seconds: float | None = 60

    def __init__(
        self, url: str, client: httpx.Client, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._url, self._client, self._now = f"{url.rstrip('/')}/api/v2/alerts", client, now

    def send(self, alerts: Sequence[Alert]) -> None:
        body = json.dumps([self._posted(alert) for alert in alerts]).encode()
        _post(self._client, self.name, self._url, body, {"content-type": "application/json"})

    def close(self) -> None:
        self._client.close()

    def _posted(self, alert: Alert) -> dict[str, Any]:
        labels = {
            "alertname": "".join(part.capitalize() for part in alert.kind.split("_")),
            "service": "rag-platform",
            "key": alert.key,
            "severity": alert.severity,
            "source": alert.source,
            "tenant": alert.tenant,
        }
        # Longer than two repeats: a late sensor must not make an alert seem resolved.
        until = alert.ended_at or self._now() + timedelta(seconds=5 * (self.repeat_seconds or 60))
        posted: dict[str, Any] = {
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {"summary": alert.summary, **{name: str(value) for name, value in alert.details.items()}},
            "endsAt": until.isoformat(),
        }
        if alert.started_at is not None:
            posted["startsAt"] = alert.started_at.isoformat()
        return posted


def open_notifiers(settings: Settings, client: Callable[[float], httpx.Client] | None = None) -> list[Notifier]:
    """The configured notifiers; the log is always one. `client` makes the HTTP client for a timeout.

    Raises `ConfigError` (`SECRET_MISSING`, `SECRET_WEAK`) for a webhook without a strong secret.
    """
    make = client or _client
    found: list[Notifier] = [LogNotifier()]
    if settings.alert_webhook_url is not None:
        secret = settings.alert_webhook_secret.get_secret_value() if settings.alert_webhook_secret else ""
        if not secret:
            raise ConfigError(Reason.SECRET_MISSING, "RAG_ALERT_WEBHOOK_SECRET must be set with RAG_ALERT_WEBHOOK_URL")
        if len(secret) < MIN_SECRET_LENGTH:
            message = f"RAG_ALERT_WEBHOOK_SECRET needs at least {MIN_SECRET_LENGTH} characters"
            raise ConfigError(Reason.SECRET_WEAK, message)
        url = settings.alert_webhook_url.get_secret_value()
        found.append(WebhookNotifier(url, secret, make(settings.alert_timeout_seconds)))
    if settings.alertmanager_url is not None:
        found.append(AlertmanagerNotifier(settings.alertmanager_url, make(settings.alert_timeout_seconds)))
    return found


def _client(timeout: float) -> httpx.Client:
    # No redirects and no proxies from the environment: an alert goes only to its configured address.
    return httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)


def _post(client: httpx.Client, name: str, url: str, body: bytes, headers: dict[str, str]) -> None:
    def once() -> None:
        # Only the status is read: a body could be endless.
        with client.stream("POST", url, content=body, headers=headers) as response:
            response.raise_for_status()

    try:
        _RETRYING(_worth_repeating, once)
    except httpx.HTTPStatusError as error:
        raise _undelivered(name, f"answered {error.response.status_code}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _undelivered(name, f"could not be reached ({type(error).__name__})") from None


def _worth_repeating(error: Exception) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= 500 or error.response.status_code == 429
    return isinstance(error, httpx.TransportError)


def _undelivered(name: str, what: str) -> Unavailable:
    return Unavailable(Reason.ALERT_UNDELIVERED, f"the {name} notifier {what}; it is tried again")
