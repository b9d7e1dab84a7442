"""A gateway between tests and a scripted query server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.settings import Settings
from ragctl.gateway.options import GatewayOptions
from ragctl.tokens import ensure_keys
from tests.support.wire import Gateway, WirePeer, gateway_options, running_gateway, wire_peer


@pytest.fixture
def options() -> GatewayOptions:
    """Options of a gateway whose backends are on free ports."""
    return gateway_options()


@pytest.fixture
def settings_with_keys(tmp_path: Path) -> Settings:
    """The default settings in a home that has a key pair."""
    settings = Settings(home=tmp_path)
    settings.secrets_dir.mkdir()
    ensure_keys(settings)
    return settings


@pytest.fixture
def peer(settings_with_keys: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[WirePeer]:
    """The server that commands ask."""
    with wire_peer() as started:
        monkeypatch.setenv("RAG_HOME", str(settings_with_keys.home))
        monkeypatch.setenv("RAG_GATEWAY_PORT", str(started.port))
        yield started


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    """The gateway with a peer that answers at once and fails nothing."""
    running.reset()
    return running
