"""`rag webhook`: events out to other systems, and the log of what was sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import App, Parameter

from rag_core import database, http_client
from rag_core.errors import InvalidInput, Reason
from rag_core.governance import webhooks
from ragctl.commands._shared import actor, transaction
from ragctl.output import Json, emit, emit_json, note, say, table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.governance.webhooks import Delivery, Webhook
    from rag_core.settings import Settings

app = App(name="webhook", help="Send events to other systems: add, list, test, deliveries, …", help_format="plaintext")
_POLL_SECONDS = 0.25
T = TypeVar("T")


@app.command
def add(
    url: str,
    /,
    *,
    event: Annotated[tuple[str, ...], Parameter(negative="")] = ("*",),
    tenant: str = "default",
    description: str = "",
    json: Json = False,
) -> None:
    """Subscribe an address to events and print its signing secret once: it is not stored.

    Example: rag webhook add https://example.com/hooks/rag --event document.indexed --event 'alert.*'

    Parameters
    ----------
    url
        Where messages are posted. Addresses that are not public need RAG_FETCH_ALLOW_NETWORKS.
    event
        Type of events (`document.indexed`, `document.*`, `*`); may be repeated.
    tenant
        Whose events.
    description
        Its purpose.
    """
    settings = _settings()
    keys = webhooks.require_keys(settings.rotating("webhook_secret"))
    plain = settings.environment == "development"
    checked = webhooks.require_url(url, http_client.FetchPolicy.from_settings(settings), plain=plain)
    wanted = webhooks.NewWebhook(tenant, checked, webhooks.require_events(event), description)
    with transaction() as connection:
        made = webhooks.store.create(connection, wanted, actor=actor())
    secret = webhooks.secret_of(keys[0], made.id, made.secret_number)
    if json:
        emit_json({**_webhook(made), "secret": secret})
        return
    note(f"{made.id} sends {' '.join(made.events)} of tenant {tenant} to {made.shown_url}")
    note("verify its messages with this secret, which is shown only once:")
    say(secret)


@app.command(name="list")
def list_(*, tenant: str | None = None, json: Json = False) -> None:
    """List webhooks with their state and what waits to be sent.

    Example: rag webhook list --tenant acme

    Parameters
    ----------
    tenant
        Only those of this tenant.
    """
    with transaction() as connection:
        found = webhooks.store.list_webhooks(connection, tenant=tenant)
    if json:
        emit_json([_webhook(one) for one in found])
        return
    rows: list[list[object]] = [
        [one.id, one.tenant, one.shown_url, " ".join(one.events), _state(one), one.pending, one.description]
        for one in found
    ]
    columns = ("webhook", "tenant", "url", "events", "state", "waiting", "purpose")
    table(columns, rows, empty="no webhooks; `rag webhook add URL` subscribes an address")


@app.command(name="test")
def send_test(webhook_id: str, /, *, wait: float = 20, json: Json = False) -> Reason | None:
    """Send the event `webhook.test` and wait for what becomes of it.

    Example: rag webhook test wh_2f7Qk9vXb3LmNp8R

    Parameters
    ----------
    wait
        Seconds to wait; the stream worker sends it.
    """
    number = _change(webhook_id, lambda db, webhook: webhooks.outbox_store.record_test(db, webhook, actor=actor()))
    delivery = _after_first_try(number, wait)
    if json:
        emit_json(_delivery(delivery))
    elif delivery.state == webhooks.DeliveryState.DELIVERED:
        say(f"delivered: status {delivery.status} after {delivery.milliseconds} ms")
    elif delivery.attempts:
        say(f"not delivered: {_outcome(delivery)}; it is tried again: rag webhook deliveries {webhook_id}")
    else:
        say(f"not sent within {wait:g} s: is the stream worker running? See `rag status`")
    return None if delivery.state == webhooks.DeliveryState.DELIVERED else Reason.CHECK_FAILED


@app.command
def deliveries(
    webhook_id: str = "",
    /,
    *,
    tenant: str | None = None,
    state: Literal["pending", "delivered", "failed"] | None = None,
    limit: int = 50,
    before: int | None = None,
    json: Json = False,
) -> None:
    """Show what was sent and what became of it, newest first.

    Example: rag webhook deliveries wh_2f7Qk9vXb3LmNp8R --state failed

    Parameters
    ----------
    webhook_id
        Only of this webhook.
    tenant
        Only of this tenant.
    state
        Only those in this state.
    limit
        How many, 1000 at most.
    before
        Only those with a smaller number: the next page.
    """
    if not 1 <= limit <= 1000:
        raise InvalidInput(Reason.FIELD_INVALID, "--limit: must be 1 to 1000")
    with transaction() as connection:
        found = webhooks.delivery_store.find(
            connection,
            tenant=tenant,
            webhook_id=webhooks.require_id(webhook_id) if webhook_id else "",
            state=webhooks.DeliveryState(state) if state else None,
            before=before,
            limit=limit,
        )
    if json:
        emit_json([_delivery(one) for one in found])
        return
    rows: list[list[object]] = [
        [
            one.id,
            one.webhook_id,
            one.type,
            _about(one),
            one.state,
            one.attempts,
            _outcome(one),
            f"{one.occurred_at:%m-%d %T}",
        ]
        for one in found
    ]
    columns = ("delivery", "webhook", "event", "about", "state", "tries", "last answer", "happened (UTC)")
    table(columns, rows, empty="nothing was sent")


@app.command
def redeliver(delivery: int | None = None, /, *, failed: str = "", reason: str = "", json: Json = False) -> None:
    """Send an event again, or all that failed of a webhook. Recorded in the audit log.

    Example: rag webhook redeliver --failed wh_2f7Qk9vXb3LmNp8R

    Parameters
    ----------
    delivery
        Number of the delivery.
    failed
        Webhook whose failed deliveries are sent again.
    reason
        Why, for the audit log.
    """
    if (delivery is None) == (not failed):
        raise InvalidInput(Reason.USAGE, "give the number of a delivery, or --failed WEBHOOK")
    if delivery is None:
        count = _change(
            failed, lambda db, one: webhooks.delivery_store.redeliver_failed(db, one, actor=actor(), why=reason)
        )
    else:
        with transaction() as connection:
            found = webhooks.delivery_store.get_delivery(connection, delivery, tenant=None)
            webhooks.delivery_store.redeliver(connection, found, actor=actor(), why=reason)
        count = 1
    emit({"queued": count}, f"{count} queued", json=json)


@app.command
def rotate(webhook_id: str, /, *, overlap_hours: int | None = None, reason: str = "", json: Json = False) -> None:
    """Make a new signing secret and print it once. Messages are signed with both for a while.

    Example: rag webhook rotate wh_2f7Qk9vXb3LmNp8R --overlap-hours 48

    Parameters
    ----------
    overlap_hours
        How long, 0 to 720; by default RAG_WEBHOOK_OVERLAP_HOURS.
    reason
        Why, for the audit log.
    """
    settings = _settings()
    keys = webhooks.require_keys(settings.rotating("webhook_secret"))
    hours = settings.webhook_overlap_hours if overlap_hours is None else overlap_hours
    if not 0 <= hours <= 720:
        raise InvalidInput(Reason.FIELD_INVALID, "--overlap-hours: must be 0 to 720")
    made = _change(
        webhook_id,
        lambda db, one: webhooks.store.rotate(db, one, overlap=timedelta(hours=hours), actor=actor(), why=reason),
    )
    secret = webhooks.secret_of(keys[0], made.id, made.secret_number)
    if json:
        emit_json({"webhook": made.id, "secret": secret, "previous_secret_until": made.previous_secret_until})
        return
    note(
        f"the secret before signs as well until {made.previous_secret_until:%F %T} UTC; the new one is shown only once:"
    )
    say(secret)


@app.command
def enable(webhook_id: str, /, *, json: Json = False) -> None:
    """Switch a webhook on again.

    Example: rag webhook enable wh_2f7Qk9vXb3LmNp8R
    """
    _switch(webhook_id, on=True, json=json)


@app.command
def disable(webhook_id: str, /, *, json: Json = False) -> None:
    """Switch a webhook off. What happens meanwhile is not sent later.

    Example: rag webhook disable wh_2f7Qk9vXb3LmNp8R
    """
    _switch(webhook_id, on=False, json=json)


@app.command
def remove(webhook_id: str, /, *, reason: str = "", json: Json = False) -> None:
    """Delete a webhook with its log. Recorded in the audit log.

    Example: rag webhook remove wh_2f7Qk9vXb3LmNp8R

    Parameters
    ----------
    reason
        Why, for the audit log.
    """
    _change(webhook_id, lambda db, one: webhooks.store.remove(db, one, actor=actor(), why=reason))
    emit({"removed": webhook_id}, f"{webhook_id}: removed", json=json)


def _settings() -> Settings:
    from rag_core.settings import Settings

    return Settings.load()


def _change(webhook_id: str, act: Callable[[Connection, Webhook], T]) -> T:
    with transaction() as connection:
        return act(connection, webhooks.store.get(connection, webhooks.require_id(webhook_id), tenant=None))


def _switch(webhook_id: str, *, on: bool, json: bool) -> None:
    _change(webhook_id, lambda db, one: webhooks.store.enable(db, one, enabled=on, actor=actor()))
    emit({"webhook": webhook_id, "enabled": on}, f"{webhook_id}: {'on' if on else 'off'}", json=json)


def _after_first_try(number: int, seconds: float) -> Delivery:
    end = time.monotonic() + seconds
    with closing(database.open_store(_settings())) as store:
        while True:
            with store.engine.connect() as connection:
                found = webhooks.delivery_store.get_delivery(connection, number, tenant=None)
            # A try that is under way has no answer yet.
            tried = found.milliseconds is not None or found.state != webhooks.DeliveryState.PENDING
            if tried or time.monotonic() >= end:
                return found
            with suppress(InterruptedError):
                time.sleep(_POLL_SECONDS)


def _state(webhook: Webhook) -> str:
    if not webhook.enabled:
        return f"off ({webhook.disabled_reason})" if webhook.disabled_reason else "off"
    return f"failing ({webhook.failures})" if webhook.failures else "on"


def _about(delivery: Delivery) -> str:
    data = delivery.data
    for name in ("locator", "generation", "key"):
        if data.get(name):
            return str(data[name])
    return str(data.get("source") or data.get("doc_id") or "")


def _outcome(delivery: Delivery) -> str:
    return " ".join(part for part in (str(delivery.status or ""), delivery.reason) if part)


def _webhook(one: Webhook) -> dict[str, Any]:
    return {
        "webhook": one.id,
        "tenant": one.tenant,
        "url": one.shown_url,
        "events": list(one.events),
        "description": one.description,
        "enabled": one.enabled,
        "disabled_reason": one.disabled_reason,
        "failures": one.failures,
        "pending": one.pending,
        "previous_secret_until": one.previous_secret_until,
        "created_by": one.created_by,
        "created_at": one.created_at,
    }


def _delivery(one: Delivery) -> dict[str, Any]:
    return {
        "delivery": one.id,
        "webhook": one.webhook_id,
        "tenant": one.tenant,
        "event_id": str(one.event_id),
        "type": one.type,
        "data": dict(one.data),
        "occurred_at": one.occurred_at,
        "state": str(one.state),
        "attempts": one.attempts,
        "last_attempt_at": one.last_attempt_at,
        "next_attempt_at": one.next_attempt_at,
        "status": one.status,
        "reason": one.reason,
        "milliseconds": one.milliseconds,
    }
