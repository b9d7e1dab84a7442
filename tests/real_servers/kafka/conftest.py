"""Apache Kafka for the tests of this folder: the broker of `RAG_TEST_KAFKA`, or one that is started here."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.contract.stream.conftest import harness, topic  # noqa: F401
from tests.support.kafka.apache import start_cluster
from tests.support.kafka_broker import Broker
from tests.unit.rag_assets.stream_worker.conftest import stream  # noqa: F401


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One broker with Kafka's default settings for the session."""
    if given := os.environ.get("RAG_TEST_KAFKA"):
        yield Broker(given, session_timeout_ms=6000)
        return
    cluster = start_cluster()
    yield cluster.broker
    cluster.stop()
