"""The three wires of the console. Every failure is a `ServiceError`: a code to show, never a stack or a raw message."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from console.settings import ConsoleSettings
from ragproto.admin.v1 import admin_pb2, admin_pb2_grpc
from ragproto.query.v2 import query_pb2, query_pb2_grpc

MAX_TOKEN_CHARS = 8192
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")

_RUNS = """query($limit: Int!) { runsOrError(limit: $limit) { __typename
  ... on Runs { results { runId jobName status startTime endTime creationTime } } } }"""
_HEALTH = """{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  workspaceOrError { __typename ... on Workspace { locationEntries { name loadStatus
    locationOrLoadError { __typename } } } } }"""


class ServiceError(Exception):
    """A part did not do what it was asked. `code` is a reason code of the platform or a gRPC status name."""

    def __init__(self, service: str, code: str) -> None:
        super().__init__(f"{service}: {code}")
        self.service = service
        self.code = code if _CODE.fullmatch(code) else "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Run:
    """A Dagster run; times are seconds since the epoch."""

    run_id: str
    job: str
    status: str
    started: float | None
    ended: float | None


@dataclass(frozen=True, slots=True)
class DagsterHealth:
    """Daemons without a heartbeat and code locations that do not load."""

    silent_daemons: tuple[str, ...]
    broken_locations: tuple[str, ...]


class QueryClient:
    """gRPC: the report from the query server itself, questions through the gateway like any client. Thread-safe."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        # A proxy of the environment must not see calls to our own servers.
        options = [("grpc.enable_http_proxy", 0), ("grpc.max_reconnect_backoff_ms", 2000)]
        self._admin = grpc.insecure_channel(settings.query_address, options=options)
        self._gateway = grpc.insecure_channel(urlsplit(settings.gateway_url).netloc, options=options)

    def status(self) -> admin_pb2.GetStatusResponse:
        """Components, sources and generations. Raises `ServiceError`."""
        stub = admin_pb2_grpc.AdminServiceStub(self._admin)
        metadata = self._authorization()
        try:
            response: admin_pb2.GetStatusResponse = stub.GetStatus(
                admin_pb2.GetStatusRequest(), timeout=self._settings.call_seconds, metadata=metadata
            )
        except grpc.RpcError as error:
            raise ServiceError("query server", _code(error)) from None
        return response

    def answer(self, question: str, top_k: int) -> Iterator[query_pb2.AnswerEvent]:
        """The events of an answer as they arrive. Raises `ServiceError`, also half-way."""
        stub = query_pb2_grpc.QueryServiceStub(self._gateway)
        request = query_pb2.AnswerRequest(query=question, top_k=top_k)
        metadata = self._authorization()
        try:
            yield from stub.Answer(request, timeout=self._settings.answer_seconds, metadata=metadata)
        except grpc.RpcError as error:
            raise ServiceError("query service", _code(error)) from None

    def _authorization(self) -> list[tuple[str, str]]:
        path = self._settings.token_file
        try:
            token = path.read_text("ascii")[:MAX_TOKEN_CHARS].strip() if path else ""
        except (OSError, UnicodeDecodeError):
            token = ""
        if not token:
            raise ServiceError("console", "TOKEN_MISSING")
        return [("authorization", f"Bearer {token}")]


class DagsterClient:
    """GraphQL over HTTP. Thread-safe."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._url = f"{settings.dagster_url.rstrip('/')}/graphql"
        self._options = _http_options(settings)

    def runs(self, limit: int = 10) -> list[Run]:
        """The newest runs first. Raises `ServiceError`."""
        results = self._query(_RUNS, limit=limit)["runsOrError"].get("results", [])
        return [_run(item) for item in results]

    def health(self) -> DagsterHealth:
        """Whether its daemons live and the code is loaded. Raises `ServiceError` when the webserver does not answer."""
        data = self._query(_HEALTH)
        daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
        locations = data["workspaceOrError"].get("locationEntries", [])
        silent = sorted(item["daemonType"] for item in daemons if item["required"] and not item["healthy"])
        broken = sorted(item["name"] for item in locations if not _loaded(item))
        return DagsterHealth(tuple(silent), tuple(broken))

    def _query(self, document: str, **variables: object) -> dict[str, Any]:
        try:
            body = {"query": document, "variables": variables}
            response = httpx.post(self._url, json=body, **self._options)
            data = response.json().get("data")
        except (httpx.HTTPError, ValueError):
            raise ServiceError("Dagster", "DAGSTER_UNAVAILABLE") from None
        if not isinstance(data, dict):
            raise ServiceError("Dagster", "DAGSTER_UNAVAILABLE")
        return data


class GatewayClient:
    """HTTP: whether requests that come in through the gateway can be answered. Thread-safe."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._url = f"{settings.gateway_url.rstrip('/')}/ready"
        self._options = _http_options(settings)

    def ready(self) -> None:
        """Raises `ServiceError` with the reason when they cannot."""
        try:
            response = httpx.get(self._url, **self._options)
        except httpx.HTTPError:
            raise ServiceError("gateway", "SERVER_UNAVAILABLE") from None
        if not response.is_success:
            raise ServiceError("gateway", _ready_reason(response))


def _http_options(settings: ConsoleSettings) -> dict[str, Any]:
    # One set of trusted certificates for all calls: reading them anew costs each call tens of milliseconds of CPU.
    return {"timeout": settings.call_seconds, "trust_env": False, "verify": ssl.create_default_context()}


def _run(item: dict[str, Any]) -> Run:
    started = item["startTime"] or item["creationTime"]
    return Run(item["runId"], item["jobName"], item["status"], started, item["endTime"])


def _loaded(location: dict[str, Any]) -> bool:
    loaded = location["locationOrLoadError"] or {}
    return location["loadStatus"] == "LOADED" and loaded.get("__typename") == "RepositoryLocation"


def _ready_reason(response: httpx.Response) -> str:
    try:
        reasons = response.json().get("reasons")
    except (ValueError, AttributeError):
        reasons = None
    return str(reasons[0]) if isinstance(reasons, list) and reasons else "SERVER_UNAVAILABLE"


def _code(error: grpc.RpcError) -> str:
    """The platform's reason when the server gave one, else the name of the gRPC status."""
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:
        status = None
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return str(error.code().name)
