"""Every kind of connector through the suite that is published for those who write one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from rag_assets.connectors.http_api import connector as http_api
from rag_assets.connectors.llama_index import connector as llama_index
from rag_assets.testing import ConnectorSuite, Place
from tests.contract.connectors.places import PLACES
from tests.support.sites import Site


class TestConnectors(ConnectorSuite):
    @pytest.fixture(params=PLACES)
    def place(self, request: pytest.FixtureRequest, tmp_path: Path, httpserver: HTTPServer) -> Place:
        return PLACES[request.param](tmp_path, Site(httpserver))

    def forget(self) -> None:
        for kept in (http_api._POLLED, llama_index._READ):  # they keep the tag of the last poll for some time
            kept.clear()
