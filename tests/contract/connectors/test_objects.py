"""Azure and Google Cloud sources against fakes that follow the services' documentation: the suite of all connectors."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rag_assets.connectors import open_connector
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_assets.testing import LOOPBACK, Answer, ConnectorSuite, FakeServer
from rag_assets.testing.fake_server import Asked
from rag_core.content.sources import Problem, SourceItem
from tests.contract.connectors.test_files import ODD_NAMES

PAGE = 5


class Store:
    """Objects that a fake shows page by page; each write gives a new tag and time."""

    def __init__(self, server: FakeServer) -> None:
        self.server, self.texts, self._clock = server, dict[str, tuple[bytes, int]](), itertools.count(1_700_000_000)
        self.tokens = {"first"}

    def put(self, name: str, text: str) -> None:
        self.texts[name] = text.encode(), next(self._clock)

    def remove(self, name: str) -> None:
        del self.texts[name]

    def lose(self) -> None:
        self.server.lose()

    def page(self, asked: Asked, marker: str) -> tuple[list[str], str]:
        """The keys of a page, and where the next one begins."""
        keys = sorted(key for key in self.texts if key.startswith(asked.query.get("prefix", "")))
        start = int(asked.query.get(marker, "0"))
        more = str(start + PAGE) if len(keys) > start + PAGE else ""
        return keys[start : start + PAGE], more


class Azure(Store):
    """https://learn.microsoft.com/rest/api/storageservices/list-blobs, get-blob, authorize-with-shared-key."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server)
        server.reply("/acme/docs*", self._answer)
        self.options: dict[str, Any] = {
            "kind": "azure", "account": "acme", "container": "docs", "endpoint": server.url("/acme"), "attempts": 1,
            "credentials": {"type": "sas", "sas": {"env": "RAG_SECRET_SAS"}},
        }  # fmt: skip

    def _answer(self, asked: Asked) -> Answer:
        if asked.query.get("sig") != "s+/=" or not asked.headers.get("x-ms-version"):
            return Answer(status=403)
        if asked.query.get("comp") == "list":
            return self._listing(asked)
        found = self.texts.get(asked.path.removeprefix("/acme/docs/"))
        if found is None:
            return Answer(status=404)
        time = format_datetime(datetime.fromtimestamp(found[1], UTC), usegmt=True)
        return Answer(found[0], headers={"etag": f'"0x{found[1]:X}"', "last-modified": time})

    def _listing(self, asked: Asked) -> Answer:
        keys, more = self.page(asked, "marker")
        rows = "".join(
            f"<Blob><Name>{escape(key)}</Name><Properties><Etag>0x{self.texts[key][1]:X}</Etag>"
            f"<Content-Length>{len(self.texts[key][0])}</Content-Length><AccessTier>Hot</AccessTier>"
            "<BlobType>BlockBlob</BlobType></Properties></Blob>"
            for key in keys
        )
        folder = "<Blob><Name>deep</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>"
        text = f"<Blobs>{folder}{rows}</Blobs><NextMarker>{more}</NextMarker>"
        head = '\ufeff<?xml version="1.0" encoding="utf-8"?>'
        body = f'{head}<EnumerationResults ContainerName="docs">{text}</EnumerationResults>'
        return Answer(body.encode(), headers={"content-type": "application/xml"})


