# ruff: noqa: N802  the methods are named by the .proto file
"""admin.v1.WebhookService."""

from __future__ import annotations

from typing import Any

import grpc.aio

from query_server.converters import webhooks as to_message
from query_server.handlers.admin.webhooks import WantedWebhook, WebhooksHandler
from query_server.handlers.paging import ListPages
from query_server.runtime.calls import current_call
from ragproto.admin.v1 import webhooks_pb2 as pb
from ragproto.admin.v1 import webhooks_pb2_grpc as rpc

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
        return pb.ListWebhooksResponse(webhooks=map(to_message.from_webhook, shown), next_page_token=token)

    async def CreateWebhook(self, request: pb.CreateWebhookRequest, context: Context) -> pb.CreateWebhookResponse:
        wanted = WantedWebhook(request.tenant, request.url, tuple(request.events), request.description)
        made, secret = await self._webhooks.create(current_call().principal, wanted, request.reason)
        return pb.CreateWebhookResponse(webhook=to_message.from_webhook(made), secret=secret)

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
            state=to_message.to_state(request.state),
        )
        shown, token = page.cut(rows, lambda row: (row.id,))
        return pb.ListWebhookDeliveriesResponse(deliveries=map(to_message.from_delivery, shown), next_page_token=token)

    async def RedeliverWebhook(
        self, request: pb.RedeliverWebhookRequest, context: Context
    ) -> pb.RedeliverWebhookResponse:
        caller = current_call().principal
        count = await self._webhooks.redeliver(caller, request.delivery_id, request.webhook_id, request.reason)
        return pb.RedeliverWebhookResponse(deliveries=count)
