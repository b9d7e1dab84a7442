"""A snapshot of Qdrant comes back older than the rows and without the alias. The server's part is played."""

from __future__ import annotations

import copy
import json
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rag_core.content.parsing import Parser
from rag_core.database import Store
from rag_core.ingestion.promotion import promote
from rag_core.ingestion.verify import repair, verify
from rag_core.retrieval.engines.qdrant.collections import Installation
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.settings import Settings
from tests.support.pipeline import PipelineHarness
from tests.support.qdrant_server import StandIn
from tests.support.qdrant_snapshots import commands, run

NAME = "acme_g1-7-2026.snapshot"


def collections(server: StandIn) -> dict[str, Any]:
    """What the server keeps, by name."""
    return server._client.collections  # type: ignore[attr-defined,no-any-return]


def test_what_came_back_is_brought_to_the_rows_before_readers_come_back(
    store: Store, settings: Settings, parser: Parser
) -> None:
    server, mine = StandIn(), Installation("acme", "id")
    flow = PipelineHarness(store, QdrantIndex(server, lambda: mine), parser, settings)
    for name in ("kept", "removed"):
        flow.connector.put(f"{name}.txt", f"The {name} walrus sleeps.")
    flow.run()
    generation = str(flow.index.alias())
    snapshot = copy.deepcopy(collections(server)[f"acme_{generation}"])
    del flow.connector.items["removed.txt"]
    flow.connector.put("later.txt", "The later walrus sleeps.")
    flow.run()
    collections(server)[f"acme_{generation}"] = snapshot
    server._client.aliases.clear()  # type: ignore[attr-defined]

    index = QdrantIndex(server, lambda: mine)
    assert index.alias() is None
    report = verify(store, index, generation)
    assert not report.clean
    repair(store, index, report, actor="acme/ann")
    promote(store, index, generation, settings, actor="test")
    assert verify(store, index).clean
    assert {point.payload.locator for page in index.scroll(generation) for point in page} == {"kept.txt", "later.txt"}


class _Rest(BaseHTTPRequestHandler):
    """The part of Qdrant's REST interface that has to do with snapshots."""

    asked: list[tuple[str, str]]
    uploaded: bytes

    def _answer(self, body: bytes) -> None:
        type(self).asked.append((self.command, self.path))
        self.send_response(200 if self.headers["api-key"] == "key" else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(b"every point")

    def do_DELETE(self) -> None:
        self._answer(b"{}")

    def do_POST(self) -> None:
        type(self).uploaded = self.rfile.read(int(self.headers["content-length"] or 0))
        self._answer(json.dumps({"result": {"name": NAME}}).encode() + b"\n")

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def rest() -> Iterator[int]:
    _Rest.asked, _Rest.uploaded = [], b""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Rest)
    threading.Thread(target=server.serve_forever).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq on PATH")
def test_the_commands_of_the_page_run(rest: int, tmp_path: Path) -> None:
    rag = tmp_path / "rag"
    rag.write_text('#!/bin/sh\necho "rag $*"\n')
    rag.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "QDRANT_REST": f"http://127.0.0.1:{rest}",
        "RAG_QDRANT_PREFIX": "acme",
        "RAG_QDRANT_API_KEY": "key",
        "GENERATION": "g1",
    }
    taking, restoring = commands()
    run(taking, tmp_path, environment)
    said = run(restoring, tmp_path, environment)
    assert _Rest.asked == [
        ("POST", "/collections/acme_g1/snapshots?wait=true"),
        ("GET", f"/collections/acme_g1/snapshots/{NAME}"),
        ("DELETE", f"/collections/acme_g1/snapshots/{NAME}?wait=true"),
        ("POST", "/collections/acme_g1/snapshots/upload?priority=snapshot&wait=true"),
    ]
    assert b"every point" in _Rest.uploaded
    assert [line for line in said.splitlines() if line.startswith("rag ")] == [
        "rag verify g1 --repair",
        "rag index promote g1",
        "rag verify",
    ]
