"""Every panel of the dashboards, asked of a Prometheus that has watched a whole stack at work."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import generate_monitoring
import httpx
import pytest
from playwright.sync_api import expect
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from benchmarks.ports import free_port
from tests.support.browser import CHROMIUM, NEEDS, chromium, running_app
from tests.support.local_stack import LocalStack
from tests.support.monitoring import EXPORTER, missing, postgres_exporter, prometheus
from tests.support.pictures import Camera

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(1800)]
_WHY = missing("prometheus", EXPORTER) or (None if CHROMIUM else NEEDS)
JOBS = {"query-server": "METRICS", "gateway": "GATEWAY_METRICS", "stream": "STREAM_METRICS"}
WATCHED_SECONDS = 420


class Panel(NamedTuple):
    """One query of a panel."""

    board: str
    title: str
    query: str
    quiet: bool


def panels() -> Iterator[Panel]:
    for board in generate_monitoring.read(generate_monitoring.BOARDS):
        for panel in board["panels"]:
            for query in panel["queries"].values():
                yield Panel(board["file"], panel["title"], query.replace("$range", "1m"), "quiet" in panel)


FAILS = (10, 20, 30)
"""Calls of a model endpoint that fail: as many as no alert comes of."""
WRITTEN = (
    {"choices": [{"delta": {"content": "Pump 1 needs oil every 3 days. [1]"}}]},
    {"choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 9}},
)


@pytest.fixture
def model_endpoints(httpserver: HTTPServer) -> dict[str, str]:
    """A chat and a rerank endpoint, as settings."""
    calls: Counter[str] = Counter()

    def answer(request: Request) -> Response:
        body = json.loads(request.get_data())
        calls[request.path] += 1
        if calls[request.path] in FAILS:
            return Response("no", status=500)
        if "texts" in body:
            return Response(json.dumps([{"index": at, "score": 0.5} for at, _ in enumerate(body["texts"])]))
        events = "".join(f"data: {json.dumps(event)}\n\n" for event in WRITTEN)
        return Response(f"{events}data: [DONE]\n\n", content_type="text/event-stream")

    for path in ("/v1/chat/completions", "/rerank"):
        httpserver.expect_request(path, method="POST").respond_with_handler(answer)
    chat = {"ANSWERER": "openai", "ANSWER_URL": httpserver.url_for("/v1"), "ANSWER_MODEL": "m"}
    return {**chat, "RERANKER_URL": httpserver.url_for("/rerank"), "RERANKER_SHAPE": "tei"}


@pytest.fixture
def stack(model_endpoints: dict[str, str]) -> Iterator[LocalStack]:
    often = {"STREAM_REPORT_SECONDS": "2", "STREAM_CANARY_SECONDS": "5", "GATEWAY_METRICS_PORT": str(free_port())}
    stack = LocalStack(extra={**often, **model_endpoints})
    for number in range(5):
        (stack.docs / f"pump-{number}.md").write_text(
            f"# Pump {number}\n\nPump {number} needs oil every {number + 2} days.\n"
        )
    yield stack
    stack.close()


ANSWERED = {200, 503, 504}
"""Beside other work a call may run out of time; the panels show the others."""


class Load:
    """Calls of every kind through the gateway, a refused one and a push included."""

    def __init__(self, stack: LocalStack, programs: ExitStack) -> None:
        token = (stack.home / "secrets" / "dev-token").read_text("utf-8").strip()
        address = f"http://127.0.0.1:{stack.environment['RAG_GATEWAY_PORT']}"
        headers = {"authorization": f"Bearer {token}"}
        client = httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False)
        self._http = programs.enter_context(client)
        self._numbers = itertools.count()

    def round(self) -> None:
        number = next(self._numbers)
        question = {"query": f"How often does pump {number} need oil?"}
        for path in ("/api/v1/query", "/api/v2/search", "/api/v2/answer"):
            assert self._post(path, question) in ANSWERED
        assert self._post("/api/v2/search", {"query": ""}) in {400, 504}
        pushed = {"locator": f"p{number}.md", "text": f"Valve {number} is red.", "acl": {"entries": ["everyone"]}}
        assert self._post("/api/v1/documents", pushed) in ANSWERED

    def _post(self, path: str, body: dict[str, Any]) -> int:
        return self._http.post(path, json=body).status_code


def ask(url: str, query: str) -> list[Any]:
    """The series of an instant query. Fails when Prometheus does not understand it."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query}, timeout=30, trust_env=False).json()
    assert answer["status"] == "success", (query, answer)
    return answer["data"]["result"]  # type: ignore[no-any-return]


