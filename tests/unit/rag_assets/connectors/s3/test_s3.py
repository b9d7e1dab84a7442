"""The S3 source against moto's server: keys, versions, encryption, credentials, limits and refusals."""

from __future__ import annotations

import base64
import gzip
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import stamina
from pydantic import ValidationError
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_assets.config import SourceConfig
from rag_assets.connectors import open_connector
from rag_assets.connectors.allowances import reach_of, require_allowed
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.s3.connector import S3Connector
from rag_core.content.sources import Problem, Removed, SourceItem
from rag_core.content.streams import read_message
from rag_core.errors import ConfigError, InvalidInput, PermissionDenied, Reason, Unavailable
from rag_core.http_client import FetchPolicy
from rag_core.settings import SourceAllowance
from tests.support.s3 import Bucket
from tests.support.sites import POLICY


def config(options: dict[str, Any]) -> SourceConfig:
    return SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": options})


@contextmanager
def opened(options: dict[str, Any], policy: FetchPolicy = POLICY, limit: int = 1_000_000) -> Iterator[S3Connector]:
    with (
        stamina.set_testing(True, attempts=2),
        open_connector(config(options), ConnectorContext(limit, policy)) as connector,
    ):
        assert isinstance(connector, S3Connector)
        yield connector


def listed(connector: S3Connector) -> list[SourceItem | Problem]:
    listing = connector.list_items()
    entries = list(listing)
    assert (listing.complete, listing.error) == (True, None)
    return entries


def texts(connector: S3Connector) -> dict[str, str]:
    return {
        one.locator: connector.fetch(one).content.decode() for one in listed(connector) if isinstance(one, SourceItem)
    }


@pytest.fixture(scope="module")
def bucket() -> Bucket:
    """Shared by tests that each have a prefix of their own."""
    return Bucket.made()


@pytest.mark.parametrize(
    "key", ["plain.txt", "a b+c&d=e%20f.txt", "手册/泵.md", "a//b.txt", "~x/'(!*).txt", "100%41.txt", "?q#f.txt"]
)
def test_every_key_is_listed_and_read_as_itself(bucket: Bucket, key: str) -> None:
    bucket.put(f"keys/{key}", key.encode())
    with opened(bucket.options(prefix=f"keys/{key}")) as connector:
        (item,) = listed(connector)
        assert isinstance(item, SourceItem)
        assert connector.fetch(item).content.decode() == key


def test_a_key_that_a_url_cannot_name_and_one_that_hides_are_no_surprise(bucket: Bucket) -> None:
    bucket.put("odd/../up.txt", b"x")
    bucket.put("odd/\u202etxt.exe", b"y")
    with opened(bucket.options(prefix="odd/")) as connector:
        problem, item = listed(connector)
        assert isinstance(problem, Problem)
        assert (problem.locator, problem.reason) == ("odd/../up.txt", "ID_CHARS")
        assert isinstance(item, SourceItem)
        assert (item.locator, connector.fetch(item).content) == ("odd/%E2%80%AEtxt.exe", b"y")


def test_globs_prefix_and_folders_of_consoles(bucket: Bucket) -> None:
    for key in ("g/a.md", "g/a.txt", "g/drafts/b.md", "g/sub/c.md", "g/sub/", "h/d.md"):
        bucket.put(key, b"" if key.endswith("/") else b"x")
    with opened(bucket.options(prefix="g/", include=["**/*.md"], exclude=["drafts"])) as connector:
        assert [entry.locator for entry in listed(connector)] == ["g/a.md", "g/sub/c.md"]


def test_what_is_too_large_or_archived_is_said_and_not_read(bucket: Bucket) -> None:
    bucket.put("big/a.txt", b"x" * 2000)
    bucket.put("big/b.txt", b"x", StorageClass="GLACIER")
    with opened(bucket.options(prefix="big/", max_file_bytes=1000)) as connector:
        found = [(one.reason, one.skipped) for one in listed(connector) if isinstance(one, Problem)]
    assert found == [("FILE_TOO_LARGE", False), ("UNREADABLE", True)]


def test_an_object_that_grew_after_the_listing_is_not_read_past_the_limit(bucket: Bucket) -> None:
    bucket.put("grown/a.txt", b"x")
    with opened(bucket.options(prefix="grown/"), limit=100) as connector:
        (item,) = listed(connector)
        bucket.put("grown/a.txt", b"x" * 200)
        with pytest.raises(InvalidInput) as caught:
            connector.fetch(item)  # type: ignore[arg-type]
    assert caught.value.reason is Reason.FILE_TOO_LARGE


