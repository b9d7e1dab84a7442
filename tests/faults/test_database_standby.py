"""The whole stack on a PostgreSQL with a standby: the primary dies under pushes and questions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from tests.support.local_stack import LocalStack
from tests.support.standby import Pair, replicated
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

TAKES_OVER_SECONDS = 30


@pytest.fixture
def pair() -> Iterator[Pair]:
    with replicated() as servers:
        with psycopg.connect(servers.primary.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE platform")
        yield servers


@pytest.fixture
def stack(pair: Pair) -> Iterator[LocalStack]:
    running = LocalStack(extra={"EMBEDDER": "fake", "DATABASE_URL": pair.url("platform")})
    (running.docs / "oil.md").write_text("# Oil\n\nPumps need oil every week.\n", "utf-8")
    try:
        code, printed = running.rag("up", "--docs", str(running.docs), seconds=900)
        assert code == 0, printed
        yield running
    finally:
        running.close()


def test_no_acknowledged_push_is_lost_and_no_search_fails_when_the_primary_dies(pair: Pair, stack: LocalStack) -> None:
    acknowledged, refused, searches, over = [], [], [], threading.Event()

    def push(client: httpx.Client) -> None:
        number = 0
        while not over.is_set():
            number += 1
            body = {"locator": f"{number}.md", "text": f"# Part {number}", "acl": {"entries": ["everyone"]}}
            sent = client.post("/api/v1/documents", json=body)
            if sent.is_success:
                acknowledged.append((time.monotonic(), sent.json()["doc_id"]))
            else:
                refused.append((sent.status_code, sent.json()["details"][0]["reason"]))

    def ask(client: httpx.Client) -> None:
        while not over.is_set():
            searches.append(client.post("/api/v2/search", json={"query": "How often do pumps need oil?"}).status_code)

    with client_of(stack) as client:
        clients = [threading.Thread(target=work, args=(client,)) for work in (push, ask)]
        for one in clients:
            one.start()
        assert eventually(lambda: len(acknowledged) > 50)
        killed = time.monotonic()
        pair.kill_primary()
        assert eventually(lambda: refused)
        pair.promote()
        assert eventually(lambda: acknowledged[-1][0] > killed)
        taken = next(moment for moment, _ in acknowledged if moment > killed) - killed
        over.set()
        for one in clients:
            one.join()

        assert taken < TAKES_OVER_SECONDS
        assert set(refused) == {(503, "DATABASE_UNAVAILABLE")}
        assert set(searches) == {200}
        assert eventually(lambda: {document for _, document in acknowledged} <= searchable(client))
    code, report = stack.rag("verify")
    assert code == 0, report


def searchable(client: httpx.Client) -> set[str]:
    """Every pushed document that a search can find."""
    found, token = set[str](), ""
    while True:
        url = f"/api/v1/documents?source=push&page_size=500&page_token={token}"
        page = client.get(url).raise_for_status().json()
        found |= {one["doc_id"] for one in page["documents"] if one["searchable"]}
        token = page.get("next_page_token", "")
        if not token:
            return found


def client_of(stack: LocalStack) -> httpx.Client:
    scopes = [word for scope in ("documents.write", "documents.read", "query.read") for word in ("--scope", scope)]
    code, token = stack.rag("token", *scopes)
    assert code == 0, token
    return httpx.Client(
        base_url=f"http://127.0.0.1:{stack.environment['RAG_GATEWAY_PORT']}",
        headers={"authorization": f"Bearer {token['token']}"},
        trust_env=False,
        timeout=60,
    )