def has_data(url: str, query: str) -> bool:
    return any(not math.isnan(float(series["value"][1])) for series in ask(url, query))


def read_boards(url: str, seconds: float) -> dict[str, Any]:
    """What the panels of each dashboard show of the last seconds, for `board_page.py`."""
    boards = {}
    for board in generate_monitoring.read(generate_monitoring.BOARDS):
        panels = [
            {"title": panel["title"], "unit": panel["unit"], "quiet": panel.get("quiet")}
            | {"points": [point for query in panel["queries"].items() for point in points(url, query, seconds)]}
            for panel in board["panels"]
        ]
        boards[board["file"]] = {"title": board["title"], "panels": panels}
    return boards


def points(url: str, query: tuple[str, str], seconds: float) -> Iterator[dict[str, Any]]:
    legend, expression = query
    now = time.time()
    span: dict[str, str | float] = {"start": now - seconds, "end": now, "step": 3}
    parameters = {"query": expression.replace("$range", "1m"), **span}
    answer = httpx.get(f"{url}/api/v1/query_range", params=parameters, timeout=60, trust_env=False).json()
    for series in answer["data"]["result"]:
        name = legend
        for label, text in series["metric"].items():
            name = name.replace(f"{{{{{label}}}}}", text)
        shown = ((at, float(value)) for at, value in series["values"])
        yield from ({"series": name, "at": at * 1000, "value": value} for at, value in shown if math.isfinite(value))


def check_pictures(folder: Path, boards: dict[str, Any]) -> None:
    """Draw each dashboard, and hold that what has data is drawn. `make screenshots` keeps the pictures."""
    (folder / "boards.json").write_text(json.dumps(boards))
    camera, page_script = Camera("dashboards"), Path(__file__).with_name("board_page.py")
    with running_app(folder, page_script, arguments=[str(folder / "boards.json")]) as address, chromium() as browser:
        for name, board in boards.items():
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(180_000)
            page.goto(f"{address}/?board={name}")
            drawn = page.get_by_test_id("stVegaLiteChart").locator("canvas, svg")
            expect(drawn).to_have_count(sum(map(bool, map(itemgetter("points"), board["panels"]))), timeout=180_000)
            whole = page.get_by_test_id("stVerticalBlock").first.bounding_box()
            assert whole is not None
            page.set_viewport_size({"width": 1280, "height": int(whole["y"] + whole["height"]) + 20})
            camera.take(page, name, whole)
            page.close()


@pytest.mark.skipif(_WHY is not None, reason=str(_WHY))
def test_every_panel_shows_something_of_a_stack_at_work(stack: LocalStack, tmp_path: Path) -> None:
    stack.up(seconds=900)
    ports = stack.environment
    targets = {job: f"127.0.0.1:{ports[f'RAG_{name}_PORT']}" for job, name in JOBS.items()}
    with ExitStack() as programs:
        targets["postgres"] = programs.enter_context(
            postgres_exporter(tmp_path, int(ports["RAG_POSTGRES_PORT"]), "rag")
        )
        url = programs.enter_context(prometheus(tmp_path, targets))
        load, began, deadline = Load(stack, programs), time.time(), time.monotonic() + WATCHED_SECONDS
        left = [panel for panel in panels() if not panel.quiet]
        while left and time.monotonic() < deadline:
            load.round()
            left = [panel for panel in left if not has_data(url, panel.query)]
        assert left == []
        read = ask(url, "max_over_time(up[1h]) == 1")
        assert {series["metric"]["job"] for series in read} == targets.keys()
        for panel in panels():
            ask(url, panel.query)
        check_pictures(tmp_path, read_boards(url, time.time() - began))
        assert ask(url, 'ALERTS{alertstate="firing", alertname!~"Rag(ErrorBudgetBurns|SearchSlow|IndexStale)"}') == []
