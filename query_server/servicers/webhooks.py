# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.WebhookService."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc.aio

from query_server.converters.fields import message_of
from query_server.handlers.admin.webhooks import WantedWebhook, WebhooksHandler
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from rag_core.errors import InvalidInput, Reason
from rag_core.governance import webhooks
from ragproto.admin.v1 import webhooks_pb2 as pb
from ragproto.admin.v1 import webhooks_pb2_grpc as rpc

if TYPE_CHECKING:
    from rag_core.governance.webhooks import Delivery, DeliveryState, Webhook


Context = grpc.aio.ServicerContext[Any, Any]


class WebhookServicer(rpc.WebhookServiceServicer):
    """Subscriptions and deliveries."""

    def __init__(self, webhooks: WebhooksHandler, pages: ListPages) -> None:
        self._webhooks, self._pages = webhooks, pages

    async def ListWebhooks(self, request: pb.ListWebhooksRequest, context: Context) -> pb.ListWebhooksResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request)
        rows = await self._webhooks.webhooks(caller, request.tenant, page, everyone=request.all_tenants)
        shown, token = page.cut(rows, lambda row: (row.id,))
        return pb.ListWebhooksResponse(webhooks=map(from_webhook, shown), next_page_token=token)

    async def CreateWebhook(self, request: pb.CreateWebhookRequest, context: Context) -> pb.CreateWebhookResponse:
        wanted = WantedWebhook(request.tenant, request.url, tuple(request.events), request.description)
        made, secret = await self._webhooks.create(current_call().principal, wanted, request.reason)
        return pb.CreateWebhookResponse(webhook=from_webhook(made), secret=secret)

    async def SetWebhookEnabled(
        self, request: pb.SetWebhookEnabledRequest, context: Context
    ) -> pb.SetWebhookEnabledResponse:
        caller = current_call().principal
        await self._webhooks.set_enabled(caller, request.id, request.reason, enabled=request.enabled)
        return pb.SetWebhookEnabledResponse()

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: Context
    ) -> pb.RotateWebhookSecretResponse:
        hours = request.overlap_hours if request.HasField("overlap_hours") else None
        made, secret = await self._webhooks.rotate(current_call().principal, request.id, hours, request.reason)
        return pb.RotateWebhookSecretResponse(secret=secret, previous_secret_until=made.previous_secret_until)

    async def TestWebhook(self, request: pb.TestWebhookRequest, context: Context) -> pb.TestWebhookResponse:
        return pb.TestWebhookResponse(delivery_id=await self._webhooks.test(current_call().principal, request.id))

    async def RemoveWebhook(self, request: pb.RemoveWebhookRequest, context: Context) -> pb.RemoveWebhookResponse:
        await self._webhooks.remove(current_call().principal, request.id, request.reason)
        return pb.RemoveWebhookResponse()

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, context: Context
    ) -> pb.ListWebhookDeliveriesResponse:
        caller = current_call().principal
        page = self._pages.of(caller, request)
        rows = await self._webhooks.deliveries(
            caller,
            request.tenant,
            page,
            everyone=request.all_tenants,
            webhook_id=request.webhook_id,
            state=to_state(request.state),
        )
        shown, token = page.cut(rows, lambda row: (row.id,))
        return pb.ListWebhookDeliveriesResponse(deliveries=map(from_delivery, shown), next_page_token=token)

    async def RedeliverWebhook(
        self, request: pb.RedeliverWebhookRequest, context: Context
    ) -> pb.RedeliverWebhookResponse:
        caller = current_call().principal
        count = await self._webhooks.redeliver(caller, request.delivery_id, request.webhook_id, request.reason)
        return pb.RedeliverWebhookResponse(deliveries=count)


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
    if value == pb.WEBHOOK_DELIVERY_STATE_UNSPECIFIED:
        return None
    for name, number in _STATES.items():
        if number == value:
            return webhooks.DeliveryState(name)
    raise InvalidInput(Reason.FIELD_INVALID, "state: not a state of deliveries")
