"""One whole stack, as an operator runs it: up, ask, kill every part, kill the supervisor, down."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest

from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.processes import stack_processes
from ragproto.query.v2 import query_pb2, query_pb2_grpc
from tests.support.browser_page import PUBLIC, visit
from tests.support.local_stack import LocalStack
from tests.support.otlp import Collector, collector
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
QUESTION = "When are backups taken?"
_PATIENCE_SECONDS = 400


@pytest.fixture
def traces() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture
def stack(traces: Collector) -> Iterator[LocalStack]:
    running = LocalStack(extra={"EMBEDDER": "fake"})
    running.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = traces.url
    (running.docs / "backup.md").write_text("# Backups\n\nBackups are taken every night at three.\n", "utf-8")
    (running.docs / "备份.md").write_text("# 备份\n\n备份每天凌晨三点进行。\n", "utf-8")
    (running.docs / "broken.pdf").write_bytes(b"%PDF-1.7\nnot really")
    with (running.docs / "zeros.md").open("wb") as file:
        file.truncate(40 << 20)
    yield running
    running.close()


@pytest.mark.catalogue("A22")
def test_a_stack_answers_refuses_foreign_pages_survives_every_kill_and_leaves_nothing_behind(
    stack: LocalStack, traces: Collector
) -> None:
    _an_ingest_of_more_than_ten_minutes_is_not_waited_for(stack)
    _the_next_up_waits_for_what_is_under_way(stack)
    status = _healthy(stack)
    _what_each_part_takes_is_counted(stack)
    assert [(item["name"], item["documents"], item["quarantined"]) for item in status["platform"]["sources"]] == [
        ("docs", 2, 2)
    ]
    _every_interface_answers(stack)
    _the_page_for_callers_can_be_followed(stack)
    _the_page_on_openais_clients_can_be_followed(stack)
    _the_page_on_mcp_can_be_followed(stack)
    _the_page_on_budgets_can_be_followed(stack)
    run_page(stack, "use-openapi.md")
    _the_page_on_the_python_client_can_be_followed(stack)
    _the_page_on_traces_can_be_followed(stack, traces)
    _no_port_serves_a_page_of_another_site(stack)
    _a_second_up_changes_nothing(stack, status)
    _every_part_comes_back(stack, status)
    _the_next_up_recovers_from_a_killed_supervisor(stack)
    _every_interface_answers(stack)
    _down_leaves_nothing(stack)


def _what_each_part_takes_is_counted(stack: LocalStack) -> None:
    code, report = stack.rag("bench", "idle", "--seconds", "1")
    assert code == 0
    parts = {row[0] for row in report["tables"][0]["rows"]}
    assert {"postgres", "query-server", "dagster-daemon", "gateway", "all"} <= parts
    assert {target["what"] for target in report["targets"]} == {"percent of a core", "memory, MB"}


def _an_ingest_of_more_than_ten_minutes_is_not_waited_for(stack: LocalStack) -> None:
    """As 40 MB of Markdown would be one."""
    code, started = stack.rag("up", "--docs", str(stack.docs), seconds=_PATIENCE_SECONDS)
    assert code == 0, started
    assert started["estimate"]["seconds"] > 600
    assert started["ingest"] == {}


def _the_next_up_waits_for_what_is_under_way(stack: LocalStack) -> None:
    code, done = stack.rag("up", seconds=_PATIENCE_SECONDS)
    assert code == 0, done
    assert done["estimate"] is None
    assert done["ingest"].get("docs", "SUCCESS") == "SUCCESS", "none when the run was quicker than the command"


def _healthy(stack: LocalStack) -> dict[str, Any]:
    """The status once everything is healthy, as the command says it."""
    said: dict[str, Any] = {}

    def healthy() -> bool:
        if not stack.status()["healthy"]:  # before the command, whose start takes a second
            return False
        code, status = stack.rag("status")
        said.update(status)
        return code == 0

    assert eventually(healthy, seconds=_PATIENCE_SECONDS), said or stack.status()
    assert said["healthy"]
    return said


def _pids(status: dict[str, Any]) -> dict[str, int]:
    return {part["name"]: part["pid"] for part in status["parts"]}


def _every_interface_answers(stack: LocalStack) -> None:
    gateway = f"127.0.0.1:{stack.environment['RAG_GATEWAY_PORT']}"
    token = (stack.home / "secrets" / "dev-token").read_text().strip()
    code, found = stack.rag("query", QUESTION, "--search")
    assert code == 0, found
    assert "backup.md" in {passage["locator"] for passage in found["passages"]}
    with httpx.Client(base_url=f"http://{gateway}", timeout=30, trust_env=False) as client:
        headers = {"authorization": f"Bearer {token}"}
        assert client.post("/api/v1/query", json={"query": QUESTION}, headers=headers).json()["sources"]
        assert client.post("/api/v1/query", json={"query": QUESTION}).status_code == 401
        with client.stream("POST", "/api/v2/answer", json={"query": QUESTION}, headers=headers) as response:
            assert [line for line in response.iter_lines() if line][-1].startswith('data: {"final"')
        assert client.get("/ready").json()["ready"]
    with grpc.insecure_channel(gateway) as channel:
        stub = query_pb2_grpc.QueryServiceStub(channel)
        metadata = [("authorization", f"Bearer {token}")]
        response = stub.Search(query_pb2.SearchRequest(query="备份"), metadata=metadata, timeout=30)
        assert {passage.source for passage in response.passages} <= {"docs", "push", "notes"}  # the guides pushed some
        assert "docs" in {passage.source for passage in response.passages}
    console = f"http://127.0.0.1:{stack.environment['RAG_CONSOLE_PORT']}"
    assert httpx.get(f"{console}/_stcore/health", trust_env=False, timeout=60).text == "ok"


def _the_page_for_callers_can_be_followed(stack: LocalStack) -> None:
    """From the token to the streamed answer, each command as docs/how-to/call-the-api.md prints it."""
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "call-the-api.md").read_text("utf-8")
    page = page.replace("127.0.0.1:8080", f"127.0.0.1:{stack.environment['RAG_GATEWAY_PORT']}")
    token, *calls = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "grpcurl" not in block]
    environment = stack.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = "\n".join(["set -euo pipefail", token, *calls])
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"code":' not in done.stdout
    assert all(part in done.stdout for part in ('"doc_id"', '"answer"', '"passages"', 'data: {"final"', ": revoked"))


def _the_page_on_openais_clients_can_be_followed(stack: LocalStack) -> None:
    """Its programs as they stand there, one after the other; those for a library that is not installed are left out."""
    printed = run_page(stack, "use-openai-clients.md")
    assert "Backups are taken every night at three. [1]" in printed
    assert "[1] Backups" in printed, "retrieval-only"
    assert "completed Leave" in printed
    assert printed.strip().endswith("Parental leave lasts 16 weeks."), "the retriever of LangChain"


def _the_page_on_budgets_can_be_followed(stack: LocalStack) -> None:
    printed = run_page(stack, "set-budgets.md")
    assert "0 of 10,000" in printed
    assert '"calls_per_day":"10000"' in printed
    assert "budget of 1 calls a day is used up; it renews at" in printed
    assert '"reason":"QUOTA_EXCEEDED"' in printed


def _the_page_on_mcp_can_be_followed(stack: LocalStack) -> None:
    printed = run_page(stack, "use-mcp.md")
    assert f'"RAG_HOME": "{stack.home}"' in printed
    assert "Backups are taken every night at three. [1]" in printed
    assert "['search', 'answer', 'get_document', 'list_sources']" in printed
    assert "rag://documents/" in printed


def _the_page_on_the_python_client_can_be_followed(stack: LocalStack) -> None:
    printed = run_page(stack, "use-the-python-client.md")
    assert "Backups are taken every night at three. [1]" in printed
    assert "backup.md" in printed
    assert "QUERY_EMPTY" in printed


def _the_page_on_traces_can_be_followed(stack: LocalStack, traces: Collector) -> None:
    """A question down to each leg of its retrieval, and a push down to its write; and the run of the first ingest.

    The viewer, 150 packages, is not installed: a collector of the test stands for it, and its own test is in
    tests/real_servers/traces.
    """
    printed = run_page(stack, "trace-a-request.md", without="rag up --traces\n")
    question, push = re.findall(r"/redirects/traces/([0-9a-f]{32})", printed)
    for trace, service, name in (
        (question, "rag-gateway", "ragproto.query.v2.QueryService/Search"),
        (question, "rag-query-server", "search"),
        (question, "rag-index", "dense leg"),
        (question, "rag-index", "lexical leg"),
        (push, "rag-stream", "process inbox"),
        (push, "rag-stream", "index write"),
        (push, "rag-index", "ragproto.admin.v1.IndexService/Apply"),
    ):
        assert eventually(lambda: (service, name) in _sent(traces, trace), seconds=120), _sent(traces, trace)  # noqa: B023
    assert eventually(lambda: any(one == "rag-dagster" for one, _ in traces.spans), seconds=120)


def _sent(traces: Collector, trace: str) -> set[tuple[str, str]]:
    """Service and name of the spans of a trace that came."""
    return {(service, span.name) for service, span in traces.of_trace(trace)}


def run_page(stack: LocalStack, name: str, *, without: str = "") -> str:
    """What the commands and programs of a how-to page print, over this stack; a text of it may be left out."""
    page = (Path(__file__).parents[3] / "docs" / "how-to" / name).read_text("utf-8")
    assert without in page
    page = page.replace(without, "")
    for port, setting in (("8080", "RAG_GATEWAY_PORT"), ("4318", "RAG_TRACES_PORT")):
        page = page.replace(f"127.0.0.1:{port}", f"127.0.0.1:{stack.environment[setting]}")
    commands = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    program = "\n".join(one for one in programs if all(map(_installed, re.findall(r"(?m)^from (\w+)", one))))
    script = "\n".join(["set -euo pipefail", *commands, f"{sys.executable} - <<'PROGRAM'\n{program}\nPROGRAM"])
    environment = stack.environment | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[3] / "clients" / "python" / "src"),
    }
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment,
        cwd=stack.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _installed(package: str) -> bool:
    return find_spec(package) is not None


def _a_second_up_changes_nothing(stack: LocalStack, status: dict[str, Any]) -> None:
    wrong = stack.home / "sources" / "wrong.yaml"
    wrong.write_text("type: rag_assets.components.DocumentSource\nattributes: {name: wrong, options: {kind: folder}}\n")
    code, again = stack.rag("up")
    wrong.unlink()
    assert code == 7, "a source that is left out is a part that is not done"
    assert {"wrong.yaml" in said for said in again["left_out"]} == {True}, "each problem names its file"
    assert again["ingest"] == {}
    assert _pids(_healthy(stack)) == _pids(status)


def _every_part_comes_back(stack: LocalStack, status: dict[str, Any]) -> None:
    before = _pids(status)
    for pid in before.values():
        psutil.Process(pid).kill()
    gone = set(before.values())
    assert eventually(lambda: not gone & set(_pids(stack.status()).values()), seconds=_PATIENCE_SECONDS)
    assert all(part["restarts"] >= 1 for part in _healthy(stack)["parts"])


def _the_next_up_recovers_from_a_killed_supervisor(stack: LocalStack) -> None:
    home = DataDir(stack.home)
    psutil.Process(int((home.runtime / "supervisord.pid").read_text())).kill()
    code, printed = stack.rag("up", seconds=_PATIENCE_SECONDS)
    assert code == 0, printed
    _healthy(stack)


def _no_port_serves_a_page_of_another_site(stack: LocalStack) -> None:
    """Every port that a process of the stack listens on is in the table of docs/explanation/security.md."""
    page = (Path(__file__).parents[3] / "docs" / "explanation" / "security.md").read_text("utf-8")
    settings = stack.listening()
    assert {"RAG_GATEWAY_PORT", "RAG_DAGSTER_PORT", "RAG_POSTGRES_PORT"} <= set(settings.values())
    for port, setting in settings.items():
        assert f"`{setting}`" in page, f"port {port}"
        for answer in visit(port):
            assert not answer.readable, (setting, answer)
            # A picture from another site may load: the page does not see what is in it.
            may = answer.way == "picture" and setting != "RAG_DAGSTER_PORT"
            may |= answer.way in {"picture", "rebound"} and answer.path in PUBLIC
            may |= answer.way == "question"  # and none is answered with a permission
            assert not answer.succeeded or may, (setting, answer)
    _healthy(stack)


def _down_leaves_nothing(stack: LocalStack) -> None:
    home = DataDir(stack.home)
    state = home.read_state()
    assert state is not None
    assert stack.rag("down") == (0, {"stopped": True})
    assert stack_processes(state.stack_id) == []
    assert not home.runtime.exists()
    assert stack.rag("down") == (0, {"stopped": False})
