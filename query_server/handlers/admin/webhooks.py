"""Webhooks of a tenant and the log of their deliveries. Every change is audited in its transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from query_server.auth.policies import PLATFORM_ADMIN, allows
from query_server.handlers.admin.access import listed_tenant, target_tenant
from query_server.handlers.admin.rules import check_text_field
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core import http_client
from rag_core.errors import InvalidInput, Reason
from rag_core.governance import webhooks
from rag_core.governance.access import Principal
from rag_core.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.governance.webhooks import Delivery, DeliveryState, Webhook

T = TypeVar("T")
MAX_URL_CHARS = 2048
MAX_OVERLAP_HOURS = 720


@dataclass(frozen=True, slots=True)
class WantedWebhook:
    """A webhook as a caller asked for it, not yet checked."""

    tenant: str
    url: str
    events: tuple[str, ...]
    description: str = ""


class WebhooksHandler:
    """Works on the caller's tenant; other tenants need `platform.admin`. What is another's does not exist for the rest.

    Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down.
    """

    def __init__(self, store: LazyStore, settings: Settings) -> None:
        self._store, self._settings = store, settings

    async def webhooks(self, principal: Principal, tenant: str, page: ListPage, *, everyone: bool) -> list[Webhook]:
        """Webhooks by id."""
        whose = listed_tenant(principal, tenant, everyone=everyone)

        def read(db: Connection) -> list[Webhook]:
            return webhooks.store.list_webhooks(db, tenant=whose, after=page.place or "", limit=page.rows)

        return await transact(self._store, read)

    async def create(self, principal: Principal, wanted: WantedWebhook, why: str) -> tuple[Webhook, str]:
        """Create a webhook; returns it with its secret.

        Raises `InvalidInput`, `Conflict`: `WEBHOOK_LIMIT`, or `SECRET_MISSING` where webhooks cannot be signed.
        """
        tenant = target_tenant(principal, wanted.tenant)
        check_text_field("url", wanted.url, limit=MAX_URL_CHARS, required=True)
        check_text_field("reason", why)

        def write(db: Connection) -> tuple[Webhook, str]:
            check_text_field("description", wanted.description, limit=webhooks.MAX_DESCRIPTION_CHARS)
            keys = webhooks.require_keys(self._settings.rotating("webhook_secret"))
            plain = self._settings.environment == "development"
            url = webhooks.require_url(wanted.url, http_client.FetchPolicy.from_settings(self._settings), plain=plain)
            events = webhooks.require_events(wanted.events)
            new = webhooks.NewWebhook(tenant, url, events, wanted.description)
            made = webhooks.store.create(db, new, actor=principal.actor, why=why)
            return made, webhooks.secret_of(keys[0], made.id, made.secret_number)

        return await transact(self._store, write)

    async def rotate(
        self, principal: Principal, webhook_id: str, overlap_hours: int | None, why: str
    ) -> tuple[Webhook, str]:
        """Make a new secret; returns the webhook with it. Raises `NotFound`, `Conflict` (`SECRET_MISSING`)."""
        hours = self._settings.webhook_overlap_hours if overlap_hours is None else overlap_hours
        if not 0 <= hours <= MAX_OVERLAP_HOURS:
            raise InvalidInput(Reason.FIELD_INVALID, f"overlap_hours: must be 0 to {MAX_OVERLAP_HOURS}")

        def write(db: Connection, webhook: Webhook) -> tuple[Webhook, str]:
            keys = webhooks.require_keys(self._settings.rotating("webhook_secret"))
            overlap = timedelta(hours=hours)
            made = webhooks.store.rotate(db, webhook, overlap=overlap, actor=principal.actor, why=why)
            return made, webhooks.secret_of(keys[0], made.id, made.secret_number)

        return await self._on_webhook(principal, webhook_id, why, write)

    async def set_enabled(self, principal: Principal, webhook_id: str, why: str, *, enabled: bool) -> None:
        """Switch a webhook on or off. Raises `NotFound`."""

        def write(db: Connection, webhook: Webhook) -> None:
            webhooks.store.enable(db, webhook, enabled=enabled, actor=principal.actor, why=why)

        await self._on_webhook(principal, webhook_id, why, write)

    async def test(self, principal: Principal, webhook_id: str) -> int:
        """Queue the test event; returns the delivery's number. Raises `NotFound`. Audited as any change."""

        def write(db: Connection, webhook: Webhook) -> int:
            return webhooks.outbox_store.record_test(db, webhook, actor=principal.actor)

        return await self._on_webhook(principal, webhook_id, "", write)

    async def remove(self, principal: Principal, webhook_id: str, why: str) -> None:
        """Delete a webhook with its log. Raises `NotFound`."""

        def write(db: Connection, webhook: Webhook) -> None:
            webhooks.store.remove(db, webhook, actor=principal.actor, why=why)

        await self._on_webhook(principal, webhook_id, why, write)

    async def deliveries(
        self,
        principal: Principal,
        tenant: str,
        page: ListPage,
        *,
        everyone: bool,
        webhook_id: str,
        state: DeliveryState | None,
    ) -> list[Delivery]:
        """Deliveries, newest first."""
        whose = listed_tenant(principal, tenant, everyone=everyone)

        def read(db: Connection) -> list[Delivery]:
            if webhook_id:
                webhooks.require_id(webhook_id, "webhook_id")
            return webhooks.delivery_store.find(
                db, tenant=whose, webhook_id=webhook_id, state=state, before=page.place, limit=page.rows
            )

        return await transact(self._store, read)

    async def redeliver(self, principal: Principal, delivery_id: int, webhook_id: str, why: str) -> int:
        """Queue one delivery, or all that failed of a webhook; returns how many. Raises `NotFound`, `InvalidInput`."""
        if bool(delivery_id) == bool(webhook_id):
            raise InvalidInput(Reason.FIELD_INVALID, "delivery_id: set this or webhook_id")
        check_text_field("reason", why)

        def one(db: Connection) -> int:
            found = webhooks.delivery_store.get_delivery(db, delivery_id, tenant=_reach(principal))
            webhooks.delivery_store.redeliver(db, found, actor=principal.actor, why=why)
            return 1

        def failed(db: Connection, webhook: Webhook) -> int:
            return webhooks.delivery_store.redeliver_failed(db, webhook, actor=principal.actor, why=why)

        if delivery_id:
            return await transact(self._store, one)
        return await self._on_webhook(principal, webhook_id, why, failed, field="webhook_id")

    async def _on_webhook(
        self,
        principal: Principal,
        webhook_id: str,
        why: str,
        act: Callable[[Connection, Webhook], T],
        field: str = "id",
    ) -> T:
        check_text_field("reason", why)

        def write(db: Connection) -> T:
            return act(db, webhooks.store.get(db, webhooks.require_id(webhook_id, field), tenant=_reach(principal)))

        return await transact(self._store, write)


def _reach(principal: Principal) -> str | None:
    """The tenant whose webhooks the caller may name; `None`: every tenant's."""
    return None if allows(principal.scopes, PLATFORM_ADMIN) else principal.tenant
