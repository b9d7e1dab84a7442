"""All notifiers through the same tests: the log, the webhook and Alertmanager, over real HTTP where there is any."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina
from pytest_httpserver import HTTPServer
from structlog.testing import capture_logs
from werkzeug import Request, Response

from rag_core.database import Store
from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.ingestion.alerts import Alert, AlertKind, Notifier, deliver, open_notifiers
from rag_core.settings import Settings

SECRET = "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HELD = Alert(
    "deletions_held:acme/crm", AlertKind.DELETIONS_HELD, "critical", "80 documents wait", "crm", "acme", {"held": 80}
)
STALE = Alert("source_stale:acme/wiki", AlertKind.SOURCE_STALE, "warning", "old", "wiki", "acme")


class Receiver:
    """What a notifier told: pairs of (key, firing). HTTP notifiers tell it to a real server, which can be broken."""

    def __init__(self, kind: str, server: HTTPServer, settings: Settings) -> None:
        self.kind, self.status, self.requests = kind, 200, []
        self.requests: list[Request]
        server.expect_request("/hook", method="POST").respond_with_handler(self._answer)
        server.expect_request("/am/api/v2/alerts", method="POST").respond_with_handler(self._answer)
        urls = {
            "webhook": {"alert_webhook_url": server.url_for("/hook"), "alert_webhook_secret": SECRET},
            "alertmanager": {"alertmanager_url": server.url_for("/am/")},
        }
        opened = open_notifiers(Settings.load(home=settings.home, **urls.get(kind, {})))
        (self.notifier,) = [one for one in opened if one.name == kind]

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(status=self.status)

    def bodies(self) -> list[Any]:
        return [json.loads(request.get_data()) for request in self.requests]

    def told(self, work: Any) -> list[tuple[str, bool]]:
        """Run something and return what was told meanwhile."""
        before = len(self.requests)
        with capture_logs() as lines:
            work()
        if self.kind == "log":
            return [(line["key"], line["status"] == "firing") for line in lines if line["event"] == "alert"]
        if self.kind == "webhook":
            return [
                (one["key"], one["status"] == "firing") for body in self.bodies()[before:] for one in body["alerts"]
            ]
        # Alertmanager believes the end it is given.
        return [
            (one["labels"]["key"], datetime.fromisoformat(one["endsAt"]) > datetime.now(UTC))
            for body in self.bodies()[before:]
            for one in body
        ]


@pytest.fixture(params=["log", "webhook", "alertmanager"])
def receiver(request: pytest.FixtureRequest, httpserver: HTTPServer, settings: Settings) -> Iterator[Receiver]:
    with stamina.set_testing(True, attempts=2):
        made = Receiver(request.param, httpserver, settings)
        yield made
        made.notifier.close()


def _round(store: Store, notifiers: list[Notifier], conditions: list[Alert], minutes: float = 0, **more: Any) -> Any:
    return deliver(store, notifiers, conditions, now=NOW + timedelta(minutes=minutes), **more)


def test_a_beginning_and_an_end_are_reported_once_each(receiver: Receiver, store: Store) -> None:
    notifiers = [receiver.notifier]
    assert receiver.told(lambda: _round(store, notifiers, [HELD, STALE])) == [(HELD.key, True), (STALE.key, True)]
    assert receiver.told(lambda: _round(store, notifiers, [HELD, STALE], 0.1)) == []
    assert receiver.told(lambda: _round(store, notifiers, [STALE], 0.2)) == [(HELD.key, False)]
    assert receiver.told(lambda: _round(store, notifiers, [STALE], 0.3)) == []


def test_a_condition_that_comes_back_is_reported_again(receiver: Receiver, store: Store) -> None:
    notifiers = [receiver.notifier]
    _round(store, notifiers, [HELD])
    _round(store, notifiers, [], 0.1)
    assert receiver.told(lambda: _round(store, notifiers, [HELD], 0.2)) == [(HELD.key, True)]


def test_only_alertmanager_is_reminded_of_what_continues(receiver: Receiver, store: Store) -> None:
    notifiers = [receiver.notifier]
    _round(store, notifiers, [HELD])
    reminded = receiver.told(lambda: _round(store, notifiers, [HELD], 2))
    assert reminded == ([(HELD.key, True)] if receiver.kind == "alertmanager" else [])


def test_a_receiver_that_is_broken_is_reported_in_the_next_round(receiver: Receiver, store: Store) -> None:
    if receiver.kind == "log":
        pytest.skip("the log has no receiver that could break")
    receiver.status = 503
    outcome = _round(store, [receiver.notifier], [HELD])
    assert [failure.reason for failure in outcome.failures] == [Reason.ALERT_UNDELIVERED]
    assert len(receiver.requests) == 2  # it was tried again at once, too
    receiver.status = 200
    assert receiver.told(lambda: _round(store, [receiver.notifier], [HELD], 0.1)) == [(HELD.key, True)]


def test_one_that_fails_keeps_no_other_from_being_told(receiver: Receiver, store: Store) -> None:
    class Broken:
        name, repeat_seconds = "broken", None

        def send(self, alerts: Any) -> None:
            raise Unavailable(Reason.ALERT_UNDELIVERED, "no")

        def close(self) -> None: ...

    message = receiver.told(lambda: _round(store, [Broken(), receiver.notifier], [HELD]))
    assert message == [(HELD.key, True)]


def test_only_kinds_that_were_looked_at_can_end(receiver: Receiver, store: Store) -> None:
    notifiers = [receiver.notifier]
    _round(store, notifiers, [HELD, STALE])
    ended = receiver.told(lambda: _round(store, notifiers, [], 0.1, scope=[AlertKind.SOURCE_STALE]))
    assert ended == [(STALE.key, False)]


@pytest.mark.parametrize("receiver", ["webhook"], indirect=True)
def test_the_webhook_is_signed_over_time_and_body(receiver: Receiver, store: Store) -> None:
    _round(store, [receiver.notifier], [HELD])
    (request,) = receiver.requests
    stamp = request.headers["X-Rag-Timestamp"]
    assert abs(int(stamp) - datetime.now(UTC).timestamp()) < 60
    expected = hmac.new(SECRET.encode(), stamp.encode() + b"." + request.get_data(), hashlib.sha256).hexdigest()
    assert request.headers["X-Rag-Signature"] == f"v1={expected}"
    (alert,) = receiver.bodies()[0]["alerts"]
    assert (alert["kind"], alert["source"], alert["details"]) == ("deletions_held", "crm", {"held": 80})


@pytest.mark.parametrize("receiver", ["alertmanager"], indirect=True)
def test_alertmanager_gets_labels_annotations_and_times(receiver: Receiver, store: Store) -> None:
    _round(store, [receiver.notifier], [HELD])
    ((alert,),) = receiver.bodies()
    assert alert["labels"] == {
        "alertname": "DeletionsHeld",
        "service": "rag-platform",
        "key": HELD.key,
        "severity": "critical",
        "source": "crm",
        "tenant": "acme",
    }
    assert alert["annotations"] == {"summary": "80 documents wait", "held": "80"}
    assert datetime.fromisoformat(alert["startsAt"]) == NOW


def test_a_refusal_is_not_repeated_and_a_redirect_is_not_followed(httpserver: HTTPServer, settings: Settings) -> None:
    for status in (400, 302):
        httpserver.expect_ordered_request("/hook").respond_with_data(status=status, headers={"location": "/elsewhere"})
    given = {"alert_webhook_url": httpserver.url_for("/hook"), "alert_webhook_secret": SECRET}
    notifier = open_notifiers(Settings.load(home=settings.home, **given))[1]
    for status in (400, 302):
        with pytest.raises(Unavailable, match=f"answered {status}"):
            notifier.send([HELD])
    assert len(httpserver.log) == 2
    notifier.close()


@pytest.mark.parametrize(("secret", "reason"), [(None, Reason.SECRET_MISSING), ("short", Reason.SECRET_WEAK)])
def test_a_webhook_without_a_good_secret_is_refused(secret: str | None, reason: Reason, settings: Settings) -> None:
    given = {"alert_webhook_url": "https://hooks.example/T0KEN", "alert_webhook_secret": secret}
    with pytest.raises(ConfigError) as caught:
        open_notifiers(Settings.load(home=settings.home, **given))
    assert caught.value.reason is reason
    assert "T0KEN" not in str(caught.value)