def test_pages_and_the_limit_of_objects(bucket: Bucket) -> None:
    bucket.put_many({f"many/{number:04}": "x" for number in range(1005)})
    with opened(bucket.options(prefix="many/")) as connector:
        assert len(listed(connector)) == 1005
    with opened(bucket.options(prefix="many/", max_objects=1000)) as connector:
        listing = connector.list_items()
        assert len(list(listing)) == 1000
        assert (listing.complete, str(listing.error).partition(":")[0]) == (False, "LISTING_INCOMPLETE")
    with opened(bucket.options(prefix="many/", polled_objects=1000)) as connector:
        before = connector.version_tag()
        bucket.put("many/0001", b"y")
        assert (following := connector.version_tag()) != before
        bucket.put("many/1004", b"y")  # beyond what the sensor compares, as the option says
        assert connector.version_tag() == following


def test_the_listed_version_is_read_although_there_is_a_newer_one() -> None:
    versioned = Bucket.made(versioned=True)
    first = versioned.put("a.txt", b"one")
    with opened(versioned.options(version_ids=True)) as connector:
        (item,) = listed(connector)
        assert isinstance(item, SourceItem)
        assert item.version_tag.startswith(f"{first}:")
        versioned.put("a.txt", b"two")
        assert connector.fetch(item).content == b"one"
        (newer,) = listed(connector)
        assert newer != item
        versioned.delete("a.txt")  # leaves a marker, which is no object
        assert listed(connector) == []
    with opened(versioned.options()) as connector:
        versioned.put("b.txt", b"three")
        (item,) = listed(connector)
        assert isinstance(item, SourceItem)
        assert connector.fetch(item).item.version_tag == item.version_tag


def test_looking_up_says_what_each_named_object_is_now(bucket: Bucket) -> None:
    bucket.put("look/a.txt", b"x")
    with opened(bucket.options(prefix="look/")) as connector:
        (item,) = listed(connector)
        found = connector.look_up(["look/a.txt", "look/gone.txt", "elsewhere.txt"])
        named = [(SourceItem, "look/a.txt"), (Removed, "look/gone.txt"), (Removed, "elsewhere.txt")]
        assert [(type(one), one.locator) for one in found] == named
        assert isinstance(found[0], SourceItem)
        assert isinstance(item, SourceItem)
        assert found[0].version_tag == item.version_tag


