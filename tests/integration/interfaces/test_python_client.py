"""The published Python client, sync and async, over the real gateway; its retries; its wheel."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer
from rag_platform_client import AsyncClient, Client, RagConnectionError, RagError, Retries
from rag_platform_client.errors import RETRIED
from werkzeug import Request, Response

from rag_core.errors import Reason
from tests.integration.interfaces.conftest import QUESTION
from tests.support.interfaces import OpenInterfaces

CLIENT = Path(__file__).parents[3] / "clients" / "python"
AT_ONCE = Retries(times=2, first_seconds=0)


@pytest.fixture
def rag(open_interfaces: OpenInterfaces) -> Iterator[Client]:
    with Client(open_interfaces.url, token=open_interfaces.token) as client:
        yield client


@pytest.fixture
async def arag(open_interfaces: OpenInterfaces) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(open_interfaces.url, token=open_interfaces.token) as client:
        yield client


def test_it_searches_answers_and_reads_page_after_page(rag: Client) -> None:
    first = rag.search("vacation policy", top_k=1)
    assert first["passages"][0]["title"] == "Leave"
    every = list(rag.iter_search("vacation leave office", top_k=1))
    assert len(every) == len({passage["chunk_id"] for passage in every}) == 3
    answer = rag.answer(QUESTION)
    assert (answer.outcome, answer.citations[0]["source"]) == ("ANSWERED", "handbook")
    assert answer.citations[0]["quote"] in answer.text
    events = list(rag.stream_answer(QUESTION))
    assert "".join(event.get("delta", {}).get("text", "") for event in events) == answer.text
    assert [one["name"] for one in rag.answerers()] == ["extractive"]
    assert (rag.sources(), list(rag.iter_documents())) == ([], [])
    (outcome,) = rag.batch_search([{"query": "office", "top_k": 1}])
    assert outcome["response"]["passages"][0]["locator"] == "office.md"
    rag.send_feedback(QUESTION, answer.text, helpful=True)


def test_a_refusal_names_the_field_through_the_gateway(rag: Client) -> None:
    with pytest.raises(RagError) as refused:
        rag.search("vacation policy", top_k=101)
    assert (refused.value.reason, refused.value.fields) == ("TOP_K_RANGE", {"top_k": "101 is not in 1..100"})


async def test_the_async_client_does_the_same(arag: AsyncClient, rag: Client) -> None:
    found = await arag.search("vacation policy")
    assert found["passages"] == rag.search("vacation policy")["passages"]
    assert len([one async for one in arag.iter_search("vacation leave office", top_k=1)]) == 3
    assert (await arag.answer(QUESTION)).text == rag.answer(QUESTION).text
    assert [event async for event in arag.stream_answer(QUESTION)][-1]["final"]["answered"]["citations"]
    assert (await arag.sources(), [one async for one in arag.iter_documents()]) == ([], [])
    with pytest.raises(RagError) as caught:
        await arag.search("")
    assert caught.value.reason == "QUERY_EMPTY"


def test_it_pushes_text_and_files_and_writes_nothing_twice(rag: Client) -> None:
    made = rag.put_document("Pumps need oil.", locator="pumps.txt", acl=["everyone"], metadata={"team": "ops"})
    again = rag.put_document(b"Pumps need oil.", locator="pumps.txt", idempotency_key="k")
    repeated = rag.put_document(b"Pumps need oil.", locator="pumps.txt", idempotency_key="k")
    assert made["doc_id"] == again["doc_id"]
    assert (again["repeated"], repeated["repeated"]) == (False, True)
    rag.delete_document(made["doc_id"])


def test_a_refusal_is_an_error_with_its_reason_and_is_not_sent_again(
    rag: Client, open_interfaces: OpenInterfaces
) -> None:
    with pytest.raises(RagError) as caught:
        rag.search("x", top_k=5000)
    assert (caught.value.reason, caught.value.status, caught.value.retried) == ("TOP_K_RANGE", 400, False)
    assert caught.value.request_id
    with pytest.raises(RagError) as caught:
        rag.get_document("7")
    assert caught.value.reason == "ID_CHARS"
    with Client(open_interfaces.url, api_key="rag_nobody") as stranger, pytest.raises(RagError) as caught:
        stranger.sources()
    assert (caught.value.reason, caught.value.status) == ("API_KEY_INVALID", 401)


def test_reasons_that_are_retried_are_reasons_of_the_platform() -> None:
    assert {reason.value for reason in Reason} >= RETRIED


def refusal(status: int, reason: str, **headers: str) -> Response:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "rag-platform"}
    return Response(json.dumps({"code": 8, "message": "later", "details": [info]}), status, headers)


def answering(server: HTTPServer, *answers: Response | Callable[[Request], Response]) -> list[Any]:
    """Answer one call after the other; returns the list that their bodies are added to."""
    bodies: list[Any] = []
    left = list(answers)

    def handle(request: Request) -> Response:
        bodies.append(request.get_json() if request.data else None)
        answer = left.pop(0)
        return answer if isinstance(answer, Response) else answer(request)

    for path in ("/api/v2/search", "/api/v2/answer", "/api/v1/documents"):
        server.expect_request(path).respond_with_handler(handle)
    return bodies


FOUND = {"passages": [], "next_page_token": "", "generation": "g", "rerank_skipped": ""}


async def test_what_passes_is_tried_again_and_what_does_not_is_not(httpserver: HTTPServer) -> None:
    url = httpserver.url_for("")
    ok = [Response(json.dumps(FOUND)) for _ in range(2)]
    late = {"retry-after": "0"}
    bodies = answering(
        httpserver,
        refusal(429, "OVERLOADED", **late), refusal(503, "DATABASE_UNAVAILABLE"), ok[0],
        refusal(429, "RATE_LIMITED", **late), ok[1],
        refusal(400, "FIELD_INVALID"),
        refusal(429, "RATE_LIMITED", **{"retry-after": "3600"}),
        refusal(429, "OVERLOADED"), refusal(429, "OVERLOADED"), refusal(429, "OVERLOADED"),
    )  # fmt: skip
    with Client(url, token="t", retries=AT_ONCE) as rag:
        assert rag.search("x") == FOUND
        async with AsyncClient(url, token="t", retries=AT_ONCE) as arag:
            assert await arag.search("x") == FOUND
        sent = len(bodies)
        for reason, tries in (("FIELD_INVALID", 1), ("RATE_LIMITED", 1), ("OVERLOADED", 3)):
            with pytest.raises(RagError) as caught:
                rag.search("x")
            assert (caught.value.reason, len(bodies) - sent) == (reason, tries)
            sent = len(bodies)


def test_a_push_that_is_sent_again_is_the_same_push(httpserver: HTTPServer) -> None:
    bodies = answering(httpserver, refusal(503, "DATABASE_UNAVAILABLE"), Response(json.dumps({"doc_id": "d"})))
    with Client(httpserver.url_for(""), token="t", retries=AT_ONCE) as rag:
        rag.put_document("x", locator="x.txt")
    assert bodies[0] == bodies[1]
    assert bodies[0]["idempotency_key"]


def events(*found: dict[str, Any]) -> Response:
    return Response("".join(f"data: {json.dumps(one)}\n\n" for one in found), content_type="text/event-stream")


FINAL = {"final": {"answer_outcome": "ANSWER_OUTCOME_ANSWERED", "answered": {"citations": []}}}


async def test_a_stream_that_was_cut_continues_where_it_was(httpserver: HTTPServer) -> None:
    cut = {"delta": {"text": "one "}, "resume_token": "after one"}
    rest = {"delta": {"text": "two"}, "resume_token": "after two"}
    bodies = answering(httpserver, events(cut), events(rest, FINAL), events(cut), events(rest, FINAL))
    with Client(httpserver.url_for(""), token="t", retries=AT_ONCE) as rag:
        assert rag.answer("q", top_k=3).text == "one two"
    async with AsyncClient(httpserver.url_for(""), token="t", retries=AT_ONCE) as arag:
        assert (await arag.answer("q", top_k=3)).text == "one two"
    assert (
        bodies[:2]
        == bodies[2:]
        == [{"query": "q", "top_k": 3}, {"query": "q", "top_k": 3, "resume_token": "after one"}]
    )


def test_an_answer_that_failed_is_an_error_and_is_not_asked_again(httpserver: HTTPServer) -> None:
    failed = {"final": {"failed": {"reason": "ANSWERER_UNAVAILABLE", "message": "gone"}}}
    bodies = answering(httpserver, events({"delta": {"text": "one "}, "resume_token": "t"}, failed))
    with Client(httpserver.url_for(""), token="t", retries=AT_ONCE) as rag, pytest.raises(RagError) as caught:
        rag.answer("q")
    assert (caught.value.reason, len(bodies)) == ("ANSWERER_UNAVAILABLE", 1)


def test_a_gateway_that_is_not_there_is_an_error_after_the_last_try() -> None:
    with Client("http://127.0.0.1:1", token="t", retries=AT_ONCE) as rag, pytest.raises(RagConnectionError):
        rag.sources()


def test_the_wheel_holds_the_typed_package_and_needs_httpx_alone(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("hatchling")), "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=CLIENT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("rag_platform_client-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        requires = [line for line in archive.read(metadata).decode().splitlines() if line.startswith("Requires-Dist")]
        archive.extractall(tmp_path / "installed")
    assert {"rag_platform_client/py.typed", "rag_platform_client/types.py"} <= set(names)
    assert requires == ["Requires-Dist: httpx<1,>=0.27"]
    program = "import sys; sys.path.insert(0, sys.argv[1]); import rag_platform_client as one; print(one.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / "installed")], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith(str(tmp_path))


async def test_what_is_no_json_is_an_error_of_the_client_too(httpserver: HTTPServer) -> None:
    page = Response("<html>", 200)
    answering(httpserver, page, page, Response("data: <html>\n\n"), Response("data: <html>\n\n"))
    with Client(httpserver.url_for(""), token="t", retries=AT_ONCE) as rag:
        async with AsyncClient(httpserver.url_for(""), token="t", retries=AT_ONCE) as arag:
            for sync, waiting in ((rag.search, arag.search), (rag.answer, arag.answer)):
                with pytest.raises(RagError) as caught:
                    sync("q")
                assert caught.value.reason == "RESPONSE_INVALID"
                with pytest.raises(RagError) as caught:
                    await waiting("q")
                assert caught.value.reason == "RESPONSE_INVALID"


def test_a_status_that_ends_a_stream_has_its_reason(httpserver: HTTPServer) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ANSWERER_LIMIT", "metadata": {"a": "b"}}
    status = {"code": 8, "message": "too long", "details": [info]}
    answering(httpserver, events({"delta": {"text": "one "}}, status), events({"code": 13, "message": "broke"}))
    with Client(httpserver.url_for(""), token="t", retries=AT_ONCE) as rag:
        with pytest.raises(RagError) as caught:
            rag.answer("q")
        assert (caught.value.reason, caught.value.message, caught.value.metadata) == (
            "ANSWERER_LIMIT", "too long", {"a": "b"},
        )  # fmt: skip
        with pytest.raises(RagError) as caught:
            rag.answer("q")
        assert (caught.value.reason, caught.value.message) == ("INTERNAL", "broke")


async def test_a_stream_that_is_left_early_ends_its_connection_at_once(httpserver: HTTPServer) -> None:
    answering(httpserver, events(*({"delta": {"text": "one "}} for _ in range(100)), FINAL))
    transport = httpx.AsyncHTTPTransport()
    async with httpx.AsyncClient(transport=transport, timeout=60) as http:
        arag = AsyncClient(httpserver.url_for(""), token="t", retries=AT_ONCE, http=http)
        async with aclosing(arag.stream_answer("q")) as found:
            await anext(found)
        assert not [one for one in transport._pool.connections if not one.is_idle() and not one.is_closed()]
