"""Events out: send what is due to webhooks, announce new states of sources, and delete the old log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

from rag_core.database import Store, locks
from rag_core.errors import RagError
from rag_core.governance.webhooks import Dispatcher, EventType, Webhook, WebhookEvent, delivery_store, outbox_store
from rag_core.governance.webhooks import store as webhooks
from rag_core.ingestion import source_status
from rag_core.logging import get_logger
from rag_core.settings import Settings

log = get_logger(__name__)
_STATES_SECONDS = 5.0
_HOUSEKEEPING_SECONDS = 60.0
_SUBSCRIBES = (EventType.SOURCE_STATE, "source.*", "*")


class WebhookSender:
    """Runs until it is stopped, on two threads: a slow receiver delays no announcement."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings

    def send(self, stopping: threading.Event) -> None:
        """Send what is due."""
        from rag_assets.stream_worker.kafka.events import KafkaEvents

        with closing(Dispatcher(self._store, self._settings, kafka=KafkaEvents(self._settings))) as dispatcher:
            dispatcher.run(stopping)

    def announce(self, stopping: threading.Event) -> None:
        """Write events of states, give up what waited too long, delete what is old."""
        cleaned_at = 0.0
        while not stopping.is_set():
            try:
                announce_states(self._store)
                if time.monotonic() - cleaned_at >= _HOUSEKEEPING_SECONDS:
                    clean_up(self._store, self._settings)
                    cleaned_at = time.monotonic()
            except RagError as error:
                log.warning("webhooks_postponed", reason=error.reason)
            stopping.wait(_STATES_SECONDS)


def announce_states(store: Store) -> int:
    """Write an event for each source whose state is not the one announced last; returns how many.

    A status is computed from rows, so no transaction changes it: it is compared with what subscribers know. Nothing is
    computed for tenants that do not subscribe.
    """
    with store.engine.begin() as connection:
        tenants = webhooks.tenants_subscribed_to(connection, _SUBSCRIBES)
    count = 0
    for tenant in tenants:
        with store.engine.begin() as connection:
            locks.lock_transaction(connection, "announced states")
            reports = {report.counts.name: report for report in source_status.read(connection, tenant)}
            known = webhooks.announced(connection, tenant)
            states = {name: str(report.status.state) for name, report in reports.items()}
            changed = {name: state for name, state in states.items() if known.get(name) != state}
            outbox_store.record(
                connection,
                [
                    WebhookEvent(
                        EventType.SOURCE_STATE,
                        tenant,
                        {
                            "source": name,
                            "state": state,
                            "previous": known.get(name),
                            "reason": reports[name].status.reason,
                            "documents": reports[name].counts.documents,
                        },
                    )
                    for name, state in changed.items()
                ],
            )
            webhooks.remember_announced(connection, tenant, changed, sorted(known.keys() - states.keys()))
            count += len(changed)
    return count


def clean_up(store: Store, settings: Settings) -> None:
    """Give up deliveries that waited too long, and delete the log that is old or too long."""
    with store.engine.begin() as connection:
        delivery_store.expire(connection, hours=settings.webhook_retry_hours)
        delivery_store.purge(connection, days=settings.webhook_log_days)
    for webhook in _webhooks(store):
        while True:
            with store.engine.begin() as connection:
                if not delivery_store.trim(connection, webhook, keep=settings.webhook_log_rows):
                    break


def _webhooks(store: Store) -> Iterator[Webhook]:
    after = ""
    while True:
        with store.engine.connect() as connection:
            found = webhooks.list_webhooks(connection, tenant=None, after=after)
        if not found:
            return
        yield from found
        after = found[-1].id
