"""The console's client of Dagster."""

from __future__ import annotations

from console.clients.errors import Breakers, ServiceError
from console.clients.http import http_client
from console.settings import ConsoleSettings
from rag_clients.dagster import DagsterClient, Trouble

NAME = "Dagster"


def dagster_client(settings: ConsoleSettings) -> DagsterClient:
    """One per process; its methods raise `ServiceError` (`DAGSTER_UNAVAILABLE`, `DAGSTER_REFUSED`)."""
    breakers = Breakers()
    return DagsterClient(
        settings.dagster_url,
        settings.dagster_location,
        http_client(settings.call_seconds),
        _error,
        lambda: breakers.call(NAME, "DAGSTER_UNAVAILABLE"),
    )


def _error(trouble: Trouble, message: str) -> ServiceError:
    code = "DAGSTER_REFUSED" if trouble is Trouble.REFUSED else "DAGSTER_UNAVAILABLE"
    return ServiceError(NAME, code, message.strip().partition("\n")[0], timed_out=trouble is Trouble.TIMEOUT)
