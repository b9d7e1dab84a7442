"""Limits of clients, from the settings, for the filters of each gateway and for the service that all share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings

DOMAIN = "rag-gateway"
"""The namespace of the descriptors that gateways send."""
MINUTE = 60
HOUR = 3600
UNLIMITED = 1_000_000
"""Calls a minute that no client reaches; such a limit is not counted."""
_OPERATORS = ("developer", "console", "bench")
"""Subjects of the tokens that the local stack makes for its own operator."""
_OVERRIDE = re.compile(r"\A([^/=,\s]+)/([^/=,]+)=(\d{1,9})(?::(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Override:
    """Other limits for one client. `tenant="*"` means the subject in every tenant."""

    tenant: str
    subject: str
    per_minute: int
    per_hour: int

    def means(self, tenant: str, subject: str) -> bool:
        """Return whether the rule is about this client."""
        return self.subject == subject and self.tenant in ("*", tenant)


@dataclass(frozen=True, slots=True)
class Window:
    """At most `calls` in any `seconds`."""

    name: str
    calls: int
    seconds: int


def overrides_of(settings: Settings) -> tuple[Override, ...]:
    """The configured overrides, and those of the local stack's own operator.

    Raises `ConfigError` (`CONFIG_INVALID`).
    """
    configured = tuple(_parsed(settings.gateway_limit_overrides))
    if settings.environment != "development":
        return configured
    return (*configured, *(Override("*", subject, UNLIMITED, UNLIMITED) for subject in _OPERATORS))


def shared_windows(settings: Settings, overrides: Iterable[Override], client: Mapping[str, str]) -> list[Window]:
    """The windows that a client is counted in; its descriptor has `tenant` and `subject`, or `key`.

    `overrides` are those of the settings (`overrides_of`), which a decision has no time to parse.

    As at the gateway: of several overrides that mean a client each holds, and a limit that is off is off for all.
    """
    general = [
        Window("minute", settings.gateway_client_per_minute, MINUTE),
        Window("hour", settings.gateway_client_per_hour, HOUR),
    ]
    meant = [one for one in overrides if one.means(client.get("tenant", ""), client.get("subject", ""))]
    found: list[Window] = []
    for window in general:
        if not window.calls:
            continue
        given = [one.per_minute if window.seconds == MINUTE else one.per_hour for one in meant]
        calls = max(1, min(given)) if given else window.calls
        if calls < UNLIMITED:
            found.append(Window(window.name, calls, window.seconds))
    return found


def _parsed(entries: Iterable[str]) -> Iterable[Override]:
    for entry in sorted(entries):
        found = _OVERRIDE.fullmatch(entry)
        if found is None:
            raise ConfigError(
                Reason.CONFIG_INVALID, "RAG_GATEWAY_LIMIT_OVERRIDES: entries like tenant/subject=per_minute:per_hour"
            )
        tenant, subject, minute, hour = found.groups()
        yield Override(tenant, subject, int(minute), int(hour or int(minute) * 60))
