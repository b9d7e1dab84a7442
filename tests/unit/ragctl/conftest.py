"""A gateway between tests and a scripted query server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragctl.gateway import GatewayOptions
from tests.support.wire import Gateway, gateway_options, running_gateway


@pytest.fixture
def options() -> GatewayOptions:
    """Options of a gateway whose backends are on free ports."""
    return gateway_options()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    """The gateway with a peer that answers at once and fails nothing."""
    running.reset()
    return running
