from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rag_core.http_client import AddressRules, Fetcher, FetchPolicy
from rag_core.http_client.policy import FetchLimits

Open = Callable[..., Fetcher]
LOOPBACK = AddressRules.parse(["127.0.0.0/8"])
ANY_PORT = (range(1, 65_536),)


@pytest.fixture
def open_fetcher() -> Iterator[Open]:
    """Build fetchers that may reach this machine; keywords are limits, or `policy` and `resolver`."""
    made: list[Fetcher] = []

    def build(*, policy: FetchPolicy | None = None, resolver: Any = None, **limits: Any) -> Fetcher:
        chosen = policy or FetchPolicy(LOOPBACK, ANY_PORT, limits=FetchLimits(**{"seconds": 10, **limits}))
        made.append(Fetcher(chosen, **({"resolver": resolver} if resolver else {})))
        return made[-1]

    yield build
    for fetcher in made:
        fetcher.close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable that leads nowhere: a client that reads it fails."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
