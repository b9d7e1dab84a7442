"""The chat server of this process; tests/real_servers/chat runs the same contract over a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.chat_server import ScriptedServer, scripted_server


@pytest.fixture
def chat_server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server
