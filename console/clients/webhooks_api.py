"""Calls of `admin.v1.WebhookService`: subscriptions and deliveries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from console.clients.paging import whole
from ragproto.admin.v1 import webhooks_pb2 as pb
from ragproto.admin.v1 import webhooks_pb2_grpc as rpc


class WebhooksApi:
    """The service as one caller sees it. Every method raises `ServiceError`."""

    def __init__(self, stub: rpc.WebhookServiceStub, call: Callable[[Any, Any], Any]) -> None:
        self._stub = stub
        self._call = call

    def webhooks(self, *, all_tenants: bool) -> list[pb.Webhook]:
        """Webhooks by id."""
        fields = {"all_tenants": all_tenants, "page_size": 1000}
        return list(whole(lambda token: self._ask("ListWebhooks", **fields, page_token=token), "webhooks").webhooks)

    def create(
        self, tenant: str, url: str, events: Sequence[str], description: str, reason: str
    ) -> pb.CreateWebhookResponse:
        """Create a webhook, whose secret is in the answer only."""
        fields = {"tenant": tenant, "url": url, "events": events, "description": description, "reason": reason}
        return self._ask("CreateWebhook", **fields)

    def set_enabled(self, webhook: str, reason: str, *, enabled: bool) -> None:
        """Switch a webhook on or off."""
        self._ask("SetWebhookEnabled", id=webhook, enabled=enabled, reason=reason)

    def rotate(self, webhook: str, reason: str) -> pb.RotateWebhookSecretResponse:
        """Make a new secret."""
        return self._ask("RotateWebhookSecret", id=webhook, reason=reason)

    def test(self, webhook: str) -> int:
        """Send the test event; returns the number of the delivery."""
        return int(self._ask("TestWebhook", id=webhook).delivery_id)

    def remove(self, webhook: str, reason: str) -> None:
        """Delete a webhook with its log."""
        self._ask("RemoveWebhook", id=webhook, reason=reason)

    def deliveries(
        self, *, all_tenants: bool, webhook: str, state: pb.WebhookDeliveryState, page_token: str
    ) -> pb.ListWebhookDeliveriesResponse:
        """A page of deliveries, newest first."""
        return self._ask(
            "ListWebhookDeliveries", all_tenants=all_tenants, webhook_id=webhook, state=state, page_token=page_token
        )

    def redeliver(self, delivery: int, webhook: str, reason: str) -> int:
        """Send a delivery again, or all that failed of a webhook; returns how many."""
        return int(self._ask("RedeliverWebhook", delivery_id=delivery, webhook_id=webhook, reason=reason).deliveries)

    def _ask(self, method: str, /, **fields: Any) -> Any:
        return self._call(getattr(self._stub, method), getattr(pb, f"{method}Request")(**fields))