def test_an_object_under_a_customers_key_is_read_with_it_and_named_without_it(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = os.urandom(32)
    bucket.put("secret/a.txt", b"hidden", SSECustomerAlgorithm="AES256", SSECustomerKey=key)
    monkeypatch.setenv("RAG_SECRET_SSE", base64.b64encode(key).decode())
    with opened(bucket.options(prefix="secret/", sse_customer_key={"env": "RAG_SECRET_SSE"})) as connector:
        assert texts(connector) == {"secret/a.txt": "hidden"}
    monkeypatch.setenv("RAG_SECRET_SSE", "c2hvcnQ=")
    with (
        opened(bucket.options(prefix="secret/", sse_customer_key={"env": "RAG_SECRET_SSE"})) as connector,
        pytest.raises(ConfigError) as caught,
    ):
        texts(connector)
    assert caught.value.reason is Reason.SECRET_WEAK


def test_an_object_that_needs_a_customers_key_is_named_as_such(httpserver: HTTPServer, bucket: Bucket) -> None:
    """As S3 answers; moto gives it to anybody."""
    error = "<Error><Code>InvalidRequest</Code><Message>The correct parameters must be provided</Message></Error>"
    httpserver.expect_request(f"/{bucket.name}/a.txt").respond_with_data(error, 400, content_type="application/xml")
    options = bucket.options() | {"endpoint": httpserver.url_for("").rstrip("/")}
    with opened(options) as connector, pytest.raises(InvalidInput, match="sse_customer_key") as caught:
        connector.fetch(SourceItem("a.txt", "tag"))
    assert caught.value.reason is Reason.ENCRYPTED


def test_a_customers_key_never_goes_out_in_clear(bucket: Bucket) -> None:
    with pytest.raises(ValidationError, match="https"):
        config(bucket.options() | {"endpoint": "http://s3.example.org", "sse_customer_key": {"env": "RAG_SECRET_X"}})


# --------------------------------------------------------------------------------------------------------------------
# Who may, and where it leads.


def test_a_bucket_that_is_not_there_and_one_that_is_closed_are_errors_of_the_source(bucket: Bucket) -> None:
    with opened(bucket.options() | {"bucket": "nobody-has-this-one"}) as connector:
        assert connector.check()["error"].startswith(
            "SOURCE_UNAVAILABLE: the bucket nobody-has-this-one does not exist"
        )
    bucket.put("closed/a.txt", b"x")
    with opened(bucket.options(prefix="closed/") | {"credentials": {"type": "anonymous"}}) as connector:
        assert connector.check()["error"].startswith("ACCESS_REFUSED: ")


def test_the_endpoint_obeys_the_rules_of_every_call_outside(bucket: Bucket) -> None:
    with opened(bucket.options(), FetchPolicy(ports=POLICY.ports)) as connector:
        assert connector.check()["error"].startswith("SSRF_BLOCKED: 127.0.0.1 is a loopback address")
    with opened(bucket.options(), FetchPolicy(POLICY.addresses)) as connector:
        assert connector.check()["error"].startswith("URL_PORT: ")


def test_a_redirect_of_the_service_is_not_followed_to_another_host(httpserver: HTTPServer, bucket: Bucket) -> None:
    asked = []

    def elsewhere(request: Request) -> Response:
        asked.append(request.host)
        return Response(status=307, headers={"location": "http://169.254.169.254/latest/meta-data/"})

    httpserver.expect_request("/" + bucket.name).respond_with_handler(elsewhere)
    with opened(bucket.options() | {"endpoint": httpserver.url_for("").rstrip("/")}) as connector:
        error = connector.check()["error"]
    assert error.startswith("CROSS_ORIGIN: ")
    assert set(asked) == {f"{httpserver.host}:{httpserver.port}"}


def test_a_service_that_asks_for_patience_is_asked_again(httpserver: HTTPServer, bucket: Bucket) -> None:
    answers = iter([
        Response("<Error><Code>SlowDown</Code></Error>", 503, {"retry-after": "0"}),
        Response('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'),
    ])  # fmt: skip
    httpserver.expect_request("/" + bucket.name).respond_with_handler(lambda _: next(answers))
    with opened(bucket.options() | {"endpoint": httpserver.url_for("").rstrip("/")}) as connector:
        assert listed(connector) == []


def test_an_answer_that_is_no_listing_never_empties_the_source(httpserver: HTTPServer, bucket: Bucket) -> None:
    httpserver.expect_request("/" + bucket.name).respond_with_data(
        "<html><body>sign in</body></html>", 200, content_type="text/html"
    )
    with opened(bucket.options() | {"endpoint": httpserver.url_for("").rstrip("/")}) as connector:
        listing = connector.list_items()
        assert (list(listing), listing.complete) == ([], False)
        assert str(listing.error).startswith("RESPONSE_INVALID: ")


def test_a_secret_that_is_not_set_is_named(bucket: Bucket) -> None:
    options = bucket.options()
    options["credentials"]["secret_access_key"] = {"env": "RAG_SECRET_NOT_SET"}
    with opened(options) as connector:
        listing = connector.list_items()
        assert (list(listing), str(listing.error)) == (
            [],
            "SECRET_MISSING: RAG_SECRET_NOT_SET is not set, cannot be read or is empty",
        )


def test_the_role_of_the_machine_is_used_and_nothing_that_belongs_to_a_person(
    httpserver: HTTPServer, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The machine's metadata service gives the role's keys; a person's file and variables are not looked at."""
    own = tmp_path / "credentials"
    own.write_text("[default]\naws_access_key_id=PERSON\naws_secret_access_key=x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(own))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "PERSON")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", httpserver.url_for("/"))
    signed = []

    def bucket_of(request: Request) -> Response:
        signed.append(request.headers["authorization"].partition("Credential=")[2].partition("/")[0])
        return Response("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")

    role = {"Code": "Success", "AccessKeyId": "ROLE", "SecretAccessKey": "y", "Token": "t",
            "Expiration": "2099-01-01T00:00:00Z"}  # fmt: skip
    httpserver.expect_request("/latest/api/token").respond_with_data("token")
    httpserver.expect_request("/latest/meta-data/iam/security-credentials/").respond_with_data("the-role")
    httpserver.expect_request("/latest/meta-data/iam/security-credentials/the-role").respond_with_json(role)
    httpserver.expect_request("/" + bucket.name).respond_with_handler(bucket_of)
    options = bucket.options() | {"endpoint": httpserver.url_for("").rstrip("/"), "credentials": {"type": "instance"}}
    with opened(options) as connector:
        assert listed(connector) == []
    assert signed == ["ROLE"]
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with opened(options) as connector, pytest.raises(ConfigError):
        connector.fetch(SourceItem("a.txt", "1"))


def test_a_tenant_uses_the_platforms_own_role_only_where_a_list_says_so(bucket: Bucket) -> None:
    options = bucket.options() | {"endpoint": "https://s3.acme.example", "credentials": {"type": "instance"}}
    hosts = ("s3.acme.example",)
    with pytest.raises(PermissionDenied, match="instance:aws"):
        require_allowed(config(options), "acme", SourceAllowance(hosts=hosts, secrets=("env:RAG_SECRET_A*",)))
    require_allowed(config(options), "acme", SourceAllowance(hosts=hosts, secrets=("instance:aws",)))
    amazon = {name: value for name, value in options.items() if name != "endpoint"}
    with pytest.raises(PermissionDenied, match=r"s3\.us-east-1\.amazonaws\.com"):
        require_allowed(config(amazon), "acme", SourceAllowance(hosts=hosts, secrets=("instance:aws",)))


def test_a_service_that_is_away_is_unavailable_and_not_empty(bucket: Bucket) -> None:
    with opened(bucket.options() | {"endpoint": "http://127.0.0.1:9"}) as connector:
        with pytest.raises(Unavailable):
            connector.fetch(SourceItem("a", "b"))
        assert connector.check()["error"].startswith("HOST_UNREACHABLE: ")


def test_an_object_that_is_sent_compressed_is_read_as_it_was_stored(httpserver: HTTPServer) -> None:
    packed = gzip.compress(b"Pump 7 needs oil. " * 50)
    listing = (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>'
        "<Contents><Key>a.txt</Key><Size>900</Size><ETag>&quot;1&quot;</ETag></Contents></ListBucketResult>"
    )
    httpserver.expect_request("/handbook").respond_with_data(listing)
    sent = {"content-encoding": "gzip", "etag": '"1"'}
    httpserver.expect_request("/handbook/a.txt").respond_with_data(packed, headers=sent, content_type="text/plain")
    options = {
        "kind": "s3",
        "bucket": "handbook",
        "endpoint": httpserver.url_for("").rstrip("/"),
        "credentials": {"type": "anonymous"},
    }
    with opened(options) as connector:
        assert texts(connector) == {"a.txt": "Pump 7 needs oil. " * 50}


def test_a_key_of_an_event_that_is_no_text_is_refused() -> None:
    body = json.dumps({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "\ud800"}}}]})
    with pytest.raises(InvalidInput, match="VALUE_INVALID"):
        read_message(body)


