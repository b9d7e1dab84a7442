"""Telling people: conditions become alerts, and every configured notifier is told once per change of each."""

from rag_core.alerts.base import Alert, AlertKind, Notifier
from rag_core.alerts.delivery import deliver
from rag_core.alerts.notifiers import open_notifiers

__all__ = ["Alert", "AlertKind", "Notifier", "deliver", "open_notifiers"]
