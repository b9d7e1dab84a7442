"""Calls of `admin.v1.WebhookService`: subscriptions and deliveries."""

from __future__ import annotations

from collections.abc import Sequence

from console.clients.calls import ServiceCalls
from ragproto.admin.v1 import webhooks_pb2 as pb


class WebhooksApi(ServiceCalls):
    """The service as one caller sees it. Every method raises `ServiceError`."""

    def webhooks(self, *, all_tenants: bool) -> list[pb.Webhook]:
        """Webhooks by id."""
        return list(self.ask_all("ListWebhooks", "webhooks", all_tenants=all_tenants, page_size=1000).webhooks)

    def create(
        self, tenant: str, url: str, events: Sequence[str], description: str, reason: str
    ) -> pb.CreateWebhookResponse:
        """Create a webhook, whose secret is in the answer only."""
        fields = {"tenant": tenant, "url": url, "events": events, "description": description, "reason": reason}
        return self.ask("CreateWebhook", **fields)

    def set_enabled(self, webhook: str, reason: str, *, enabled: bool) -> None:
        """Switch a webhook on or off."""
        self.ask("SetWebhookEnabled", id=webhook, enabled=enabled, reason=reason)

    def rotate(self, webhook: str, reason: str) -> pb.RotateWebhookSecretResponse:
        """Make a new secret."""
        return self.ask("RotateWebhookSecret", id=webhook, reason=reason)

    def test(self, webhook: str) -> int:
        """Send the test event; returns the number of the delivery."""
        return int(self.ask("TestWebhook", id=webhook).delivery_id)

    def remove(self, webhook: str, reason: str) -> None:
        """Delete a webhook with its log."""
        self.ask("RemoveWebhook", id=webhook, reason=reason)

    def deliveries(
        self, *, all_tenants: bool, webhook: str, state: pb.WebhookDeliveryState, page_token: str
    ) -> pb.ListWebhookDeliveriesResponse:
        """A page of deliveries, newest first."""
        return self.ask(
            "ListWebhookDeliveries", all_tenants=all_tenants, webhook_id=webhook, state=state, page_token=page_token
        )

    def redeliver(self, delivery: int, webhook: str, reason: str) -> int:
        """Send a delivery again, or all that failed of a webhook; returns how many."""
        return int(self.ask("RedeliverWebhook", delivery_id=delivery, webhook_id=webhook, reason=reason).deliveries)
