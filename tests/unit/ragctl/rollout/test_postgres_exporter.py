"""The exporter of PostgreSQL, run as Compose and the chart run it, against the embedded server."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from benchmarks.ports import free_port
from rag_core.database import upgrade
from rag_core.database.embedded.server import EmbeddedPostgres
from tests.support.chart import ROOT
from tests.support.monitoring import EXPORTER, missing, postgres_exporter
from tests.support.postgres import die_with_parent, reachable_folder

_WHY = missing(EXPORTER)
_NAMES = re.compile(r"\bpg_[a-z_]+\b")
_PASSWORD = "change-me"


def documented_role() -> str:
    """The statement of the how-to page."""
    page = (ROOT / "docs" / "how-to" / "watch-the-database.md").read_text("utf-8")
    return page.partition("```sql\n")[2].partition("\n```")[0]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server with our schema that lets the documented role in, made by a superuser as the page says."""
    folder = reachable_folder()
    server = EmbeddedPostgres(folder / "postgres", free_port(), durable=False)
    server.init()
    with (server.data_dir.resolve() / "pg_hba.conf").open("a") as rules:
        rules.write("host all postgres 127.0.0.1/32 trust\nhost all rag_monitor 127.0.0.1/32 scram-sha-256\n")
    server.start(log=folder / "postgres.log", preexec=die_with_parent)
    upgrade(server.owner_url(), services="rag")
    with psycopg.connect(server.url().replace("rag@", "postgres@"), autocommit=True) as superuser:
        superuser.execute(documented_role())  # type: ignore[call-overload]
    yield server.port
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(_WHY is not None, reason=str(_WHY))
def test_a_role_that_reads_no_row_gives_every_metric_of_the_rules_and_panels(port: int, tmp_path: Path) -> None:
    with postgres_exporter(tmp_path, port, "rag_monitor", _PASSWORD) as address:
        page = httpx.get(f"http://{address}/metrics", timeout=60, trust_env=False).text
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    assert "pg_up 1" in lines
    failed = [line for line in lines if line.startswith("pg_scrape_collector_success") and not line.endswith(" 1")]
    assert failed == []
    texts = [json.loads(path.read_text("utf-8")) for path in (ROOT / "deploy" / "dashboards").glob("*.json")]
    texts.append((ROOT / "deploy" / "prometheus" / "rag.rules.yaml").read_text("utf-8"))
    named = {found for text in texts for found in _NAMES.findall(str(text))} - {"pg_terminate_backend"}
    assert len(named) > 8
    exported = {re.split(r"[{ ]", line)[0] for line in lines}
    assert named - exported - {"pg_stat_activity"} == set()


def test_that_role_may_not_read_documents(port: int) -> None:
    url = f"postgresql://rag_monitor:{_PASSWORD}@127.0.0.1:{port}/rag"
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM rag.documents")
