"""Hostile clients for half a minute each, while an honest one searches: it is served, and no place stays taken."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import grpc.aio
import httpx
import pytest

from benchmarks.abuse.attacks import ADDRESSES, ATTACKS, BENIGN
from benchmarks.abuse.hostile import Plan, attacking, outcome
from benchmarks.query.load import Outcome, open_loop
from query_server.rate_limits import UNLIMITED, Override
from rag_core.settings import Settings
from ragctl.gateway.options import Backends, Endpoint, GatewayOptions, Jwt, Limits
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.interfaces import running_interfaces
from tests.support.postgres import outage
from tests.support.query_server import Doc, RunningServer, running
from tests.support.waiting import eventually
from tests.support.wire import gateway_options, running_envoy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
SECONDS = float(os.environ.get("ABUSE_SECONDS", "30"))
RATE = 20
SHARE = 0.25
"""Of one core, for the attacker's process."""
SUCCESS = 0.995
STRANGER = "127.0.0.66"
"""The attacker's address, with the limits of any address; the honest client comes from 127.0.0.1."""


@dataclass
class Served:
    """A real query server behind a gateway with the limits of an installation."""

    server: RunningServer
    options: GatewayOptions

    @property
    def address(self) -> str:
        return f"{self.options.listen.host}:{self.options.listen.port}"

    def gateway(self, name: str) -> int:
        """A counter or gauge of the gateway about the query servers."""
        url = f"http://127.0.0.1:{self.options.admin_port}/stats?filter=^cluster.query-blue.{name}$"
        return int(httpx.get(url, trust_env=False, timeout=60).text.rpartition(": ")[2])

    def held(self) -> float:
        """Places of the server that are taken."""
        value = self.server.server.metrics.registry.get_sample_value
        return sum(value("rag_server_gate_active", {"gate": gate}) or 0 for gate in ("search", "answer", "documents"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("abused")
    with ExitStack() as stack:
        large = [
            Doc("bell " * (size // 5), locator=f"large-{size}", tenant="hostile")
            for size in (16_384, 65_536, 262_144, 1_048_576)
        ]
        server = stack.enter_context(running(folder / "server", docs=[Doc("The bell rings at nine."), *large]))
        interfaces = stack.enter_context(running_interfaces(server))
        honest = Override("*", "honest", UNLIMITED, UNLIMITED)
        settings = Settings(home=folder)
        options = replace(
            gateway_options(server.ports.query),
            max_seconds=settings.max_deadline_seconds + 1,
            max_request_bytes=settings.max_message_bytes,
            jwt=Jwt("rag-platform", "rag-query", 60, jwks=json.dumps(server.keys.jwks)),
            limits=Limits(overrides=(honest,), free_addresses=("127.0.0.1",)),
            interfaces=Backends((Endpoint("127.0.0.1", int(interfaces.url.rpartition(":")[2])),)),
            searches=settings.search_slots + settings.max_queued_searches,
        )
        stack.enter_context(running_envoy(options, folder))
        yield Served(server, options)


async def search(served: Served) -> Outcome:
    """The honest client: searches at fixed moments, whatever the answers do."""
    metadata = served.server.auth(subject="honest")
    async with grpc.aio.insecure_channel(served.address) as channel:
        stub = v2_grpc.QueryServiceStub(channel)

        async def call(question: str) -> None:
            assert (await stub.Search(v2.SearchRequest(query=question), metadata=metadata, timeout=20)).passages

        asked = (f"bell {number}" for number in itertools.count())
        return await open_loop(call, asked, rate=RATE, seconds=SECONDS)


@pytest.mark.catalogue("A01", "A02", "A03", "A04", "A21")
@pytest.mark.parametrize("attack", [name for name in ATTACKS if name != BENIGN])
def test_an_honest_client_is_served_during(attack: str, served: Served) -> None:
    scopes = ["query.read", "documents.read"]
    tokens = tuple(
        served.server.keys.token(subject=f"stranger-{number}", tenant="hostile", scopes=scopes, lifetime=3600)
        for number in range(max(ADDRESSES))
    )
    unhealthy = served.gateway("health_check.failure")
    plan = Plan(attack, served.address, STRANGER, tokens, SECONDS, SHARE)
    away = outage(served.server.database_url) if "database is away" in attack else nullcontext()
    with away, attacking(plan) as process:
        found = asyncio.run(search(served))
        done = outcome(process)
    print(f"{attack}: {done}; honest: {found}")
    assert done.units > 0
    assert found.failed <= (1 - SUCCESS) * RATE * SECONDS
    assert served.gateway("membership_healthy") == 1
    assert served.gateway("health_check.failure") == unhealthy
    assert eventually(lambda: served.held() == 0 and served.gateway("upstream_rq_active") == 0)
