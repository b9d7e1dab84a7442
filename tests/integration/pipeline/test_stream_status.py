"""`rag stream status` of a topic: with a worker, after its SIGKILL, and with the broker away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ports import free_port
from rag_core.database import Store
from rag_core.settings import Settings
from ragctl.app import run as run_command
from tests.support.kafka_broker import Broker, start_broker
from tests.support.models import model_home  # noqa: F401
from tests.support.postgres import die_with_parent
from tests.support.waiting import eventually

_SOURCE = """
type: rag_assets.components.DocumentSource
attributes:
  name: tickets
  tenant: acme
  acl: [everyone]
  options: {{kind: topic, brokers: "{brokers}", topic: tickets, session_timeout_ms: 2000}}
"""


@pytest.fixture
def own_broker() -> Iterator[Broker]:
    started = start_broker(free_port())
    yield started
    started.stop()


@pytest.fixture
def environment(
    store: Store,
    settings: Settings,
    own_broker: Broker,
    model_home: Path,  # noqa: F811
) -> dict[str, str]:
    """Of a worker and of the command, on the database of the test, with a source of one topic."""
    settings.effective_sources_dir.mkdir(parents=True)
    (settings.effective_sources_dir / "tickets.yaml").write_text(_SOURCE.format(brokers=own_broker.address))
    (settings.home / "models").symlink_to(model_home / "models")
    return {name: value for name, value in os.environ.items() if not name.startswith("RAG_")} | {
        "RAG_HOME": str(settings.home),
        "RAG_DATABASE_URL": settings.effective_database_url,
        "RAG_EMBEDDER": "fake",
        "RAG_STREAM_METRICS_PORT": str(free_port()),
        "RAG_STREAM_CANARY_SECONDS": "0",
        "RAG_STREAM_HEARTBEAT_SECONDS": "3",
    }


@pytest.fixture
def run(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The command, in this process: who waits for a status asks often, and a start takes a second."""
    for name, value in environment.items():
        if name.startswith("RAG_"):
            monkeypatch.setenv(name, value)

    def status(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        return run_command(["stream", "status", *arguments]), capsys.readouterr().out

    return status


@pytest.mark.timeout(300)
def test_status_shows_the_lag_of_a_topic_and_that_a_killed_worker_is_gone(
    own_broker: Broker, environment: dict[str, str], run: Callable[..., tuple[int, str]]
) -> None:
    said: dict[str, Any] = {}

    def status(until: Callable[[dict[str, Any]], object]) -> Callable[[], bool]:
        def ask() -> bool:
            code, out = run("--json")
            said.clear()
            said.update(json.loads(out))
            assert code == (0 if said["alive"] else 1)
            return bool(until(said))

        return ask

    own_broker.topic(name="tickets")
    own_broker.produce("tickets", *[(f"d{number}", {"text": f"Text {number}."}) for number in range(3)])
    assert status(lambda said: said["topics"] == {"kafka:tickets": 3} and not said["workers"])()

    command = [sys.executable, "-P", "-m", "rag_assets.stream_worker"]
    worker = subprocess.Popen(command, env=environment, preexec_fn=die_with_parent, stderr=subprocess.DEVNULL)
    try:
        applied = {"state": "running", "lag": 0, "lag_seconds": 0.0, "applied": 3}

        def through(said: dict[str, Any]) -> bool:
            topic = said["workers"][0]["details"].get("kafka:tickets", {}) if said["workers"] else {}
            return applied.items() <= topic.items()

        assert eventually(status(through), seconds=120), json.dumps(said["workers"])
        assert [one["worker"] for one in said["workers"]] == said["alive"]
        assert (said["workers"][0]["shown"], said["topics"]) == ("", {})
    finally:
        worker.kill()
        worker.wait(60)

    own_broker.produce("tickets", ("d3", {"text": "Text 3."}), ("d4", {"text": "Text 4."}))
    assert eventually(status(lambda said: not said["alive"]), seconds=120)
    assert said["topics"] == {"kafka:tickets": 2}
    assert said["workers"][0]["shown"].startswith("gone: no heartbeat for ")
    code, shown = run()
    assert code == 1
    assert "gone: no heartbeat" in " ".join(shown.split())
    assert "running" not in shown

    own_broker.stop()
    assert status(lambda said: said["topics"] == {"kafka:tickets": "unknown (BROKER_UNAVAILABLE)"})()
