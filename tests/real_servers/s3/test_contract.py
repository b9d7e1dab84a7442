"""The S3 source against a real service: keys as they are, versions, a customer's key, and who is refused."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import stamina

from rag_assets.config import SourceConfig
from rag_assets.connectors import open_connector
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.testing import ConnectorSuite, Place
from rag_core.content.sources import Connector, Problem, SourceItem
from rag_core.errors import InvalidInput, Reason
from tests.real_servers.s3.conftest import MakeBucket
from tests.support.s3 import ID_VARIABLE, SECRET_VARIABLE
from tests.support.sites import POLICY

pytestmark = pytest.mark.real_servers


@contextmanager
def opened(options: dict[str, Any]) -> Iterator[Connector]:
    config = SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": options})
    context = ConnectorContext(fetch_policy=POLICY)
    with stamina.set_testing(True, attempts=2), open_connector(config, context) as connector:
        yield connector


def items(connector: Connector) -> list[SourceItem]:
    listing = connector.list_items()
    entries = list(listing)
    assert (listing.complete, listing.error) == (True, None)
    assert not [one for one in entries if isinstance(one, Problem)]
    return [one for one in entries if isinstance(one, SourceItem)]


def test_keys_are_read_as_they_are_over_pages_and_changes_are_seen(make_bucket: MakeBucket) -> None:
    bucket = make_bucket()
    odd = ["a b+c&d=e.txt", "手册/泵.md", "100%41.txt", "x/'(!*).txt", "?q.txt"]
    for key in odd:
        bucket.put(key, key.encode())
    api = bucket.api
    for number in range(1001):
        api.put_object(Bucket=bucket.name, Key=f"many/{number:04}", Body=b"x")
    with opened(bucket.options()) as connector:
        found = {item.locator: item for item in items(connector)}
        assert len(found) == 1001 + len(odd)
        texts = [connector.fetch(found[key.replace("%41", "%2541")]).content.decode() for key in odd]
        assert texts == odd
        tag = connector.version_tag()
        assert connector.version_tag() == tag
        bucket.put("many/0500", b"another")
        bucket.delete("many/0501")
        after = {item.locator: item for item in items(connector)}
        assert found.keys() - after.keys() == {"many/0501"}
        assert {key for key, item in after.items() if item.version_tag != found[key].version_tag} == {"many/0500"}
        assert connector.version_tag() != tag
    bucket_of_many = [{"Key": f"many/{number:04}"} for number in range(1000)]
    api.delete_objects(Bucket=bucket.name, Delete={"Objects": bucket_of_many})


def test_the_listed_version_is_read(make_bucket: MakeBucket) -> None:
    bucket = make_bucket(versioned=True)
    bucket.put("a.txt", b"one")
    with opened(bucket.options(version_ids=True)) as connector:
        (item,) = items(connector)
        bucket.put("a.txt", b"two")
        assert connector.fetch(item).content == b"one"
        (newer,) = items(connector)
        assert connector.fetch(newer).content == b"two"
        bucket.delete("a.txt")
        assert items(connector) == []


def test_an_object_under_a_customers_key(make_bucket: MakeBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, key = make_bucket(), os.urandom(32)
    bucket.put("a.txt", b"hidden", SSECustomerAlgorithm="AES256", SSECustomerKey=key)
    monkeypatch.setenv("RAG_SECRET_SSE", base64.b64encode(key).decode())
    with opened(bucket.options(sse_customer_key={"env": "RAG_SECRET_SSE"})) as connector:
        (item,) = items(connector)
        assert connector.fetch(item).content == b"hidden"
    with opened(bucket.options()) as connector, pytest.raises(InvalidInput) as caught:
        connector.fetch(item)
    assert caught.value.reason is Reason.ENCRYPTED


def test_wrong_keys_and_a_missing_bucket_are_named(make_bucket: MakeBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = make_bucket()
    bucket.put("a.txt", b"x")
    options = bucket.options()
    for variable in (ID_VARIABLE, SECRET_VARIABLE):
        with monkeypatch.context() as patched, opened(options) as connector:
            patched.setenv(variable, "wrong-and-unknown")
            assert connector.check()["error"].startswith("ACCESS_REFUSED: ")
    with opened(options | {"bucket": "nobody-has-this-one"}) as connector:
        assert connector.check()["error"].startswith("SOURCE_UNAVAILABLE: ")


class _Objects:
    """A bucket as a place of the published suite."""

    def __init__(self, make_bucket: MakeBucket) -> None:
        self._bucket = make_bucket()
        self.options = self._bucket.options(attempts=1)

    def put(self, name: str, text: str) -> None:
        self._bucket.put(name, text.encode())

    def remove(self, name: str) -> None:
        self._bucket.delete(name)

    def lose(self) -> None:
        self.options["bucket"] = "nobody-has-this-one"


class TestSuite(ConnectorSuite):
    @pytest.fixture
    def place(self, make_bucket: MakeBucket) -> Place:
        return _Objects(make_bucket)
