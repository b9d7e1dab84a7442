"""No kind of source connects to a part of the platform itself."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina

from rag_assets.connectors import connector_context, open_connector
from rag_assets.connectors.kinds import find_kind, installed_kinds
from rag_assets.connectors.servers import checked_addresses
from rag_assets.source_admin.browse import browse_source
from rag_assets.source_config import SourceConfig
from rag_core.errors import RagError
from rag_core.settings import Settings

_SQL = {"kind": "sql", "table": "t", "key": "id", "updated_at": "u", "content": "c"}
_FIELDS = {"id": "$.id", "content": "$.text"}


class Listener:
    """A port of this machine that counts who connects."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.connections = 0
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


_PORTS = {"postgresql", "mysql", "sftp", "smb", "imap"}
KINDS: dict[str, dict[str, Any]] = {
    "postgresql": {**_SQL, "database": {"driver": "postgresql", "host": "HOST", "name": "rag", "user": "rag"}},
    "mysql": {**_SQL, "database": {"driver": "mysql", "host": "HOST", "name": "rag", "user": "rag"}},
    "http_api": {"kind": "api", "url": "http://HOST:PORT/", "attempts": 1, "fields": _FIELDS},
    "web": {"kind": "site", "seeds": ["http://HOST:PORT/"], "delay_seconds": 0},
    "s3": {
        "kind": "s3", "bucket": "bucket", "endpoint": "http://HOST:PORT", "attempts": 1,
        "credentials": {"type": "anonymous"},
    },
    "git": {"kind": "git", "repository": "http://HOST:PORT/x.git", "attempts": 1},
    "sftp": {
        "kind": "sftp", "host": "HOST", "user": "rag", "attempts": 1, "host_keys": ["SHA256:" + "A" * 43],
        "login": {"type": "password", "password": {"env": "RAG_SECRET_NONE"}},
    },
    "smb": {
        "kind": "smb", "host": "HOST", "share": "docs", "user": "rag", "attempts": 1,
        "password": {"env": "RAG_SECRET_NONE"},
    },
    "imap": {
        "kind": "imap", "host": "HOST", "user": "rag", "attempts": 1,
        "login": {"type": "password", "password": {"env": "RAG_SECRET_NONE"}},
    },
    "confluence": {
        "kind": "confluence", "url": "http://HOST:PORT", "attempts": 1,
        "auth": {"type": "bearer", "token": {"env": "RAG_SECRET_NONE"}},
    },
    "jira": {
        "kind": "jira", "url": "http://HOST:PORT", "attempts": 1,
        "auth": {"type": "bearer", "token": {"env": "RAG_SECRET_NONE"}},
    },
    "azure": {
        "kind": "azure", "account": "archive", "container": "docs", "endpoint": "http://HOST:PORT", "attempts": 1,
        "credentials": {"type": "anonymous"},
    },
    "gcs": {
        "kind": "gcs", "bucket": "bucket", "endpoint": "http://HOST:PORT", "attempts": 1,
        "credentials": {"type": "anonymous"},
    },
    "google_drive": {
        "kind": "google_drive", "endpoint": "http://HOST:PORT", "attempts": 1,
        "credentials": {"type": "bearer", "token": {"env": "RAG_SECRET_NONE"}},
    },
    "slack": {
        "kind": "slack", "endpoint": "http://HOST:PORT", "files_endpoint": "http://HOST:PORT", "attempts": 1,
        "token": {"env": "RAG_SECRET_NONE"},
    },
    "sharepoint": {
        "kind": "sharepoint", "sites": ["http://HOST:PORT/sites/a"], "endpoint": "http://HOST:PORT", "attempts": 1,
        "authority": "http://HOST:PORT", "tenant_id": "a", "client_id": "b",
        "client_secret": {"env": "RAG_SECRET_NONE"},
    },
    "notion": {
        "kind": "notion", "endpoint": "http://HOST:PORT", "token": {"env": "RAG_SECRET_NONE"}, "attempts": 1,
    },
    "mediawiki": {"kind": "mediawiki", "url": "http://HOST:PORT/api.php", "attempts": 1},
    "redmine": {"kind": "redmine", "url": "http://HOST:PORT", "key": {"env": "RAG_SECRET_NONE"}, "attempts": 1},
    "webdav": {"kind": "webdav", "url": "http://HOST:PORT/", "attempts": 1},
    "kafka": {"kind": "topic", "brokers": "HOST:PORT", "topic": "t"},
}  # fmt: skip


def filled(value: Any, host: str, port: int) -> Any:
    """Options with a host and a port in the place of their marks."""
    if isinstance(value, dict):
        made = {key: filled(item, host, port) for key, item in value.items()}
        return made | ({"port": port} if {made.get("driver"), made.get("kind")} & _PORTS else {})
    if isinstance(value, list):
        return [filled(item, host, port) for item in value]
    return value.replace("HOST", host).replace("PORT", str(port)) if isinstance(value, str) else value


@pytest.mark.catalogue("A25")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_source_connects_to_a_part_of_the_platform(
    monkeypatch: pytest.MonkeyPatch, listener: Listener, tmp_path: Path, kind: str, host: str
) -> None:
    monkeypatch.setenv("RAG_SECRET_NONE", "x")
    options = filled(KINDS[kind], host, listener.port)
    config = SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": options})
    settings = Settings(
        home=tmp_path, fetch_allow_networks="127.0.0.0/8,::1/128", fetch_ports="1-65535", index_port=listener.port
    )
    before = listener.connections
    with (
        stamina.set_testing(True, attempts=1),
        open_connector(config, connector_context(config, settings)) as connector,
    ):
        found = connector.check()
        if find_kind(config.options.kind).browse is not None:
            with pytest.raises(RagError, match="SSRF_BLOCKED"):
                browse_source(config, settings)
    assert (found["ok"], "SSRF_BLOCKED" in str(found["error"])) == (False, True)
    assert listener.connections == before


def test_every_kind_that_connects_is_tried() -> None:
    # A reader of LlamaIndex connects to whatever it wants: only an administrator of the platform may add one.
    others = {"folder", "llama_index"}
    assert {options["kind"] for options in KINDS.values()} | others == {one.name for one in installed_kinds()}


def test_a_database_name_without_an_address_and_one_that_is_refused_are_one_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def message(addresses: list[str]) -> tuple[type[RagError], str]:
        monkeypatch.setattr("rag_assets.connectors.servers.system_resolver", lambda *_: addresses)
        with pytest.raises(RagError) as caught:
            checked_addresses("db.corp.example", 5432)
        return type(caught.value), str(caught.value)

    assert message([]) == message(["169.254.169.254"])
