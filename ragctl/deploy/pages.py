"""Pages that servers and Envoy show over HTTP, read without a proxy and with little patience."""

from __future__ import annotations

import json
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

_SECONDS = 3.0
_open = build_opener(ProxyHandler({})).open


def fetch(url: str) -> str | None:
    """The page, None when there is none."""
    try:
        with _open(url, timeout=_SECONDS) as response:
            return str(response.read().decode("utf-8", "replace"))
    except (URLError, OSError, ValueError):
        return None


def fetch_counts(page: str) -> dict[str, int]:
    """Envoy's plain statistics, `name: number` a line."""
    pairs = (line.rpartition(": ") for line in page.splitlines())
    return {name: int(value) for name, _, value in pairs if value.isdecimal()}


def ready(server: str) -> str:
    """Why a query server is not ready to answer; empty when it is."""
    try:
        with _open(f"{server}/ready", timeout=_SECONDS):
            return ""
    except HTTPError as error:
        return f"{server} is not ready: {_reasons(error)}"
    except (URLError, OSError, ValueError):
        return f"{server} does not answer"


def _reasons(error: HTTPError) -> str:
    try:
        return ", ".join(map(str, json.loads(error.read())["reasons"]))
    except (ValueError, KeyError, TypeError, OSError):
        return f"HTTP {error.code}"
