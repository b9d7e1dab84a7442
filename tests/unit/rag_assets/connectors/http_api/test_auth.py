"""Credentials: from references only, to their origin only."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydantic import ValidationError
from werkzeug import Request, Response

from rag_assets.connectors.http_api.options import HttpApiOptions
from tests.support.sites import Site, json_answer
from tests.unit.rag_assets.connectors.http_api.conftest import Connect, items

SECRET = "s3cret-value"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_SECRET_API", SECRET)


REF = {"env": "RAG_SECRET_API"}
BASIC = "Basic " + base64.b64encode(f"ann:{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": REF}, "Authorization", f"Bearer {SECRET}"),
        ({"type": "header", "name": "X-Api-Key", "value": REF}, "X-Api-Key", SECRET),
        ({"type": "basic", "user": "ann", "password": REF}, "Authorization", BASIC),
    ],
)
def test_each_kind_of_auth_sends_its_header(
    site: Site, connect: Connect, auth: dict[str, Any], header: str, value: str
) -> None:
    site.json("/items", {"data": items(1)})
    listing = connect(auth=auth).list_items()
    assert len(list(listing)) == 1
    assert {request.headers.get(header) for request in site.requests} == {value}


def test_client_credentials_get_a_token_and_a_refused_one_is_renewed_once(site: Site, connect: Connect) -> None:
    issued: list[str] = []

    def token(request: Request) -> Response:
        assert request.form["grant_type"] == "client_credentials"
        assert request.form["scope"] == "read"
        assert request.headers["Authorization"] == "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
        issued.append(f"token-{len(issued)}")
        return json_answer({"access_token": issued[-1], "expires_in": 3600})

    def answer(request: Request) -> Response:
        # The first token was revoked.
        return (
            json_answer({"data": items(1)})
            if request.headers["Authorization"] == "Bearer token-1"
            else Response("", 401)
        )

    site.answers |= {"/token": token, "/items": answer}
    auth = {"type": "oauth2", "token_url": site.url("/token"), "client_id": "me", "client_secret": REF, "scope": "read"}
    listing = connect(auth=auth).list_items()
    assert (len(list(listing)), listing.complete) == (1, True)
    assert issued == ["token-0", "token-1"]


@pytest.mark.parametrize(
    "answer", [Response("", 400), Response("{}", content_type="application/json"), Response("<html>")]
)
def test_a_token_endpoint_that_gives_none_makes_the_listing_incomplete(
    site: Site, connect: Connect, answer: Response
) -> None:
    site.answers["/token"] = lambda _: answer
    auth = {"type": "oauth2", "token_url": site.url("/token"), "client_id": "me", "client_secret": REF}
    listing = connect(auth=auth).list_items()
    assert list(listing) == []
    assert not listing.complete
    assert SECRET not in str(listing.error)


@pytest.mark.catalogue("B73")
def test_a_missing_secret_is_named_without_its_value(
    site: Site, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAG_SECRET_API")
    listing = connect(auth={"type": "bearer", "token": REF}).list_items()
    assert list(listing) == []
    assert listing.error is not None
    assert listing.error.startswith("SECRET_MISSING: RAG_SECRET_API")
    assert site.asked == []


@pytest.mark.catalogue("S22")
def test_credentials_do_not_follow_a_redirect_to_another_origin(site: Site, connect: Connect) -> None:
    other = site.url("/other").replace("localhost", "127.0.0.1")
    site.status("/items", 302, location=other)
    listing = connect(auth={"type": "bearer", "token": REF}, attempts=1).list_items()
    list(listing)
    assert not listing.complete
    assert not [path for path in site.asked if path.startswith("/other")]


@pytest.mark.catalogue("B73", "B71")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"auth": {"type": "bearer", "token": "abc"}}, "SECRET_INLINE_FORBIDDEN"),
        ({"url": "https://ann:pw@api.example/items"}, "SECRET_INLINE_FORBIDDEN"),
        ({"headers": {"Authorization": "Bearer abc"}}, "SECRET_INLINE_FORBIDDEN"),
        ({"headers": {"X-Api-Key": "abc"}}, "SECRET_INLINE_FORBIDDEN"),
        ({"params": {"access_token": "abc"}}, "SECRET_INLINE_FORBIDDEN"),
        ({"auth": {"type": "bearer", "token": {"env": "PATH"}}}, "pattern"),
        ({"url": "file:///etc/passwd"}, "URL_SCHEME"),
        ({"url": "gopher://x/"}, "URL_SCHEME"),
        ({"items": "$.data["}, "not a JSON path"),
        ({"items": "data"}, "starts with $"),
        ({"fields": {"id": "$.id"}}, "either `fields.content` or `detail`"),
        ({"changes": {}}, "`changes` needs `fields.updated_at`"),
        ({"detail": {"url": "https://api.example/{id}"}}, "either `fields.content` or `detail`"),
        ({"paging": {"type": "page", "first": 2}}, "less than or equal to 1"),
        ({"requests_per_second": 0}, "greater than 0"),
        ({"pagging": {}}, "Extra inputs"),
    ],
)
def test_options_with_secrets_or_mistakes_are_refused(change: dict[str, Any], code: str) -> None:
    good = {"kind": "api", "url": "https://api.example/items", "fields": {"id": "$.id", "content": "$.c"}}
    HttpApiOptions.model_validate(good)
    with pytest.raises(ValidationError) as caught:
        HttpApiOptions.model_validate({**good, **change})
    assert code in str(caught.value)
