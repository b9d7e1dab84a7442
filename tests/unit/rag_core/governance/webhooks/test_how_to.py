"""The page for receivers: its code verifies what is sent, its events are all there are, its defaults are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rag_core.governance.webhooks import EventType, outbox_store
from rag_core.settings import Settings
from tests.unit.rag_core.governance.webhooks.conftest import Desk

PAGE = (Path(__file__).parents[5] / "docs" / "how-to" / "send-events.md").read_text("utf-8")


def test_the_code_of_the_page_verifies_a_message(desk: Desk) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    written: dict[str, Any] = {}
    exec(code, written)  # noqa: S102  the page's own text
    webhook = desk.subscribe()
    with desk.store.engine.begin() as connection:
        outbox_store.record_test(connection, webhook, actor="acme/ann")
    desk.deliver()
    [request] = desk.requests
    message = written["receive"](dict(request.headers), request.get_data(), desk.secrets[0])
    assert message["type"] == "webhook.test"


def test_every_event_and_every_default_of_the_page_is_real() -> None:
    assert set(re.findall(r"`((?:document|source|generation|alert)\.[a-z]+)`", PAGE)) == set(EventType)
    named = re.findall(r"`RAG_(WEBHOOK_[A-Z_]+)`[a-z ]*? \((\d+)\)", PAGE)
    assert len(named) == 6
    for name, value in named:
        assert Settings.model_fields[name.lower()].default == int(value), name
