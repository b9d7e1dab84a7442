"""Deliveries: signatures, rotation, retries and their end, what is switched off, whose turn it is, the log."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError
from werkzeug import Request, Response

from rag_assets.stream_worker.webhooks import clean_up
from rag_core.errors import Conflict, InvalidInput, NotFound, Reason
from rag_core.governance import webhooks
from rag_core.governance.audit import AuditQuery, find
from rag_core.governance.tenants import store as tenants
from rag_core.governance.webhooks import delivery_store
from rag_core.governance.webhooks.dispatcher import wait_seconds
from rag_core.http_client import FetchPolicy
from tests.support.waiting import eventually
from tests.unit.rag_core.governance.webhooks.conftest import Desk


def queue_test(desk: Desk, webhook: webhooks.Webhook) -> int:
    with desk.store.engine.begin() as connection:
        return webhooks.outbox_store.record_test(connection, webhook, actor="acme/ann")


def reload(desk: Desk, webhook: webhooks.Webhook) -> webhooks.Webhook:
    with desk.store.engine.connect() as connection:
        return webhooks.store.get(connection, webhook.id, tenant="acme")


def test_a_rotation_signs_with_both_secrets_until_the_overlap_ends(desk: Desk) -> None:
    webhook = desk.subscribe()
    [old] = desk.secrets
    new = desk.rotate(webhook, timedelta(hours=1))
    desk.secrets = [old, new]
    queue_test(desk, webhook)
    desk.deliver()
    assert desk.types() == ["webhook.test", "webhook.test"]  # verified with each
    newest = desk.rotate(webhook, timedelta(0))
    desk.secrets = [newest]
    queue_test(desk, webhook)
    desk.deliver()
    request = desk.requests[-1]
    with pytest.raises(WebhookVerificationError):
        Verifier(new).verify(request.get_data(), dict(request.headers))


def test_a_rotation_of_the_installation_s_secret_signs_with_both(desk: Desk) -> None:
    webhook = desk.subscribe()
    desk.settings = desk.settings.model_copy(
        update={
            "webhook_secret": type(desk.settings.webhook_secret)("another-secret-of-this-installation"),
            "webhook_secret_accepted": desk.settings.webhook_secret,
        }
    )
    queue_test(desk, webhook)
    desk.deliver()
    assert desk.types() == ["webhook.test"]


def test_messages_of_a_suspended_tenant_wait_for_its_return(desk: Desk) -> None:
    webhook = desk.subscribe()
    queue_test(desk, webhook)
    with desk.store.engine.begin() as connection:
        tenants.create(connection, "acme", actor="platform/op")
        tenants.suspend(connection, "acme", actor="platform/op")
    assert desk.deliver() == 0
    assert desk.requests == []
    with desk.store.engine.begin() as connection:
        tenants.resume(connection, "acme", actor="platform/op")
    assert desk.deliver() == 1
    assert desk.types() == ["webhook.test"]


def test_a_message_is_tried_again_with_the_same_id_until_the_receiver_takes_it(desk: Desk) -> None:
    webhook = desk.subscribe()
    number = queue_test(desk, webhook)
    desk.answers = [Response(status=503), Response(status=302, headers={"location": "/elsewhere"})]
    for state in ("pending", "pending", "delivered"):
        assert desk.deliver() == 1
        assert desk.deliver() == 0  # it waits for its time
        [row] = desk.log()
        assert (row.id, row.state) == (number, state)
        desk.make_due()
    assert row.attempts == 3
    assert len({request.headers["webhook-id"] for request in desk.requests}) == 1
    assert reload(desk, webhook).failures == 0


def test_a_receiver_that_fails_is_left_alone_for_a_while(desk: Desk) -> None:
    webhook = desk.subscribe()
    queue_test(desk, webhook)
    desk.answers = [Response(status=500)]
    desk.deliver()
    queue_test(desk, webhook)
    assert desk.deliver() == 0
    assert reload(desk, webhook).not_before is not None


def test_a_delivery_fails_when_its_tries_are_used_up_and_an_operator_can_send_it_again(desk: Desk) -> None:
    webhook = desk.subscribe()
    queue_test(desk, webhook)
    desk.answers = [Response(status=500)] * 2
    for _ in range(3):
        desk.deliver(webhook_max_attempts=2)
        desk.make_due()
    [row] = desk.log(state=webhooks.DeliveryState.FAILED)
    assert (row.attempts, row.status, row.reason, row.next_attempt_at) == (2, 500, "WEBHOOK_REFUSED", None)
    with desk.store.engine.begin() as connection:
        assert delivery_store.redeliver_failed(connection, webhook, actor="acme/ann", why="mended") == 1
    desk.deliver()
    assert desk.types() == ["webhook.test"]
    with desk.store.engine.begin() as connection:  # also one that arrived
        delivery_store.redeliver(connection, desk.log()[0], actor="acme/ann")
    desk.deliver()
    assert len({one["id"] for one in desk.received}) == 1
    assert len(desk.received) == 2
    with desk.store.engine.connect() as connection:
        done = [entry.action for entry in find(connection, AuditQuery(tenant="acme"))]
    assert done.count("webhook.redeliver") == 2


def test_a_delivery_that_waits_too_long_fails_and_old_events_are_deleted(desk: Desk) -> None:
    webhook = desk.subscribe()
    queue_test(desk, webhook)
    queue_test(desk, webhook)
    with desk.store.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE rag.webhook_deliveries SET queued_at = now() - interval '25 hours' "
            "WHERE id = (SELECT min(id) FROM rag.webhook_deliveries)"
        )
        assert delivery_store.expire(connection, hours=24) == 1
        connection.exec_driver_sql("UPDATE rag.webhook_events SET created_at = now() - interval '15 days'")
        assert delivery_store.purge(connection, days=14) == 1  # the other one is still to be sent
    assert [row.state for row in desk.log()] == ["pending"]


def test_the_log_of_a_receiver_that_takes_nothing_is_bounded_and_what_was_dropped_is_recorded(desk: Desk) -> None:
    webhook, other = desk.subscribe(), desk.subscribe()
    for number in range(105):
        desk.harness.push(f"{number}.txt", "The bell rings.")
    desk.push("last.txt", "The bell rings.")
    assert reload(desk, webhook).pending == reload(desk, other).pending == 106
    with desk.store.engine.begin() as connection:
        webhooks.store.remove(connection, other, actor="acme/ann")
    clean_up(desk.store, desk.settings.model_copy(update={"webhook_log_rows": 100}))
    kept = desk.log(limit=200)
    assert len(kept) == reload(desk, webhook).pending == 100
    assert min(row.id for row in kept) > 6
    assert desk.harness.all("SELECT count(*) FROM rag.webhook_events")[0][0] == 100
    with desk.store.engine.connect() as connection:
        [dropped] = [one for one in find(connection, AuditQuery(tenant="acme")) if one.action == "webhook.drop"]
    assert (dropped.target, dropped.details) == (webhook.id, {"events": 6})


def test_an_event_that_another_webhook_still_has_is_kept(desk: Desk) -> None:
    webhook, other = desk.subscribe(), desk.subscribe()
    for number in range(3):
        desk.push(f"{number}.txt", "The bell rings.")
    with desk.store.engine.begin() as connection:
        assert delivery_store.trim(connection, webhook, keep=1, limit=1) == 1
        assert delivery_store.trim(connection, webhook, keep=1) == 1
        assert delivery_store.trim(connection, webhook, keep=1) == 0
    assert (reload(desk, webhook).pending, reload(desk, other).pending) == (1, 3)


def test_a_receiver_that_is_gone_for_good_switches_its_webhook_off(desk: Desk) -> None:
    webhook = desk.subscribe()
    queue_test(desk, webhook)
    desk.answers = [Response(status=410)]
    desk.deliver()
    after = reload(desk, webhook)
    assert (after.enabled, after.disabled_reason) == (False, "WEBHOOK_REFUSED")
    assert desk.log()[0].state == webhooks.DeliveryState.FAILED
    desk.push("a.txt", "It happens while nobody listens.")
    with desk.store.engine.begin() as connection:
        webhooks.store.enable(connection, webhook, enabled=True, actor="acme/ann")
    assert desk.deliver() == 0


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://169.254.169.254/x", "SSRF_BLOCKED"), ("http://127.0.0.2:9/x", "HOST_UNREACHABLE")],
)
def test_an_address_inside_is_refused_at_the_delivery_and_the_log_says_so(desk: Desk, url: str, reason: str) -> None:
    queue_test(desk, desk.subscribe(url=url))
    desk.deliver()
    assert [(row.state, row.reason, row.status) for row in desk.log()] == [("pending", reason, None)]


@pytest.mark.parametrize("url", ["ftp://x.example/", "http://x.example/", "https://ann:pw@x.example/", "https://:1/"])
def test_addresses_that_are_no_place_for_events_are_refused_at_once(desk: Desk, url: str) -> None:
    with pytest.raises(InvalidInput):
        webhooks.require_url(url, FetchPolicy.from_settings(desk.settings), plain=False)


@pytest.mark.catalogue("S28")
def test_what_may_be_secret_in_an_address_is_not_shown(desk: Desk) -> None:
    webhook = desk.subscribe()
    assert "t0ken" in webhook.url
    assert "t0ken" not in webhook.shown_url
    with desk.store.engine.connect() as connection:
        assert "t0ken" not in str(find(connection, AuditQuery(tenant="acme")))
    assert webhook.id in repr(webhook)


def test_a_tenant_has_a_bounded_number_of_webhooks_and_nobody_else_s(desk: Desk) -> None:
    made = [desk.subscribe() for _ in range(20)]
    with pytest.raises(Conflict) as refused:
        desk.subscribe()
    assert refused.value.reason is Reason.WEBHOOK_LIMIT
    desk.subscribe(tenant="other")
    with desk.store.engine.connect() as connection, pytest.raises(NotFound):
        webhooks.store.get(connection, made[0].id, tenant="other")


def test_slow_receivers_of_one_tenant_delay_no_other_tenant(desk: Desk) -> None:
    slow = [desk.subscribe(url=desk.server.url_for("/slow")) for _ in range(4)]
    asked: list[Request] = []
    quick_arrived: list[bool] = []

    def wait_for_others(request: Request) -> Response:
        asked.append(request)
        arrived.wait(20)
        quick_arrived.append(arrived.is_set())
        return Response(status=204)

    arrived = threading.Event()
    desk.server.expect_request("/slow").respond_with_handler(wait_for_others)
    desk.server.expect_request("/quick").respond_with_handler(lambda _: (arrived.set(), Response(status=204))[1])
    quick = desk.subscribe(url=desk.server.url_for("/quick"), tenant="other")
    for webhook in slow * 5:
        queue_test(desk, webhook)
    with closing(webhooks.Dispatcher(desk.store, desk.settings)) as dispatcher:
        assert dispatcher.start_due() == 4  # the others wait, and leave places
        queue_test(desk, quick)
        assert dispatcher.deliver_due() == 17
    assert all(quick_arrived)
    assert len(quick_arrived) == 20


def test_slow_receivers_of_many_tenants_leave_places_to_the_rest(desk: Desk) -> None:
    slow = [desk.subscribe(url=desk.server.url_for("/slow"), tenant=f"slow-{number}") for number in range(12)]
    quick = desk.subscribe(url=desk.server.url_for("/quick"), tenant="quick")
    let_go, arrived = threading.Event(), threading.Event()
    desk.server.expect_request("/slow").respond_with_handler(
        lambda _: (let_go.wait(20), Response(status=204 if let_go.is_set() else 500))[1]
    )
    desk.server.expect_request("/quick").respond_with_handler(lambda _: (arrived.set(), Response(status=204))[1])
    with closing(webhooks.Dispatcher(desk.store, desk.settings)) as dispatcher:
        queue_test(desk, quick)
        assert dispatcher.deliver_due() == 1  # it is known as quick from now on
        arrived.clear()
        for webhook in slow * 4:
            queue_test(desk, webhook)
        assert dispatcher.start_due() == 8  # who is not known as quick shares a part of the places
        assert dispatcher.start_due() == 0
        queue_test(desk, quick)
        assert dispatcher.start_due() == 1
        assert arrived.wait(20)
        let_go.set()
        assert dispatcher.deliver_due() == 40


def test_a_receiver_gets_more_at_a_time_as_long_as_it_is_quick(desk: Desk) -> None:
    webhook = desk.subscribe()
    with closing(webhooks.Dispatcher(desk.store, desk.settings)) as dispatcher:
        begun = []
        for _ in range(30):
            queue_test(desk, webhook)
        while (started := dispatcher.start_due()) or len(desk.received) < 30:
            begun.append(started)
    assert {1, 4} <= set(begun) <= {0, 1, 2, 3, 4}


def test_a_result_that_comes_after_an_operator_sent_the_event_again_changes_nothing(desk: Desk) -> None:
    webhook = desk.subscribe()
    number = queue_test(desk, webhook)
    late = delivery_store.AttemptResult(delivered=False, status=500, reason="WEBHOOK_REFUSED", milliseconds=1)
    with desk.store.engine.begin() as connection:
        _, (first,) = delivery_store.claim(connection, webhook.id, lease=60, limit=1)
    with desk.store.engine.begin() as connection:
        delivery_store.redeliver(connection, first, actor="acme/ann")
    with desk.store.engine.begin() as connection:
        _, (second,) = delivery_store.claim(connection, webhook.id, lease=60, limit=1)
        assert (first.attempts, second.attempts, second.id) == (1, 1, number)
        delivery_store.record_result(connection, first, late)
        assert delivery_store.get_delivery(connection, number, tenant="acme").state == "pending"
        delivery_store.record_result(connection, second, replace(late, delivered=True))
        assert delivery_store.get_delivery(connection, number, tenant="acme").state == "delivered"


def test_a_webhook_that_is_removed_takes_its_log_and_the_events_of_nobody_else(desk: Desk) -> None:
    webhook, other = desk.subscribe(), desk.subscribe("document.indexed")
    desk.push("a.txt", "The bell rings.")
    queue_test(desk, webhook)

    def left() -> list[str]:
        return [row.type for row in desk.harness.all("SELECT type FROM rag.webhook_events ORDER BY type")]

    assert left() == ["document.indexed", "webhook.test"]
    for removed, events in ((webhook, ["document.indexed"]), (other, [])):
        with desk.store.engine.begin() as connection:
            webhooks.store.remove(connection, removed, actor="acme/ann")
        assert left() == events


def test_a_webhook_that_is_removed_while_its_event_is_written_fails_no_fact(desk: Desk) -> None:
    webhook = desk.subscribe()
    event = webhooks.WebhookEvent("document.indexed", "acme", {})
    with desk.store.engine.connect() as removing, ThreadPoolExecutor(1) as pool:
        webhooks.store.remove(removing, webhook, actor="acme/ann")

        def write() -> None:
            with desk.store.engine.begin() as connection:
                webhooks.outbox_store.record(connection, [event])

        writing = pool.submit(write)
        waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        assert eventually(lambda: desk.harness.all(waiting) or writing.done())
        removing.commit()
        writing.result(20)
    assert desk.harness.all("SELECT FROM rag.webhook_events") == []


def test_two_dispatchers_send_each_message_once(desk: Desk) -> None:
    webhook = desk.subscribe()
    for _ in range(10):
        queue_test(desk, webhook)
    first, second = (webhooks.Dispatcher(desk.store, desk.settings) for _ in range(2))
    begun = first.start_due() + second.start_due()
    assert begun + first.deliver_due() + second.deliver_due() == 10
    first.close()
    second.close()
    assert len({one["id"] for one in desk.received}) == len(desk.received) == 10


def test_waits_grow_to_six_hours_and_differ() -> None:
    means = [sum(wait_seconds(attempt) for _ in range(200)) / 200 for attempt in range(1, 12)]
    assert all(later > earlier * 0.9 for earlier, later in pairwise(means))
    assert max(wait_seconds(50) for _ in range(50)) <= 6 * 3600
    assert len({wait_seconds(1) for _ in range(10)}) > 1
