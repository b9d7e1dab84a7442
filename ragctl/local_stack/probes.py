"""Health probes of services. A probe never raises: a failure is its result."""

from __future__ import annotations

import asyncio
import http.client as http_client
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 3.0
_DEFINITIONS_SECONDS = 10.0
LIST_DEFINITIONS = "/api.DagsterApi/ListRepositories"
"""Method of a Dagster code server. The server passes it on to the process that holds the definitions."""
_LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { loadStatus
  locationOrLoadError { __typename ... on PythonError { message causes { message } } } } }
  ... on PythonError { message } } }"""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of a probe: whether a service works, and why not."""

    ok: bool
    detail: str = ""


Probe = Callable[[], Awaitable[ProbeResult]]


def http(url: str, *, expect: str = "") -> Probe:
    """Healthy when a GET answers with success and the body contains `expect`."""

    async def probe() -> ProbeResult:
        try:
            status, body = await asyncio.to_thread(_call, url)
        except (OSError, http_client.HTTPException) as error:
            return ProbeResult(False, _describe(error))
        if 200 <= status < 300 and expect in body:
            return ProbeResult(True)
        return ProbeResult(False, f"HTTP {status}: {body[:200].strip()}")

    return probe


def postgres(url: str) -> Probe:
    """Healthy when a connection can be opened and a statement runs."""

    async def probe() -> ProbeResult:
        import psycopg

        try:
            async with asyncio.timeout(2 * _TIMEOUT_SECONDS):
                async with await psycopg.AsyncConnection.connect(
                    url, connect_timeout=int(_TIMEOUT_SECONDS)
                ) as connection:
                    await connection.execute("SELECT 1")
        except TimeoutError:
            return ProbeResult(False, "a statement gets no answer")
        except psycopg.Error as error:
            return ProbeResult(False, str(error).strip().partition("\n")[0])
        return ProbeResult(True)

    return probe


def definitions(address: str) -> Probe:
    """Healthy when a Dagster code server has its definitions: it accepts connections without them, too.

    Dagster's own client would take two seconds of processor time to import, for a question of one field.
    """

    async def probe() -> ProbeResult:
        import grpc

        async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            ask = channel.unary_unary(LIST_DEFINITIONS, request_serializer=bytes, response_deserializer=bytes)
            try:
                answer = await ask(b"", timeout=_DEFINITIONS_SECONDS)
            except grpc.aio.AioRpcError as error:
                return ProbeResult(False, f"the code server does not answer ({error.code().name})")
        failed = b'"SerializableErrorInfo"' in answer
        return ProbeResult(not failed, "the code location could not be loaded; its log says why" if failed else "")

    return probe


def fresh_file(path: Path, max_age_seconds: float) -> Probe:
    """Healthy when the file exists and was written within the last `max_age_seconds`."""

    async def probe() -> ProbeResult:
        try:
            age = time.time() - (await asyncio.to_thread(path.stat)).st_mtime
        except OSError:
            return ProbeResult(False, "not written yet")
        return ProbeResult(age <= max_age_seconds, "" if age <= max_age_seconds else f"not renewed for {age:.0f} s")

    return probe


def graphql(url: str, document: str, health_of: Callable[[dict[str, Any]], ProbeResult]) -> Probe:
    """Healthy when a Dagster GraphQL query succeeds and `health_of` its data says so."""

    async def probe() -> ProbeResult:
        try:
            status, body = await asyncio.to_thread(_call, url, {"query": document})
            answer = json.loads(body)
        except (OSError, http_client.HTTPException, ValueError) as error:
            return ProbeResult(False, _describe(error))
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict):
            return ProbeResult(False, f"GraphQL answered HTTP {status} without data")
        try:
            return health_of(data)
        except (KeyError, TypeError):
            return ProbeResult(False, "GraphQL answered in an unexpected form")

    return probe


def code_locations(webserver: str) -> Probe:
    """Healthy when Dagster's webserver answers and every code location of its workspace is loaded without an error."""
    return graphql(f"{webserver}/graphql", _LOCATIONS, _locations_health)


def _locations_health(data: dict[str, Any]) -> ProbeResult:
    workspace = data["workspaceOrError"]
    if "message" in workspace:
        return ProbeResult(False, str(workspace["message"]).partition("\n")[0])
    for entry in workspace["locationEntries"]:
        loaded = entry["locationOrLoadError"]
        if loaded and loaded["__typename"] == "PythonError":
            # Dagster wraps what the code said; the innermost cause is what an operator can act on.
            said = [loaded, *loaded.get("causes", [])][-1]["message"]
            return ProbeResult(False, f"code location: {' '.join(str(said).split())}")
        if entry["loadStatus"] != "LOADED" or not loaded:
            return ProbeResult(False, "code location is loading")
    return ProbeResult(bool(workspace["locationEntries"]), "" if workspace["locationEntries"] else "no code location")


def _call(url: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    """Status and text of a plain HTTP call on this machine; no proxy of the environment sees it.

    By the standard library: `rag status` would spend as long on importing another client as on its eight calls.
    """
    at = urlsplit(url)
    connection = http_client.HTTPConnection(at.hostname or "", at.port, timeout=_TIMEOUT_SECONDS)
    with closing(connection):
        if body is None:
            connection.request("GET", at.path)
        else:
            connection.request("POST", at.path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")


def _describe(error: Exception) -> str:
    return f"no answer ({type(error).__name__})"
