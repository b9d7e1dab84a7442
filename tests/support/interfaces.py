"""The open interfaces in a thread, over a real query server, with or without a real gateway before them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import Connection, create_engine, make_url

from interfaces.server import uvicorn_config
from interfaces.settings import InterfacesSettings
from rag_core.governance.access import NewKey, create_key
from ragctl.gateway.options import Backends, Endpoint, Jwt, Limits
from tests.support.query_server import RunningServer
from tests.support.waiting import eventually
from tests.support.wire import free_port, gateway_options, running_envoy

SCOPES = ["query.read", "documents.read", "documents.write"]


@dataclass
class OpenInterfaces:
    """Where they listen, and the server behind them."""

    url: str
    server: RunningServer

    def token(self, **claims: Any) -> str:
        """A token of somebody who may ask, read and push."""
        return self.server.keys.token(**({"scopes": SCOPES} | claims))

    def new_key(self, tenant: str = "acme") -> str:
        """An API key that may ask."""
        with self.database() as connection:
            return create_key(connection, NewKey("test", tenant, scopes=("query.read",)), actor="test").text

    @contextmanager
    def database(self) -> Iterator[Connection]:
        """A transaction in the server's database."""
        engine = create_engine(make_url(self.server.database_url).set(drivername="postgresql+psycopg"))
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()


@contextmanager
def running_interfaces(server: RunningServer, **changes: Any) -> Iterator[OpenInterfaces]:
    """The service alone, on a free port."""
    port = free_port()
    settings = InterfacesSettings(query_address=server.target, port=port, **changes)
    service = uvicorn.Server(uvicorn_config(settings))
    thread = threading.Thread(target=service.run, daemon=True)
    thread.start()
    try:
        assert eventually(lambda: service.started)
        yield OpenInterfaces(f"http://127.0.0.1:{port}", server)
    finally:
        service.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the service does not stop"


@contextmanager
def behind_gateway(found: OpenInterfaces, folder: Path, **changes: Any) -> Iterator[OpenInterfaces]:
    """The same behind Envoy, which verifies tokens."""
    ports = found.server.ports
    wanted: dict[str, Any] = {
        "blue": Backends((Endpoint("127.0.0.1", ports.query),), (Endpoint("127.0.0.1", ports.metrics),)),
        "jwt": Jwt("rag-platform", "rag-query", 60, jwks=found.server.keys.path.read_text("utf-8")),
        "interfaces": Backends((Endpoint("127.0.0.1", int(found.url.rpartition(":")[2])),)),
        "limits": Limits(per_minute=0, per_hour=0, ip_per_minute=0, pages_per_minute=0, refused_keys_per_minute=0),
    }
    options = replace(gateway_options(ports.query), **(wanted | changes))
    with running_envoy(options, folder) as address:
        yield OpenInterfaces(f"http://{address}", found.server)
