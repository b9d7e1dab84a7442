"""Fixtures for every test: the shared PostgreSQL, and an environment in which nothing of the caller's is set."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator

import pytest

pytest_plugins = ["tests.support.postgres", "tests.support.flow"]

# Where nothing may write bytecode, every worker and each of the hundreds of processes that tests start would compile
# all it imports (`make` sees to the same).
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell that runs the suite in the background has it ignore SIGINT. Its children inherit that, and Dagster gives
# SIGTERM the meaning of SIGINT: they could not be ended.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays, millions of objects: nobody searches it for garbage, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that may take many minutes come first, so that no worker is left with one when the others have ended."""
    items.sort(key=lambda item: -max((mark.args[0] // 300 for mark in item.iter_markers("timeout")), default=0))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No `RAG_*` setting of the developer's shell may change what a test proves."""
    for name in [name for name in os.environ if name.startswith("RAG_") and not name.startswith("RAG_TEST_")]:
        monkeypatch.delenv(name)
    # Tests of endpoints use servers of this machine; what leaves for others is what tests of egress are about.
    monkeypatch.setenv("RAG_EGRESS_INSIDE", "127.0.0.1,localhost")
