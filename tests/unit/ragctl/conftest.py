"""A gateway between tests and a scripted query server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.settings import Settings
from ragctl.gateway.options import GatewayOptions
from ragctl.tokens import ensure_keys
from tests.support.wire import Gateway, gateway_options, running_gateway


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


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    """The gateway with a peer that answers at once and fails nothing."""
    running.reset()
    return running
