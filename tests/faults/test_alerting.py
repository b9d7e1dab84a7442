"""deploy/ monitors a whole stack: that a query server is gone reaches the webhook, and so does its return."""

from __future__ import annotations

import json
import queue
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from benchmarks.ports import free_port
from tests.support.local_stack import RAG, LocalStack
from tests.support.monitoring import missing, running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
_WHY = missing()


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    stack = LocalStack(extra={"GATEWAY_METRICS_PORT": str(free_port())})
    yield stack
    stack.close()


def wait_for(received: queue.Queue[tuple[str, str]], status: str, name: str) -> None:
    while received.get(timeout=900) != (status, name):
        pass


@pytest.mark.skipif(_WHY is not None, reason=str(_WHY))
def test_the_alert_of_a_dead_query_server_arrives_and_is_taken_back(
    stack: LocalStack, httpserver: HTTPServer, tmp_path: Path
) -> None:
    received: queue.Queue[tuple[str, str]] = queue.Queue()

    def take(request: Request) -> Response:
        for alert in json.loads(request.data)["alerts"]:
            received.put((alert["status"], alert["labels"]["alertname"]))
        return Response(status=204)

    httpserver.expect_request("/alerts").respond_with_handler(take)
    (stack.docs / "oil.md").write_text("# Oil\n\nThe pump needs oil every week.\n")
    stack.up()
    ports = {name: stack.environment[f"RAG_{name}_PORT"] for name in ("METRICS", "GATEWAY_METRICS", "STREAM_METRICS")}
    jobs = {"query-server": "METRICS", "gateway": "GATEWAY_METRICS", "stream": "STREAM_METRICS"}
    targets = {job: f"127.0.0.1:{ports[name]}" for job, name in jobs.items()}
    with running(tmp_path, targets, httpserver.url_for("/alerts")) as prometheus:

        def healthy() -> set[str]:
            found = httpx.get(f"{prometheus}/api/v1/query", params={"query": "up == 1"}, timeout=10).json()
            return {item["metric"]["job"] for item in found["data"]["result"]}

        while healthy() != targets.keys():  # the test's own timeout ends this
            time.sleep(0.5)
        control = [str(Path(RAG).with_name("supervisorctl")), "-c", str(stack.home / "run" / "supervisord.conf")]
        subprocess.run([*control, "stop", "query-server"], check=True, capture_output=True)
        wait_for(received, "firing", "RagNoQueryServer")
        subprocess.run([*control, "start", "query-server"], check=True, capture_output=True)
        wait_for(received, "resolved", "RagNoQueryServer")
