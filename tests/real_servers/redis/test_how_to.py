"""docs/how-to/share-limits.md on one machine: its commands, and a call that the rate-limit service decided about."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import httpx
import pytest

from benchmarks.ports import free_port
from tests.support.chart import CHART, ROOT, loaded
from tests.support.local_stack import LocalStack
from tests.support.monitoring import process

EXPORTER = shutil.which("prometheus-redis-exporter")
pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(900)]
PAGE = ROOT / "docs" / "how-to" / "share-limits.md"


def test_a_stack_with_a_redis_asks_the_service(redis_url: str) -> None:
    (local, _) = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert [line.partition(" ")[0] for line in local.splitlines()] == ["redis-server", "export", "rag"]
    (name, _) = re.findall(r"export (RAG_\w+)=(\S+)", local)[0]
    stack = LocalStack(extra={"EMBEDDER": "fake", name.removeprefix("RAG_"): redis_url})
    (stack.docs / "a.md").write_text("# Backups\n\nBackups are taken at three.\n", "utf-8")
    try:
        stack.up()
        code, status = stack.rag("status")
        assert code == 0
        assert {part["name"]: part["state"] for part in status["parts"]}["rate-limits"] == "healthy"
        token = (stack.home / "secrets" / "dev-token").read_text().strip()
        gateway = f"http://127.0.0.1:{stack.environment['RAG_GATEWAY_PORT']}"
        headers = {"authorization": f"Bearer {token}"}
        asked = httpx.post(
            f"{gateway}/api/v2/search", json={"query": "backups"}, headers=headers, trust_env=False, timeout=60
        )
        assert asked.status_code == 200
        port = stack.environment["RAG_RATE_LIMITS_METRICS_PORT"]
        shown = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=60).text
        (allowed,) = re.findall(r'decisions_total\{outcome="allowed"\} (\S+)', shown)
        assert float(allowed) >= 1
    finally:
        stack.close()


@pytest.mark.skipif(EXPORTER is None, reason="needs Debian's prometheus-redis-exporter")
def test_the_exporter_of_the_chart_s_example_reads_the_store_by_its_own_variables(
    redis_url: str, tmp_path: Path
) -> None:
    example = loaded((CHART / "examples" / "redis-exporter.yaml").read_text("utf-8"))
    (container,) = example["spec"]["template"]["spec"]["containers"]
    where = f"127.0.0.1:{free_port()}"
    values = {"REDIS_ADDR": redis_url, "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": where}
    environment = {one["name"]: values[one["name"]] for one in container["env"]}
    ready = f"http://{where}{container['readinessProbe']['httpGet']['path']}"
    with process([str(EXPORTER)], ready, tmp_path / "exporter.log", environment):
        shown = httpx.get(f"http://{where}/metrics", trust_env=False, timeout=60).text
    assert "redis_up 1" in shown
    named = re.findall(r"`(redis_\w+)`", (CHART / "examples" / "redis-exporter.yaml").read_text("utf-8"))
    assert [name for name in named if f"\n{name} " not in shown] == []
