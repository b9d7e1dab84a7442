"""Alerts: conditions, their storage, and delivery of each change to every configured notifier."""

from rag_core.alerts import store
from rag_core.alerts.base import Alert, AlertKind, Notifier
from rag_core.alerts.conditions import (
    dated_ahead,
    halted_streams,
    held_deletions,
    over_failure_rate,
    rebuilt_indexes,
    stale_sources,
)
from rag_core.alerts.delivery import Delivery, deliver, open_notifiers
from rag_core.alerts.store import SourceState, source_states
