"""Traces in the shape of Jaeger's query API: of the store of `rag up --traces`, or of a Jaeger."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from console.clients.errors import ServiceError
from console.clients.http import http_client
from console.settings import ConsoleSettings

NAME = "traces"
MAX_SPANS = 500
"""Of one trace that a page shows; the ingest of a large source has thousands."""
_TRACE_ID = re.compile(r"[0-9a-f]{1,32}")


@dataclass(frozen=True, slots=True)
class Span:
    """A span. `started` is in seconds since 1970, `seconds` is how long it took; `parent` is empty for a root."""

    span_id: str
    parent: str
    service: str
    name: str
    started: float
    seconds: float
    failed: bool
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace and its spans in the order in which they began; `more` spans are left out."""

    trace_id: str
    spans: tuple[Span, ...]
    more: int = 0


class TracesClient:
    """One per process; thread-safe. Every method raises `ServiceError` (`TRACES_UNAVAILABLE`)."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._url = (settings.traces_url or "").rstrip("/")
        self._http = http_client(settings.call_seconds)

    @property
    def configured(self) -> bool:
        """Whether there is anything to read from."""
        return bool(self._url)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def services(self) -> list[str]:
        """Names of the services that have traces."""
        return sorted(map(str, self._get("services")))

    def search(self, service: str, *, limit: int, least_ms: float = 0) -> list[Trace]:
        """The newest traces with a span of a service that took at least so long."""
        asked: dict[str, str | int] = {"service": service, "limit": limit, "lookback": "2d"}
        if least_ms:
            asked["minDuration"] = f"{least_ms:.3f}ms"
        found = [_trace(one) for one in self._get("traces", **asked)]
        return sorted(found, key=lambda trace: -trace.spans[0].started if trace.spans else 0)

    def trace(self, trace_id: str, *, most: int | None = MAX_SPANS) -> Trace | None:
        """One trace, with `most` spans or all; `None` when there is none of this id, or it is not kept any more."""
        wanted = trace_id.strip().lower()
        found = self._get(f"traces/{quote(wanted)}") if _TRACE_ID.fullmatch(wanted) else []
        return _trace(found[0], most) if found else None

    def _get(self, what: str, **params: str | int) -> list[Any]:
        try:
            response = self._http.get(f"{self._url}/api/{what}", params=params)
            if response.status_code == httpx.codes.NOT_FOUND:
                return []
            found = response.raise_for_status().json()["data"] or []
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            raise ServiceError(NAME, "TRACES_UNAVAILABLE") from None
        return list(found)


def _trace(found: dict[str, Any], most: int | None = MAX_SPANS) -> Trace:
    try:
        services = {key: str(process["serviceName"]) for key, process in found["processes"].items()}
        spans = sorted((_span(one, services) for one in found["spans"]), key=lambda one: (one.started, -one.seconds))
        if not _TRACE_ID.fullmatch(str(found["traceID"])):
            raise ValueError  # it is shown as a heading
        shown = tuple(spans[:most])
        return Trace(str(found["traceID"]), shown, len(spans) - len(shown))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ServiceError(NAME, "TRACES_UNAVAILABLE") from None


def _span(found: dict[str, Any], services: dict[str, str]) -> Span:
    attributes = {str(tag["key"]): str(tag["value"]) for tag in found.get("tags") or ()}
    parents = [str(one["spanID"]) for one in found.get("references") or () if one.get("refType") == "CHILD_OF"]
    return Span(
        span_id=str(found["spanID"]),
        parent=parents[0] if parents else "",
        service=services[found["processID"]],
        name=str(found["operationName"]),
        started=int(found["startTime"]) / 1e6,
        seconds=int(found["duration"]) / 1e6,
        failed=attributes.pop("error", "").lower() == "true",
        attributes=attributes,
    )
