"""Calls to single query servers, past the gateway."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rag_core.governance.access import EVERYONE
from rag_core.settings import Settings
from ragctl.grpc_client import query_channel
from ragctl.rollout.targets.base import Server
from ragctl.tokens import mint_token
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc

_SUBJECT = "deployer"
_LIFETIME = 3600
_API_KEY_START = "rag_"
Metadata = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SmokeQuery:
    """A question of the smoke suite. `gains` by `source/locator`; empty: no expected documents."""

    text: str
    tenant: str = "default"
    acl: tuple[str, ...] = ()
    gains: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class TimedCall:
    """Result of one call: seconds, and the gRPC status when it failed."""

    seconds: float
    failure: str = ""


class CallCredentials:
    """Metadata that identifies the suite to a server, by tenant and what it must be allowed to see."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._made: dict[tuple[str, tuple[str, ...]], Metadata] = {}

    def of(self, query: SmokeQuery) -> Metadata:
        """Raises `ConfigError` (`SECRET_MISSING`) without a credential and without a signing key."""
        given = self.settings.deploy_credential
        if given is not None:
            secret = given.get_secret_value()
            return [
                ("x-api-key", secret) if secret.startswith(_API_KEY_START) else ("authorization", f"Bearer {secret}")
            ]
        key = (query.tenant, query.acl)
        if key not in self._made:
            token = self._mint(query)
            self._made[key] = [("authorization", f"Bearer {token}")]
        return self._made[key]

    def _mint(self, query: SmokeQuery) -> str:
        groups = [entry.removeprefix("group:") for entry in query.acl if entry.startswith("group:")]
        lifetime = min(_LIFETIME, self.settings.jwt_max_lifetime_seconds)
        return mint_token(self.settings, subject=_SUBJECT, tenant=query.tenant, groups=groups, lifetime=lifetime)


class Client:
    """One server. Every call raises `grpc.RpcError` as it is: the suite evaluates it."""

    def __init__(self, server: Server, credentials: CallCredentials, seconds: float) -> None:
        self.server = server
        self._credentials, self._seconds = credentials, seconds
        self._channel = query_channel(credentials.settings, server.query)
        self._v1, self._v2 = v1_grpc.QueryServiceStub(self._channel), v2_grpc.QueryServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def is_serving(self) -> bool:
        """Check that its health service reports SERVING."""
        stub = health_pb2_grpc.HealthStub(self._channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=self._seconds)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def query_v1(self, query: SmokeQuery) -> v1.QueryResponse:
        return self._v1.Query(v1.QueryRequest(query=query.text), **self._call(query))

    def search(self, query: SmokeQuery) -> v2.SearchResponse:
        return self._v2.Search(v2.SearchRequest(query=query.text, top_k=50), **self._call(query))

    def answer(self, query: SmokeQuery) -> Iterable[v2.AnswerEvent]:
        return self._v2.Answer(v2.AnswerRequest(query=query.text), **self._call(query))

    def timed_search(self, query: SmokeQuery) -> TimedCall:
        """A search with its time, failed or not."""
        began = time.monotonic()
        try:
            self.search(query)
        except grpc.RpcError as error:
            return TimedCall(time.monotonic() - began, error.code().name)
        return TimedCall(time.monotonic() - began)

    def _call(self, query: SmokeQuery) -> dict[str, Any]:
        return {"metadata": self._credentials.of(query), "timeout": self._seconds}


def reads_all(acl: Iterable[str]) -> tuple[str, ...]:
    """The entries that a token can carry: groups, and everyone who has any token."""
    return tuple(entry for entry in acl if entry.startswith("group:") or entry == EVERYONE)
