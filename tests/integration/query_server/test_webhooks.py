"""WebhookService: whose webhooks a caller sees and changes, what is on record of it, and pages of the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as Verifier

from rag_core.database import Store, open_store
from rag_core.governance.audit import AuditQuery, find
from rag_core.settings import Settings
from ragproto.admin.v1 import webhooks_pb2 as pb
from ragproto.admin.v1 import webhooks_pb2_grpc as rpc
from tests.support.query_server import RunningServer, failing, running

KEY = "0123456789abcdef0123456789abcdefXYZ"
HOOK = {"url": "https://hooks.example/rag?token=t0ken", "events": ["document.*"]}


class Desk:
    """The service as callers of several tenants see it."""

    def __init__(self, server: RunningServer, store: Store) -> None:
        self.server, self.store = server, store
        self.stub = rpc.WebhookServiceStub(server.channel)

    def do(self, method: str, of: str = "acme", held: tuple[str, ...] = ("sources.write",), /, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        metadata = self.server.auth(tenant=of, scopes=list(held), subject="ann")
        return getattr(self.stub, method)(request, metadata=metadata, timeout=30)

    def refusal(
        self, method: str, of: str = "acme", held: tuple[str, ...] = ("sources.write",), /, **fields: Any
    ) -> str:
        return failing(lambda: self.do(method, of, held, **fields)).reason

    def actions(self, tenant: str = "acme") -> list[str]:
        with self.store.engine.connect() as connection:
            return [entry.action for entry in reversed(find(connection, AuditQuery(tenant=tenant)))]


@pytest.fixture
def desk(tmp_path: Path, settings: Settings, store: Store) -> Iterator[Desk]:
    more = {"webhook_secret": SecretStr(KEY)}
    with running(tmp_path / "server", open_store=lambda: open_store(settings), **more) as server:
        yield Desk(server, store)


def test_a_webhook_is_made_tested_rotated_switched_and_removed_on_record(desk: Desk) -> None:
    made = desk.do("CreateWebhook", **HOOK, description="search mirror", reason="mirror")
    Verifier(made.secret)  # of the form that receivers take
    webhook = made.webhook
    assert (webhook.tenant, webhook.url, webhook.created_by) == ("acme", "https://hooks.example/rag?…", "acme/ann")
    number = desk.do("TestWebhook", id=webhook.id).delivery_id
    [delivery] = desk.do("ListWebhookDeliveries").deliveries
    assert (delivery.id, delivery.type, delivery.state) == (number, "webhook.test", pb.WEBHOOK_DELIVERY_STATE_PENDING)
    rotated = desk.do("RotateWebhookSecret", id=webhook.id, overlap_hours=1)
    assert rotated.secret not in ("", made.secret)
    assert rotated.previous_secret_until.seconds > 0
    desk.do("SetWebhookEnabled", id=webhook.id, enabled=False)
    assert [one.enabled for one in desk.do("ListWebhooks").webhooks] == [False]
    assert desk.do("RedeliverWebhook", delivery_id=number).deliveries == 1
    desk.do("RemoveWebhook", id=webhook.id, reason="not used")
    assert not desk.do("ListWebhooks").webhooks
    assert not desk.do("ListWebhookDeliveries").deliveries
    assert [name for name in desk.actions() if name.startswith("webhook.")] == [
        "webhook.create", "webhook.test", "webhook.rotate", "webhook.disable", "webhook.redeliver", "webhook.remove",
    ]  # fmt: skip


def test_the_webhooks_of_another_tenant_do_not_exist_but_for_the_platform(desk: Desk) -> None:
    webhook = desk.do("CreateWebhook", **HOOK).webhook
    number = desk.do("TestWebhook", id=webhook.id).delivery_id
    assert not desk.do("ListWebhooks", "other").webhooks
    assert not desk.do("ListWebhookDeliveries", "other").deliveries
    for method in ("TestWebhook", "SetWebhookEnabled", "RotateWebhookSecret", "RemoveWebhook"):
        assert desk.refusal(method, "other", id=webhook.id) == "WEBHOOK_NOT_FOUND"
    assert desk.refusal("RedeliverWebhook", "other", delivery_id=number) == "WEBHOOK_DELIVERY_NOT_FOUND"
    assert desk.refusal("RedeliverWebhook", "other", webhook_id=webhook.id) == "WEBHOOK_NOT_FOUND"
    assert desk.refusal("CreateWebhook", "other", **HOOK, tenant="acme") == "SCOPE_MISSING"
    assert desk.refusal("ListWebhooks", "other", all_tenants=True) == "SCOPE_MISSING"
    assert desk.refusal("ListWebhookDeliveries", "other", all_tenants=True) == "SCOPE_MISSING"
    platform = ("platform.admin",)
    assert [one.id for one in desk.do("ListWebhooks", "other", platform, all_tenants=True).webhooks] == [webhook.id]
    desk.do("RemoveWebhook", "other", platform, id=webhook.id)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"url": "ftp://hooks.example/"}, "URL_SCHEME"),
        ({"url": ""}, "FIELD_INVALID"),
        ({"url": "https://ann:secret@hooks.example/"}, "URL_INVALID"),
        ({"url": "https://hooks.example:22/"}, "URL_PORT"),
        ({"events": []}, "FIELD_INVALID"),
        ({"events": ["document.read"]}, "FIELD_INVALID"),
        ({"description": "x" * 257}, "FIELD_INVALID"),
    ],
)
def test_what_cannot_be_subscribed_is_refused(desk: Desk, fields: dict[str, Any], reason: str) -> None:
    assert desk.refusal("CreateWebhook", **(HOOK | fields)) == reason


def test_the_log_begins_with_the_newest_delivery_and_the_list_is_in_the_order_of_ids(desk: Desk) -> None:
    made = [desk.do("CreateWebhook", **HOOK).webhook.id for _ in range(3)]
    numbers = [desk.do("TestWebhook", id=made[0]).delivery_id for _ in range(5)]
    deliveries = desk.do("ListWebhookDeliveries", webhook_id=made[0]).deliveries
    assert [one.id for one in deliveries] == sorted(numbers, reverse=True)
    assert [one.id for one in desk.do("ListWebhooks").webhooks] == sorted(made)
    failed = pb.WEBHOOK_DELIVERY_STATE_FAILED
    assert not desk.do("ListWebhookDeliveries", state=failed).deliveries


def test_without_the_installation_s_secret_there_are_no_webhooks(
    tmp_path: Path, settings: Settings, store: Store
) -> None:
    with running(tmp_path / "server", open_store=lambda: open_store(settings)) as server:
        assert Desk(server, store).refusal("CreateWebhook", **HOOK) == "SECRET_MISSING"
