from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rag_assets.connectors.http_api import connector as module
from rag_assets.connectors.http_api.connector import HttpApiConnector
from rag_assets.connectors.http_api.options import HttpApiOptions
from rag_assets.connectors.outside import ConnectorContext
from tests.support.sites import POLICY, Site, served_site  # noqa: F401

Connect = Callable[..., HttpApiConnector]


@pytest.fixture
def connect(site: Site) -> Iterator[Connect]:
    """A connector on `/items` whose items are at `$.data` with `id` and `body`; keywords are further options."""
    made: list[HttpApiConnector] = []
    module._POLLED.clear()

    def build(
        *, fields: dict[str, Any] | None = None, max_file_bytes: int = 1_000_000, **options: Any
    ) -> HttpApiConnector:
        given = {
            "kind": "api",
            "url": site.url("/items"),
            "items": "$.data",
            "fields": {"id": "$.id", "content": "$.body", **(fields or {})},
            "requests_per_second": 1000,
            **options,
        }
        parsed = HttpApiOptions.model_validate({name: value for name, value in given.items() if value is not None})
        made.append(HttpApiConnector(parsed, ConnectorContext(max_file_bytes, POLICY)))
        return made[-1]

    yield build
    for connector in made:
        connector.close()


def items(*ids: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"id": one, "body": f"The text of item {one}.", **more} for one in ids]