def test_the_host_of_an_endpoint_without_paths_is_that_of_the_bucket() -> None:
    endpoint = {
        "kind": "s3",
        "bucket": "intranet",
        "endpoint": "https://example.org",
        "credentials": {"type": "anonymous"},
    }
    allowed = SourceAllowance(hosts=("example.org",))
    require_allowed(config(endpoint), "acme", allowed)
    with pytest.raises(PermissionDenied, match=r"intranet\.example\.org"):
        require_allowed(config({**endpoint, "path_style": False}), "acme", allowed)


@pytest.mark.parametrize(
    "more",
    [{}, {"region": "eu-central-1"}, {"bucket": "acme.docs"}, {"bucket": "acme_docs"}, {"region": "cn-north-1"},
     {"path_style": True}, {"endpoint": "https://s3.acme.example", "path_style": False},
     {"endpoint": "https://s3.acme.example:9000"}],
)  # fmt: skip
def test_the_host_that_allow_lists_compare_is_the_one_that_is_called(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    def no_names(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no names here")

    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    given = {"kind": "s3", "bucket": "acme-docs", "credentials": {"type": "anonymous"}, "attempts": 1, **more}
    hosts = tuple(f"{host}:{port}" for host, port in reach_of(config(given)).endpoints)
    policy = FetchPolicy(ports=(range(1, 65_536),), allowance=SourceAllowance(hosts=hosts))
    with opened(given, policy) as connector:
        assert connector.check()["error"].startswith("HOST_UNREACHABLE: "), "it was looked up, so it was allowed"