class Gcs(Store):
    """https://cloud.google.com/storage/docs/json_api/v1/objects, and its tokens for a service account."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server)
        key = rsa.generate_private_key(65537, 2048)
        self.public = key.public_key()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {"client_email": "reader@acme.iam.gserviceaccount.com", "private_key": pem.decode()}
        self.key = json.dumps(account)
        server.reply("/storage/v1/b/acme-docs/o*", self._answer)
        server.reply("/token", self._token)
        self.options: dict[str, Any] = {
            "kind": "gcs", "bucket": "acme-docs", "endpoint": server.url(), "attempts": 1,
            "credentials": {"type": "service_account", "key": {"env": "RAG_SECRET_GCS"},
                            "token_url": server.url("/token")},
        }  # fmt: skip

    def _token(self, asked: Asked) -> Answer:
        form = dict(part.split("=") for part in asked.body.decode().split("&"))
        said = jwt.decode(form["assertion"], self.public, ["RS256"], audience=self.server.url("/token"))
        assert (said["iss"], said["scope"]) == (
            "reader@acme.iam.gserviceaccount.com", "https://www.googleapis.com/auth/devstorage.read_only"
        )  # fmt: skip
        return Answer.json({"access_token": max(self.tokens), "expires_in": 3600})

    def _answer(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return Answer(status=401)
        if asked.query.get("alt") == "media":
            found = self.texts.get(asked.path.removeprefix("/storage/v1/b/acme-docs/o/"))
            return (
                Answer(status=404) if found is None else Answer(found[0], headers={"x-goog-generation": str(found[1])})
            )
        keys, more = self.page(asked, "pageToken")
        items = [
            {"name": key, "generation": str(self.texts[key][1]), "size": str(len(self.texts[key][0])),
             "updated": "2026-11-30T10:00:00.123Z"}
            for key in keys
        ]  # fmt: skip
        return Answer.json({"kind": "storage#objects", "items": items} | ({"nextPageToken": more} if more else {}))


@pytest.fixture(params=[Azure, Gcs])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with FakeServer() as server:
        made = request.param(server)
        monkeypatch.setenv("RAG_SECRET_SAS", "?sv=2021-08-06&sp=rl&sig=s%2B%2F%3D")
        monkeypatch.setenv("RAG_SECRET_GCS", getattr(made, "key", "none"))
        yield made


def read(place: Store, **more: object) -> tuple[dict[str, str], list[Problem], str | None]:
    """Texts by locator, problems, and why the listing is not complete."""
    config = SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": {**place.options, **more}})
    with open_connector(config, ConnectorContext(fetch_policy=LOOPBACK)) as connector:
        listing = connector.list_items()
        entries = list(listing)
        texts = {one.locator: connector.fetch(one).content.decode() for one in entries if isinstance(one, SourceItem)}
    assert listing.complete == (listing.error is None)
    return texts, [one for one in entries if isinstance(one, Problem)], listing.error


class TestObjects(ConnectorSuite):
    """The suite of every connector."""


def test_odd_names_of_several_pages_are_listed_once_and_read_as_they_are(place: Store) -> None:
    for name in ODD_NAMES:
        place.put(name, f"text of {name}")
    texts, problems, error = read(place)
    assert sorted(texts.values()) == sorted(f"text of {name}" for name in ODD_NAMES)
    assert (problems, error, len(ODD_NAMES) > 2 * PAGE) == ([], None, True)


def test_prefix_globs_sizes_and_the_limit_of_objects(place: Store) -> None:
    for name in ("g/a.md", "g/b.txt", "g/drafts/c.md", "g/sub/", "h/d.md"):
        place.put(name, "" if name.endswith("/") else name)
    place.put("g/big.md", "x" * 2000)
    texts, problems, error = read(place, prefix="g/", include=["**/*.md"], exclude=["drafts"], max_file_bytes=1000)
    assert (list(texts), [one.reason for one in problems], error) == (["g/a.md"], ["FILE_TOO_LARGE"], None)
    assert "max_objects (2)" in str(read(place, max_objects=2)[2])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"<html>Sign in</html>", headers={"content-type": "text/html"}), "RESPONSE_INVALID"),
        (Answer(b'{"kind": "other"}'), "RESPONSE_INVALID"),
        (Answer(b"<EnumerationResults/>"), "RESPONSE_INVALID"),
        (Answer(status=404), "SOURCE_UNAVAILABLE"),
        (Answer(status=403), "ACCESS_REFUSED"),
        (Answer(status=302, headers={"location": "http://127.0.0.2:9/"}), "HTTP_STATUS"),
        (Answer(status=429), "RATE_LIMITED"),
    ],
)
def test_an_answer_that_is_no_listing_is_no_empty_store(place: Store, answer: Answer, reason: str) -> None:
    path = "/acme/docs" if isinstance(place, Azure) else "/storage/v1/b/acme-docs/o"
    place.server.fail(path, answer)
    texts, _, error = read(place)
    assert (texts, str(error).partition(":")[0]) == ({}, reason)


@pytest.mark.parametrize("place", [Gcs], indirect=True)
def test_a_token_that_ends_in_the_middle_is_replaced(place: Store) -> None:
    for number in range(PAGE + 1):
        place.put(f"{number}.txt", "text")
    place.server.fail("/storage/v1/b/acme-docs/o", Answer(status=401))
    place.tokens = {"second"}
    assert (len(read(place)[0]), [one.path for one in place.server.requests].count("/token")) == (PAGE + 1, 2)


@pytest.mark.parametrize("place", [Azure], indirect=True)
def test_a_wrong_key_is_named_and_never_shown(place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"type": "key", "account_key": {"env": "RAG_SECRET_SAS"}}
    monkeypatch.setenv("RAG_SECRET_SAS", "not base64")
    assert str(read(place, credentials=login)[2]).startswith("SECRET_WEAK")
    monkeypatch.setenv("RAG_SECRET_SAS", base64.b64encode(hashlib.sha256().digest()).decode())
    assert str(read(place, credentials=login)[2]).startswith("ACCESS_REFUSED")  # it wants a signature of the other kind
