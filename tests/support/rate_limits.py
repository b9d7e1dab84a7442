"""The rate-limit service in a thread, gateways that ask it, and what all storages of its counters must do."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from query_server.rate_limits.counting import SharedLimits, Storage, close
from query_server.rate_limits.service import RateLimitMetrics, RateLimitService, new_server
from rag_core.governance.access import generate_key, mint
from rag_core.settings import Settings
from ragctl.gateway.options import Backends, Endpoint, Jwt, Limits, SharedCounters
from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from tests.support.wire import Gateway, running_gateway

_PRIVATE, JWKS = generate_key()
RULES = Jwt("issuer", "query", 60, jwks=json.dumps(JWKS))
PER_MINUTE = 100
LOCAL = Limits(per_minute=PER_MINUTE, per_hour=0, burst=PER_MINUTE, ip_per_minute=0)
"""Of each gateway: two of them let twice as much through."""
MakeStorage = Callable[[], Storage]


def settings(**more: Any) -> Settings:
    """What the service reads."""
    given = {"environment": "production", "gateway_client_per_minute": PER_MINUTE, "gateway_client_per_hour": 10_000}
    return Settings.model_construct(**(Settings().model_dump() | given | more))


class RunningService:
    """The service on a port of its own; `stop` ends it at once."""

    def __init__(self, chosen: Settings, make_storage: MakeStorage) -> None:
        self.metrics = RateLimitMetrics()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: grpc.aio.Server | None = None
        self.port = self._run(self._start(chosen, make_storage))

    async def _start(self, chosen: Settings, make_storage: MakeStorage) -> int:
        self._storage = make_storage()
        service = RateLimitService(SharedLimits(chosen, self._storage), self.metrics, seconds=5)
        self._server = await new_server(service)
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return port

    def stop(self) -> None:
        if self._server is not None:
            self._run(self._server.stop(0))
            self._server = None

    def close(self) -> None:
        self.stop()
        self._run(close(self._storage))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(30)


@contextmanager
def running_service(make_storage: MakeStorage, **more: Any) -> Iterator[RunningService]:
    service = RunningService(settings(**more), make_storage)
    try:
        yield service
    finally:
        service.close()


@contextmanager
def gateways(folder: Path, ports: list[int], *, closed: bool = False, **more: Any) -> Iterator[list[Gateway]]:
    """A gateway for each port of a service; they know nothing of each other."""
    with ExitStack() as stack:
        found = []
        for number, port in enumerate(ports):
            own = folder / str(number)
            own.mkdir()
            shared = SharedCounters(Backends((Endpoint("127.0.0.1", port),)), closed, seconds=5)
            options = {"jwt": RULES, "limits": LOCAL, "shared": shared, "max_seconds": 20} | more
            found.append(stack.enter_context(running_gateway(own, **options)))
        yield found


def bearer(subject: str, tenant: str = "acme") -> dict[str, str]:
    token = mint(
        _PRIVATE,
        subject=subject,
        tenant=tenant,
        scopes=["query.read"],
        lifetime=600,
        issuer="issuer",
        audience="query",
    )
    return {"authorization": f"Bearer {token}"}


def ask(gateway: Gateway, headers: dict[str, str]) -> httpx.Response:
    return gateway.http.post("/api/v1/query", json={"query": "x"}, headers=headers)


def statuses(found: list[Gateway], headers: dict[str, str], calls: int) -> list[int]:
    """The statuses of calls that go to the gateways in turn."""
    return [ask(found[number % len(found)], headers).status_code for number in range(calls)]


class SharedLimitsContract:
    """What holds whatever the counters are kept in. A subclass has the fixture `make_storage`.

    Each gateway has a service of its own, as behind a load balancer: they share the storage alone.
    """

    @pytest.fixture
    def pair(self, make_storage: MakeStorage, tmp_path: Path) -> Iterator[list[Gateway]]:
        spared = frozenset({"acme/batch=100:1000000", "acme/slow=3:100"})
        with (
            running_service(make_storage, gateway_limit_overrides=spared) as one,
            running_service(make_storage, gateway_limit_overrides=spared) as other,
            gateways(tmp_path, [one.port, other.port]) as found,
        ):
            yield found

    def test_a_hundred_calls_a_minute_are_a_hundred_over_both_gateways(self, pair: list[Gateway]) -> None:
        flood = bearer("flooding")
        found = statuses(pair, flood, 140)
        assert found[:100] == [200] * 100
        assert found.count(200) <= 102  # one may come through when a minute of the clock ends meanwhile
        refused = ask(pair[0], flood)
        assert refused.json()["details"][0]["reason"] == "RATE_LIMITED"
        assert 1 <= int(refused.headers["retry-after"]) <= 61
        metadata = [("authorization", flood["authorization"])]
        with grpc.insecure_channel(pair[1].address) as channel:
            query = v1_grpc.QueryServiceStub(channel).Query
            with pytest.raises(grpc.RpcError) as caught:
                query(v1.QueryRequest(query="x"), timeout=10, metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        # Another client, the same name in another tenant, and another key are not touched.
        for other in (bearer("another"), bearer("flooding", "beta"), {"x-api-key": "rag_other"}):
            assert statuses(pair, other, 2) == [200, 200]

    async def test_a_call_that_one_limit_refuses_is_counted_by_no_other(self, make_storage: MakeStorage) -> None:
        storage = make_storage()
        limits = SharedLimits(settings(gateway_client_per_minute=5, gateway_client_per_hour=3), storage)
        ann, bob = ({"tenant": "acme", "subject": name} for name in ("ann", "bob"))
        try:
            refusals = [await limits.refusal([ann]) for _ in range(8)]
            assert [found.window.name if found else "" for found in refusals] == [""] * 3 + ["hour"] * 5
            # Nor is another client that was asked about in the same call.
            assert [bool(await limits.refusal([bob, ann])) for _ in range(4)] == [True] * 4
            assert [bool(await limits.refusal([bob])) for _ in range(4)] == [False] * 3 + [True]
        finally:
            await close(storage)

    def test_an_api_key_and_an_override_are_counted_over_both(self, pair: list[Gateway]) -> None:
        assert statuses(pair, {"x-api-key": "rag_flooding"}, 110).count(200) in (100, 101)
        assert statuses(pair, bearer("slow"), 8).count(200) in (3, 4)
