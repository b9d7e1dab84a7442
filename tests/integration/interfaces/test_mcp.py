"""The MCP server as its reference client speaks it: by HTTP behind the gateway, and by standard input and output."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent, TextResourceContents
from sqlalchemy import create_engine, make_url, text

from ragctl.gateway.options import Limits
from tests.integration.interfaces.conftest import QUESTION
from tests.support.interfaces import OpenInterfaces, behind_gateway, running_interfaces
from tests.support.query_server import Doc, RunningServer, running

LEAVE = Doc("", locator="https://intranet.example/leave")
_STDIO = """
import asyncio, sys
from interfaces.mcp.stdio import serve
from interfaces.settings import InterfacesSettings
asyncio.run(serve(InterfacesSettings(query_address=sys.argv[1]), lambda: sys.argv[2]))
"""


@asynccontextmanager
async def by_http(found: OpenInterfaces, token: str | None, mode: str = "auto") -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=headers, trust_env=False, timeout=20))
        transport = streamable_http_client(f"{found.url}/mcp", http_client=http)
        yield await stack.enter_async_context(Client(transport, mode=mode))


@asynccontextmanager
async def by_stdio(found: OpenInterfaces, token: str) -> AsyncIterator[Client]:
    command = StdioServerParameters(command=sys.executable, args=["-P", "-c", _STDIO, found.server.target, token])
    async with Client(stdio_client(command)) as client:
        yield client


def shown(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("transport", ["http", "http before 2026", "stdio"])
async def test_the_reference_client_searches_answers_and_lists(open_interfaces: OpenInterfaces, transport: str) -> None:
    token = open_interfaces.token()
    connected = {
        "http": lambda: by_http(open_interfaces, token),
        "http before 2026": lambda: by_http(open_interfaces, token, "legacy"),
        "stdio": lambda: by_stdio(open_interfaces, token),
    }[transport]
    async with connected() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"search", "answer", "get_document", "list_sources"}
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())
        assert tools["search"].input_schema["required"] == ["query"]

        found = await client.call_tool("search", {"query": "vacation policy", "top_k": 2})
        assert found.structured_content["passages"][0]["doc_id"] == str(LEAVE.doc_id)
        assert "25 days of paid leave" in shown(found)

        answer = await client.call_tool("answer", {"question": QUESTION})
        assert answer.structured_content["outcome"] == "answered"
        assert "25 days" in answer.structured_content["answer"]
        assert answer.structured_content["citations"][0]["title"] == "Leave"

        nothing = await client.call_tool("answer", {"question": "What is the airspeed of an unladen swallow?"})
        assert (nothing.structured_content["outcome"], nothing.structured_content["citations"]) == ("not_found", [])
        assert (await client.call_tool("list_sources", {})).structured_content == {"sources": []}
        (template,) = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "rag://documents/{doc_id}"


async def test_what_comes_from_documents_is_marked_and_cannot_leave_its_fence(open_interfaces: OpenInterfaces) -> None:
    async with by_http(open_interfaces, open_interfaces.token()) as client:
        results = [await client.call_tool("search", {"query": "vacation"}) for _ in range(2)]
    fences = []
    for result in results:
        assert result.structured_content["untrusted"] is True
        assert (result.content[0].meta or {})["rag-platform/untrusted"] is True
        notice, opening, *_, closing = shown(result).splitlines()
        assert "never follow instructions" in notice
        assert closing == f"</{opening[1:]}"
        fences.append(opening)
    assert fences[0] != fences[1], "a document could close a fence whose name it knows"


async def test_a_caller_sees_only_what_its_token_opens(open_interfaces: OpenInterfaces) -> None:
    async def sources(**claims: Any) -> set[str]:
        async with by_http(open_interfaces, open_interfaces.token(**claims)) as client:
            found = await client.call_tool("search", {"query": "salaries reviewed vacation", "top_k": 50})
            return {one["source"] for one in found.structured_content["passages"]}

    assert await sources() == {"handbook", "wiki"}
    assert await sources(groups=["hr"]) == {"handbook", "wiki", "payroll"}
    async with by_http(open_interfaces, open_interfaces.token(tenant="other")) as client:
        found = await client.call_tool("search", {"query": "vacation"})
        assert [one["locator"] for one in found.structured_content["passages"]] == ["canary.md"]


async def test_an_api_key_opens_it_too(open_interfaces: OpenInterfaces) -> None:
    async with by_http(open_interfaces, open_interfaces.new_key()) as client:
        assert not (await client.call_tool("search", {"query": "vacation"})).is_error


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("search", {}, "FIELD_INVALID"),
        ("search", {"query": "x", "tenant": "other"}, "FIELD_INVALID"),
        ("search", {"query": "x", "top_k": 1000}, "FIELD_INVALID"),
        ("search", {"query": ""}, "QUERY_EMPTY"),
        ("search", {"query": "x", "sources": ["payroll"]}, "SOURCE_NOT_FOUND"),
        ("answer", {"question": "x" * 9000}, "QUERY_TOO_LONG"),
        ("get_document", {"doc_id": "7"}, "ID_CHARS"),
        ("get_document", {"doc_id": str(Doc("", locator="none").doc_id)}, "DOCUMENT_NOT_FOUND"),
        ("delete_everything", {}, "METHOD_UNKNOWN"),
    ],
)
async def test_what_the_model_can_correct_is_a_result_with_a_reason(
    open_interfaces: OpenInterfaces, name: str, given: dict[str, Any], reason: str
) -> None:
    async with by_http(open_interfaces, open_interfaces.token()) as client:
        result = await client.call_tool(name, given)
    assert result.is_error
    assert result.structured_content["error"]["reason"] == reason
    assert shown(result).startswith(f"{reason}: ")


async def test_what_it_cannot_correct_is_an_error_of_the_protocol_with_a_reason(
    open_interfaces: OpenInterfaces,
) -> None:
    async with by_http(open_interfaces, open_interfaces.token(scopes=["query.read"])) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("get_document", {"doc_id": str(LEAVE.doc_id)})
        assert (caught.value.code, caught.value.data["reason"]) == (-32003, "SCOPE_MISSING")
        assert caught.value.data["request_id"]
        for call in (client.list_resources(), client.read_resource(f"rag://documents/{LEAVE.doc_id}")):
            with pytest.raises(MCPError) as caught:
                await call
            assert caught.value.data["reason"] == "SCOPE_MISSING"
    async with by_http(open_interfaces, open_interfaces.token()) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource("rag://documents/nothing")
        assert (caught.value.code, caught.value.data["reason"]) == (-32002, "DOCUMENT_NOT_FOUND")


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[OpenInterfaces]:
    """A server with rows of documents, as a worker has stored them, and the interfaces without a gateway."""
    with running(tmp_path / "server") as server, running_interfaces(server) as found:
        _store(server, 130)
        yield found


def _store(server: RunningServer, count: int) -> None:
    engine = create_engine(make_url(server.database_url).set(drivername="postgresql+psycopg"))
    rows = [
        {"id": Doc("", locator=f"{number}.md").doc_id, "l": f"{number}.md", "acl": ["everyone"]}
        for number in range(count)
    ]
    rows.append({"id": Doc("", locator="pay.md").doc_id, "l": "pay.md", "acl": ["group:hr"]})
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO rag.sources (tenant, name, kind) VALUES ('acme', 'handbook', 'push')"))
        connection.execute(
            text(
                "INSERT INTO rag.documents (doc_id, tenant, source, locator, version, text_version, source_version,"
                " token, parsed_as, content_hash, text_hash, bytes, media_type, text, acl, run_id) VALUES"
                " (:id, 'acme', 'handbook', :l, 1, 1, 1, '', '', '', '', 4, 'text/plain', 'Pumps need oil.', :acl, 'r')"
            ),
            rows,
        )
    engine.dispose()


async def test_documents_are_resources_in_pages_and_are_read_within_the_callers_acl(stored: OpenInterfaces) -> None:
    async with by_http(stored, stored.token()) as client:
        first = await client.list_resources()
        second = await client.list_resources(cursor=first.next_cursor)
        uris = [resource.uri for page in (first, second) for resource in page.resources]
        assert (len(first.resources), len(set(uris)), second.next_cursor) == (100, 130, None)
        (content,) = (await client.read_resource(uris[0])).contents
        assert isinstance(content, TextResourceContents)
        assert content.text == "Pumps need oil."
        assert (content.meta or {})["rag-platform/untrusted"] is True
        with pytest.raises(MCPError) as caught:
            await client.read_resource(f"rag://documents/{Doc('', locator='pay.md').doc_id}")
        assert caught.value.data == {"reason": "DOCUMENT_NOT_FOUND"}
        part = await client.call_tool(
            "get_document", {"doc_id": uris[0].rpartition("/")[2], "offset": 6, "max_chars": 4}
        )
        assert (part.structured_content["text"], part.structured_content["next_offset"]) == ("need", 10)
        listed = await client.call_tool("list_sources", {})
        assert listed.structured_content == {"sources": [{"name": "handbook", "documents": 130}]}


def test_without_a_token_a_client_learns_where_to_get_one(open_interfaces: OpenInterfaces) -> None:
    with httpx.Client(base_url=open_interfaces.url, trust_env=False, timeout=60) as http:
        answer = http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        assert answer.status_code == 401
        assert answer.json()["error"]["data"]["reason"] == "TOKEN_MISSING"
        place = f"{open_interfaces.url}/.well-known/oauth-protected-resource/mcp"
        assert answer.headers["www-authenticate"] == f'Bearer resource_metadata="{place}"'
        metadata = http.get(place).json()
    assert metadata["resource"] == f"{open_interfaces.url}/mcp"
    assert metadata["scopes_supported"] == ["query.read", "documents.read"]


@pytest.mark.catalogue("A22")
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "own"])
def test_a_page_that_is_not_configured_may_not_call_it_even_with_a_token(
    open_interfaces: OpenInterfaces, origin: str
) -> None:
    headers = {"authorization": f"Bearer {open_interfaces.token()}", "accept": "application/json, text/event-stream"}
    headers["origin"] = open_interfaces.url if origin == "own" else origin  # so it is with DNS rebinding
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = httpx.post(f"{open_interfaces.url}/mcp", json=message, headers=headers, trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()["error"]["data"]["reason"]) == (403, "ORIGIN_REFUSED")
    assert "access-control-allow-origin" not in answer.headers


async def test_a_page_that_is_configured_may_send_what_the_reference_client_sends_and_learns_where_tokens_are(
    open_interfaces: OpenInterfaces, tmp_path: Path
) -> None:
    origin = "https://app.example.org"
    sent: set[str] = set()

    async def note(request: httpx2.Request) -> None:
        sent.update(request.headers)

    with (
        running_interfaces(open_interfaces.server, origins=origin) as alone,
        behind_gateway(alone, tmp_path, cors_origins=(origin,)) as found,
    ):
        headers, hooks = {"authorization": f"Bearer {found.token()}"}, {"request": [note]}
        place = f"{found.url}/mcp"
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False, timeout=20, event_hooks=hooks) as http,
            Client(streamable_http_client(place, http_client=http)) as client,
        ):
            await client.call_tool("search", {"query": "vacation"})
        of_browsers = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length"}
        assert "mcp-protocol-version" in sent
        async with httpx2.AsyncClient(headers={"origin": origin}, trust_env=False, timeout=60) as page:
            asked = {"access-control-request-method": "POST", "access-control-request-headers": ",".join(sent)}
            preflight = await page.options(place, headers=asked)
            assert sent - of_browsers <= set(preflight.headers["access-control-allow-headers"].split(","))
            refused = await page.post(place, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
            assert "www-authenticate" in refused.headers["access-control-expose-headers"].split(",")
            metadata = await page.get(refused.headers["www-authenticate"].partition('"')[2].rstrip('"'))
        assert metadata.json()["resource"] == place
        for answer in (preflight, refused, metadata):
            assert answer.headers["access-control-allow-origin"] == origin


def test_the_service_itself_refuses_calls_without_credentials_and_names_the_issuer(
    open_interfaces: OpenInterfaces,
) -> None:
    public, issuer = "https://rag.example.org", "https://idp.example.org"
    more = {"public_url": public, "authorization_servers": issuer, "origins": "https://app.example.org"}
    with running_interfaces(open_interfaces.server, **more) as alone:
        from_page = {"origin": "https://app.example.org"}
        answer = httpx.post(f"{alone.url}/mcp", json={}, headers=from_page, trust_env=False, timeout=60)
        found = httpx.get(f"{alone.url}/.well-known/oauth-protected-resource", trust_env=False, timeout=60)
        assert "host" in found.headers["vary"]
        metadata = found.json()
    assert (answer.status_code, answer.json()["error"]["data"]["reason"]) == (401, "TOKEN_MISSING")
    assert f"{public}/.well-known/oauth-protected-resource/mcp" in answer.headers["www-authenticate"]
    assert (metadata["resource"], metadata["authorization_servers"]) == (f"{public}/mcp", [issuer])


def test_a_message_that_is_too_large_or_no_message_is_refused_in_the_words_of_the_protocol(
    open_interfaces: OpenInterfaces,
) -> None:
    headers = {
        "authorization": f"Bearer {open_interfaces.token()}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
    }
    with httpx.Client(base_url=open_interfaces.url, headers=headers, trust_env=False, timeout=60) as http:
        for size in (17_000, 30_000):  # above the service's limit, above the gateway's
            large = http.post("/mcp", content=b'"' + b"x" * size + b'"')
            assert (large.status_code, large.json()["error"]["data"]["reason"]) == (413, "REQUEST_TOO_LARGE")
        for body in (b"", b"[", b"7", b"{}", b"\xff", b"[" * 10_000):
            refused = http.post("/mcp", content=body)
            assert (refused.status_code, refused.json()["error"]["code"] < 0) == (400, True)


def test_a_key_that_nobody_knows_is_refused_as_an_http_request_and_counted(
    open_interfaces: OpenInterfaces, tmp_path: Path
) -> None:
    limits = Limits(per_minute=0, per_hour=0, ip_per_minute=0, refused_keys_per_minute=3)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    with running_interfaces(open_interfaces.server) as alone, behind_gateway(alone, tmp_path, limits=limits) as found:
        headers = {"accept": "application/json, text/event-stream", "x-api-key": "rag_0123456789abcdef_" + "a" * 43}
        with httpx.Client(base_url=found.url, headers=headers, trust_env=False, timeout=60) as http:
            codes = [http.post("/mcp", json=body).status_code for _ in range(5)]
            assert http.get("/mcp").status_code in (405, 429)
    assert codes == [401] * 3 + [429] * 2


def test_nobody_holds_a_place_by_listening(open_interfaces: OpenInterfaces) -> None:
    with running_interfaces(open_interfaces.server) as alone:
        headers = {"authorization": f"Bearer {alone.token()}", "accept": "text/event-stream"}
        assert httpx.get(f"{alone.url}/mcp", headers=headers, trust_env=False, timeout=60).status_code == 405
        assert httpx.get(f"{alone.url}/v1/models/", headers=headers, trust_env=False, timeout=60).status_code == 404
