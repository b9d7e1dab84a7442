"""From the conditions that hold now to messages: each notifier hears of a beginning and of an end, once each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rag_core.alerts.base import Alert, Notifier
from rag_core.errors import RagError
from rag_core.logging import get_logger
from rag_core.store import alerts as table
from rag_core.store import locks
from rag_core.store.engine import Store

log = get_logger("rag.alerts")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one round did: messages sent by notifier, and what could not be sent."""

    sent: dict[str, int] = field(default_factory=dict)
    failures: list[RagError] = field(default_factory=list)


def deliver(
    store: Store,
    notifiers: Sequence[Notifier],
    conditions: Sequence[Alert],
    *,
    scope: Sequence[str] | None = None,
    now: datetime | None = None,
) -> Delivery:
    """Compare the conditions with what was known, and tell every notifier what it has not heard.

    An alert of the kinds in `scope` (all kinds when `None`) that is no condition any more has ended. A notifier that
    fails is told in the next round; the others are told all the same. Nothing is sent inside a transaction.
    """
    when = now or datetime.now(UTC)
    with store.engine.begin() as connection:
        locks.lock_transaction(connection, "alerts")
        table.begin(connection, conditions, when)
        table.end_others(connection, [alert.key for alert in conditions], scope, when)
        known = table.undelivered(connection)
    outcome = Delivery()
    for notifier in notifiers:
        due = [row.alert for row in known if _is_due(row, notifier, when)]
        if not due:
            continue
        try:
            notifier.send(due)
        except RagError as error:
            log.warning("alert_undelivered", notifier=notifier.name, reason=str(error.reason), alerts=len(due))
            outcome.failures.append(error)
            continue
        outcome.sent[notifier.name] = len(due)
        with store.engine.begin() as connection:
            table.mark(connection, notifier.name, due, when)
    with store.engine.begin() as connection:
        table.settle(connection, [notifier.name for notifier in notifiers])
    return outcome


def _is_due(row: table.Known, notifier: Notifier, now: datetime) -> bool:
    told = row.delivered.get(notifier.name)
    status = "firing" if row.alert.firing else "resolved"
    if told is None:
        return row.alert.firing  # a beginning that no one heard needs no end
    if told["status"] != status or told["since"] != row.since:
        return row.alert.firing or told["status"] == "firing"
    if status == "resolved" or notifier.repeat_seconds is None:
        return False
    return (now - datetime.fromisoformat(told["at"])).total_seconds() >= notifier.repeat_seconds
