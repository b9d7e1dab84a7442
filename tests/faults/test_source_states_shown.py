"""Every state of a source, made to happen on a whole local stack and read in the console.

States that pass quickly are made to last: the embedding endpoint and the list of an API answer when the test says so.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.faults.conftest import Console, signed_in
from tests.support.browser import IN_A_BROWSER
from tests.support.local_stack import LocalStack

pytestmark = [*IN_A_BROWSER, pytest.mark.faults, pytest.mark.timeout(3600)]
PATIENCE_MS = 600_000
HELD = "restricted"
"""Texts with this word are embedded when the test lets them."""
DELETED = 60
"""More than a source may lose at once without an operator."""


class Outside:
    """An embedding endpoint and a list of tickets that can be held."""

    def __init__(self) -> None:
        self.server = HTTPServer(host="127.0.0.1", port=0, threaded=True)
        self.embed, self.list = threading.Event(), threading.Event()
        self.server.expect_request("/v1/embeddings").respond_with_handler(self._embed)
        self.server.expect_request("/tickets").respond_with_handler(self._list)
        self.server.start()

    def _embed(self, request: Request) -> Response:
        texts = request.get_json()["input"]
        if any(HELD in text for text in texts):
            self.embed.wait()
        vectors = [[1.0, *(float(hash(text) >> bit & 1) for bit in range(7))] for text in texts]
        return _json({"data": [{"index": place, "embedding": vector} for place, vector in enumerate(vectors)]})

    def _list(self, request: Request) -> Response:
        if "look" not in request.args:
            self.list.wait()
        return _json([{"id": "1", "text": "The lift stands still."}])

    def close(self) -> None:
        self.embed.set()
        self.list.set()
        self.server.stop()


def _json(value: Any) -> Response:
    return Response(json.dumps(value), content_type="application/json")


class Operator:
    """Somebody with a console and a terminal."""

    def __init__(self, stack: LocalStack, page: Page, outside: Outside) -> None:
        self.stack, self.page, self.outside = stack, page, outside
        self.url = Console(stack, "").url

    def add(self, name: str, documents: dict[str, str], **more: Any) -> Path:
        """A folder that nothing syncs but the test, unless `more` says so."""
        folder = self.stack.folder / name
        folder.mkdir()
        for file, text in documents.items():
            (folder / file).write_text(text, "utf-8")
        self.configure(name, {"kind": "folder", "root": str(folder)}, **more)
        return folder

    def configure(self, name: str, options: dict[str, Any], **more: Any) -> None:
        attributes = {"name": name, "tenant": "default", "acl": ["everyone"], "sensor": None, "schedule": None,
                      "options": options, **more}  # fmt: skip
        document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
        (self.stack.home / "sources" / f"{name}.yaml").write_text(yaml.safe_dump(document), "utf-8")

    def rag(self, *arguments: str, code: int = 0) -> Any:
        found, printed = self.stack.rag(*arguments, seconds=1200)
        assert found == code, printed
        return printed

    def sees(self, name: str, state: str) -> None:
        """The console says so, and the command line too."""
        page, heading = self.page, self.page.get_by_role("heading", name=name, level=2)
        for _ in range(40):  # the page lists what Dagster has reported when it is opened
            page.goto(f"{self.url}/sources?source={name}")
            with suppress(AssertionError):
                expect(heading).to_be_visible(timeout=15_000)
                break
        expect(page.get_by_test_id("stMain").get_by_text(state).locator("visible=true").first).to_be_visible()
        (row,) = self.rag("source", "status", name)
        assert state in row["status"]


@pytest.fixture
def operator(browser: Browser) -> Iterator[Operator]:
    outside = Outside()
    stack = LocalStack(extra={
        "EMBEDDER": "openai", "EMBED_URL": outside.server.url_for("/v1"), "EMBED_MODEL": "m", "EMBED_DIMENSIONS": "8",
        "EMBED_TIMEOUT_SECONDS": "600", "EMBED_BATCH": "4", "FETCH_ALLOW_NETWORKS": "127.0.0.0/8",
        "FETCH_PORTS": str(outside.server.port), "FETCH_TIMEOUT_SECONDS": "3600",
    })  # fmt: skip
    try:
        (stack.docs / "first.md").write_text("# First\n\nSomething to begin with.\n", "utf-8")
        code, printed = stack.rag("up", "--docs", str(stack.docs), seconds=1800)
        assert code == 0, printed
        page = signed_in(browser, Console(stack, printed["console_account"]["password"]), height=1400)
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield Operator(stack, page, outside)
        page.context.close()
    finally:
        outside.close()
        stack.close()


def pages(count: int, text: Callable[[int], str] = lambda number: f"What page {number} says.") -> dict[str, str]:
    return {f"page-{number}.md": f"# Page {number}\n\n{text(number)}\n" for number in range(count)}


@pytest.mark.catalogue("A18")
def test_every_state_of_a_source_is_shown_in_the_console_as_on_the_command_line(operator: Operator) -> None:
    operator.add("atlas", pages(3))
    operator.add("prices", pages(2), freshness_minutes=1)
    operator.add("wiki", pages(2), sensor={"interval_seconds": 30})
    scans = operator.add("scans", pages(2))
    (scans / "broken.pdf").write_bytes(b"%PDF-1.7\nnot really")
    archive, minutes = operator.add("archive", pages(2)), operator.add("minutes", pages(DELETED))
    operator.rag("source", "reload")
    operator.sees("atlas", "new: not read yet")
    operator.rag("source", "sync")  # the sensor of `wiki` has its first run meanwhile
    operator.sees("atlas", "up to date")
    operator.sees("scans", "degraded: 1 quarantined")

    operator.rag("source", "pause", "wiki")
    operator.sees("wiki", "paused since")
    operator.rag("source", "resume", "wiki")
    operator.sees("wiki", "up to date")

    shutil.rmtree(archive)
    operator.rag("source", "sync", "archive", code=1)
    operator.sees("archive", ": UNREADABLE")
    for path in minutes.iterdir():
        path.unlink()
    operator.rag("source", "sync", "minutes", code=1)
    operator.sees("minutes", f"held for approval: {DELETED} deletions")
    operator.sees("prices", "stale since")

    operator.configure("tickets", {
        "kind": "api", "url": operator.outside.server.url_for("/tickets"), "poll_params": {"look": "1"},
        "fields": {"id": "$.id", "content": "$.text"},
    })  # fmt: skip
    operator.rag("source", "sync", "tickets", "--no-wait")
    operator.sees("tickets", "listing: 0 new or changed documents so far")
    operator.outside.list.set()
    operator.sees("tickets", "up to date")

    # What was written last comes first, so that some are embedded before those that are held.
    operator.add("library", pages(40, lambda number: f"{HELD if number < 20 else 'open'} shelf {number}"))
    operator.add("notes", pages(2, lambda number: f"Note {number}."))
    operator.rag("source", "sync", "library", "--no-wait")
    operator.sees("library", "embedding ")
    operator.rag("source", "sync", "notes", "--no-wait")
    operator.sees("notes", "waiting for embedding")
    operator.outside.embed.set()
    operator.sees("notes", "up to date")
    operator.sees("library", "up to date")
