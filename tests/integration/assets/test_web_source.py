"""A web site through Dagster."""

from __future__ import annotations

import pytest
from pytest_httpserver import HTTPServer

from rag_core.settings import Settings
from tests.integration.assets.conftest import Chain
from tests.support.sites import Site


@pytest.fixture
def prepared(prepared: Settings) -> Settings:
    """Settings whose sources may reach this machine."""
    return prepared.model_copy(update={"fetch_allow_networks": "127.0.0.0/8,::1/128", "fetch_ports": "1-65535"})


def test_the_outcomes_of_a_crawl_are_metadata_of_its_asset(chain: Chain, httpserver: HTTPServer) -> None:
    site = Site(httpserver)
    site.page("/", "The home page of the pump works.", links=["/a", "/b", "/missing"])
    site.page("/a", "Pump 7 needs oil every five days.")
    site.page("/b", "Not for others.", head='<meta name="robots" content="noindex">')
    chain.attributes["options"] = {"kind": "site", "seeds": [site.url("/")], "delay_seconds": 0}
    result = chain.run()
    assert result.success
    message = chain.metadata(result, "documents")
    found = {name: value for name, value in message.items() if name.startswith("crawl_")}
    assert found == {"crawl_indexed": 2, "crawl_excluded": 1, "crawl_failed": 1}
