"""A receiver of webhooks that others wrote the verifier of, and a subscription whose messages it gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook as Verifier
from werkzeug import Request, Response

from rag_core.governance import webhooks
from rag_core.http_client import FetchPolicy
from rag_core.settings import Settings
from tests.support.stream import StreamHarness
from tests.unit.rag_assets.stream_worker.conftest import stream  # noqa: F401

KEY = "0123456789abcdef0123456789abcdefXYZ"
LOCAL = {"fetch_allow_networks": "127.0.0.0/8", "fetch_ports": "1-65535", "webhook_secret": SecretStr(KEY)}


class Desk:
    """Subscribes, delivers, and keeps what the receiver verified."""

    def __init__(self, harness: StreamHarness, server: HTTPServer) -> None:
        self.harness, self.server = harness, server
        self.settings: Settings = harness.settings.model_copy(update=LOCAL)
        self.store = harness.store
        self._loop = harness.consumer_loop()
        self.received: list[dict[str, Any]] = []
        """Bodies of messages with a valid signature, with the id of the message."""
        self.requests: list[Request] = []
        self.answers: list[Response] = []
        """What the receiver answers next; 204 when there is nothing."""
        self.secrets: list[str] = []
        server.expect_request("/hook", method="POST").respond_with_handler(self._receive)

    def subscribe(self, *events: str, tenant: str = "acme", url: str | None = None) -> webhooks.Webhook:
        policy = FetchPolicy.from_settings(self.settings)
        checked = webhooks.require_url(url or self.server.url_for("/hook?token=t0ken"), policy, plain=True)
        wanted = webhooks.NewWebhook(tenant, checked, webhooks.require_events(events or ("*",)))
        with self.store.engine.begin() as connection:
            made = webhooks.store.create(connection, wanted, actor="acme/ann")
        self.secrets = [webhooks.secret_of(KEY.encode(), made.id, made.secret_number)]
        return made

    def rotate(self, webhook: webhooks.Webhook, overlap: timedelta) -> str:
        with self.store.engine.begin() as connection:
            made = webhooks.store.rotate(connection, webhook, overlap=overlap, actor="acme/ann")
        return webhooks.secret_of(KEY.encode(), made.id, made.secret_number)

    def deliver(self, **settings: Any) -> int:
        """Send what is due and wait for it."""
        dispatcher = webhooks.Dispatcher(self.store, self.settings.model_copy(update=settings))
        try:
            return dispatcher.deliver_due()
        finally:
            dispatcher.close()

    def make_due(self) -> None:
        """As if the waits for the next tries were over."""
        with self.store.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE rag.webhook_deliveries SET next_attempt_at = now() WHERE state='pending'"
            )
            connection.exec_driver_sql("UPDATE rag.webhooks SET not_before = NULL")

    def log(self, **wanted: Any) -> list[webhooks.Delivery]:
        with self.store.engine.connect() as connection:
            return webhooks.delivery_store.find(connection, tenant="acme", **wanted)

    def push(self, locator: str, text: str | bytes | None) -> None:
        """Push a document and apply it."""
        self.harness.push(locator, text)
        while batch := self._loop.source.poll(0):
            self._loop.process(batch)

    def types(self) -> list[str]:
        return [message["type"] for message in self.received]

    def _receive(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else Response(status=204)
        body = request.get_data()
        for secret in self.secrets:
            message = Verifier(secret).verify(body, dict(request.headers))  # raises, and the server then says so
            if answer.status_code < 300:
                self.received.append({"id": request.headers["webhook-id"], **message})
        json.loads(body)
        return answer


@pytest.fixture
def desk(stream: StreamHarness) -> Iterator[Desk]:  # noqa: F811
    with HTTPServer("127.0.0.1", 0, threaded=True) as server:
        yield Desk(stream, server)
        server.check()
