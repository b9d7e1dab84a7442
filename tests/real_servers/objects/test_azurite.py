"""Azure sources against Azurite: the contract of connectors with the account's key and with a SAS, and odd names."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from benchmarks.ports import free_port
from rag_assets.testing import ConnectorSuite
from rag_core.content.sources import SourceItem
from tests.contract.connectors.test_files import ODD_NAMES

AZURITE = os.environ.get("RAG_TEST_AZURITE") or shutil.which("azurite-blob")
pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(
        AZURITE is None, reason="no azurite-blob (npm install azurite), and RAG_TEST_AZURITE names none"
    ),
]
ACCOUNT, VERSION = "devstoreaccount1", "2021-08-06"
KEY = base64.b64encode(b"the key of this server alone").decode()


def sign(text: str) -> str:
    return base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()


def shared_access(container: str) -> str:
    """A signature of the container that may read and list, as its documentation has it for this version."""
    end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = ["rl", "", end, f"/blob/{ACCOUNT}/{container}", "", "", "", VERSION, "c", *[""] * 7]
    return urlencode({"sv": VERSION, "sr": "c", "sp": "rl", "se": end, "sig": sign("\n".join(fields))})


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server with an account of its own."""
    port, folder = free_port(), tmp_path_factory.mktemp("azurite")
    command = [str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent", "--location", str(folder)]
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 5).close()
            break
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(60)


class Container:
    """A new container, which writes through requests of its own."""

    _numbers = itertools.count()

    def __init__(self, url: str) -> None:
        self.name = f"docs{next(self._numbers)}"
        self.http = httpx.Client(base_url=url, timeout=60)
        self.options: dict[str, Any] = {
            "kind": "azure", "account": ACCOUNT, "container": self.name, "endpoint": f"{url}/{ACCOUNT}", "attempts": 1,
            "credentials": {"type": "key", "account_key": {"env": "RAG_SECRET_AZURE"}},
        }  # fmt: skip
        self._send("PUT", "", {"restype": "container"})

    def put(self, name: str, text: str) -> None:
        self._send("PUT", name, {}, text.encode())

    def remove(self, name: str) -> None:
        self._send("DELETE", name, {})

    def lose(self) -> None:
        self._send("DELETE", "", {"restype": "container"})

    def _send(self, method: str, name: str, query: dict[str, str], body: bytes = b"") -> None:
        path = f"/{ACCOUNT}/{self.name}" + (f"/{quote(name, safe='/')}" if name else "")
        headers = {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True), "x-ms-version": VERSION}
        headers |= {"x-ms-blob-type": "BlockBlob"} if name and method == "PUT" else {}
        marks = "\n".join(f"{key}:{headers[key]}" for key in sorted(headers))
        resource = "\n".join([f"/{ACCOUNT}{path}", *(f"{key}:{value}" for key, value in sorted(query.items()))])
        length = str(len(body)) if body else ""
        text = "\n".join([method, "", "", length, *[""] * 8, marks, resource])
        headers["authorization"] = f"SharedKey {ACCOUNT}:{sign(text)}"
        self.http.request(method, path, params=query, content=body, headers=headers).raise_for_status()


@pytest.fixture(params=["key", "sas"])
def place(request: pytest.FixtureRequest, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Container]:
    found = Container(azurite)
    monkeypatch.setenv("RAG_SECRET_AZURE", KEY)
    if request.param == "sas":
        monkeypatch.setenv("RAG_SECRET_AZURE", shared_access(found.name))
        found.options["credentials"] = {"type": "sas", "sas": {"env": "RAG_SECRET_AZURE"}}
    yield found
    found.http.close()


class TestAzurite(ConnectorSuite):
    """The suite of every connector."""

    def test_odd_names_are_listed_once_and_read_as_they_are(self, place: Container) -> None:
        for name in ODD_NAMES:
            place.put(name, f"text of {name}")
        with self.connect(place) as connector:
            items = [entry for entry in connector.list_items() if isinstance(entry, SourceItem)]
            texts = sorted(connector.fetch(item).content.decode() for item in items)
        assert texts == sorted(f"text of {name}" for name in ODD_NAMES)
