"""APIs that fail, lie or attack: the listing is incomplete, and says why."""

from __future__ import annotations

import time
from typing import Any

import pytest
import stamina
from werkzeug import Request, Response

from rag_assets.connectors.http_api.options import HttpApiOptions
from rag_core.content.sources import SourceItem
from rag_core.errors import InvalidInput, Reason, Unavailable
from tests.support.sites import Site, json_answer
from tests.unit.rag_assets.connectors.http_api.conftest import Connect, items


def why(connector: Any) -> str:
    listing = connector.list_items()
    list(listing)
    assert not listing.complete
    assert listing.error is not None
    return str(listing.error)


def pages(site: Site, third: Any) -> None:
    def answer(request: Request) -> Response:
        page = int(request.args.get("page", 1))
        if page == 3:
            return third
        return json_answer({"data": items(*range(10 * page, 10 * page + 3)) if page < 5 else []})

    site.answers["/items"] = answer


PAGED = {"paging": {"type": "page"}, "attempts": 2}


@pytest.mark.catalogue("F22", "B55")
@pytest.mark.parametrize(
    ("third", "reason"),
    [
        (Response("oops", 500), Reason.HTTP_STATUS),
        (Response("<html>Sign in</html>", 200, content_type="text/html"), Reason.CONTENT_TYPE),
        (Response('{"data": [{"id": 1', 200, content_type="application/json"), Reason.RESPONSE_INVALID),
        (Response("{}", 200, content_type="text/plain"), Reason.CONTENT_TYPE),
        (Response('{"message": "try later"}', 200, content_type="application/json"), Reason.RESPONSE_INVALID),
        (Response('{"data": {"id": 1}}', 200, content_type="application/json"), Reason.RESPONSE_INVALID),
        (Response('{"data": [{"name": "x"}]}', 200, content_type="application/json"), Reason.RESPONSE_INVALID),
        (Response("", 403), Reason.ACCESS_REFUSED),
        (Response("", 404), Reason.VANISHED),
        (Response("", 302, {"location": "http://10.0.0.1/items"}), Reason.CROSS_ORIGIN),
        (Response("", 302, {"location": "/items?page=3"}), Reason.REDIRECT_LIMIT),
        (Response("", 418), Reason.HTTP_STATUS),
    ],
    ids=lambda value: str(value) if isinstance(value, Reason) else "",
)
def test_a_page_that_is_no_page_makes_the_listing_incomplete(
    site: Site, connect: Connect, third: Response, reason: Reason
) -> None:
    pages(site, third)
    assert why(connect(**PAGED)).startswith(f"{reason}: ")


@pytest.mark.catalogue("B55")
def test_an_error_page_instead_of_json_is_tried_again(site: Site, connect: Connect) -> None:
    failures = [Response("<html>busy</html>", content_type="text/html")]
    site.answers["/items"] = lambda _: failures.pop() if failures else json_answer({"data": items(1)})
    listing = connect(attempts=3).list_items()
    assert [entry.locator for entry in listing] == ["1"]
    assert listing.complete


@pytest.mark.catalogue("F46")
def test_429_with_retry_after_is_waited_for(site: Site, connect: Connect) -> None:
    left = [Response("", 429, {"retry-after": "1"})]
    site.answers["/items"] = lambda _: left.pop() if left else json_answer({"data": items(1)})
    started = time.monotonic()
    with stamina.set_testing(False):
        listing = connect().list_items()
        assert len(list(listing)) == 1
    assert listing.complete
    assert time.monotonic() - started >= 1


@pytest.mark.catalogue("F46")
def test_a_retry_after_of_an_hour_ends_the_listing_at_once(site: Site, connect: Connect) -> None:
    site.status("/items", 429, retry_after="3600")
    assert why(connect(max_wait_seconds=2)).startswith("RATE_LIMITED: ")


def test_a_listing_that_names_fewer_items_than_the_api_says_it_has_is_cut(site: Site, connect: Connect) -> None:
    site.json("/items", {"data": items(1, 2), "n": 5})
    assert why(connect(total="$.n")) == "LISTING_INCOMPLETE: the API says it has 5 items and listed 2"


def test_a_total_that_is_missing_is_not_no_total(site: Site, connect: Connect) -> None:
    site.json("/items", {"data": items(1, 2)})
    assert why(connect(total="$.n")).startswith("RESPONSE_INVALID: ")


@pytest.mark.catalogue("B57")
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://10.0.0.1/items", Reason.CROSS_ORIGIN),
        ("http://169.254.169.254/latest", Reason.CROSS_ORIGIN),
        ("file:///etc/passwd", Reason.CROSS_ORIGIN),
        ("https://localhost/items", Reason.CROSS_ORIGIN),
        ("/items", Reason.PAGINATION_LOOP),
    ],
)
def test_a_next_link_that_loops_or_leaves_the_origin_is_not_followed(
    site: Site, connect: Connect, target: str, reason: Reason
) -> None:
    site.answers["/items"] = lambda _: json_answer({"data": items(1), "next": target})
    assert why(connect(paging={"type": "link", "next": "$.next"})).startswith(f"{reason}: ")


@pytest.mark.catalogue("B57")
def test_pages_that_never_end_are_cut(site: Site, connect: Connect) -> None:
    site.answers["/items"] = lambda request: json_answer({"data": items(int(request.args["page"]))})
    assert why(connect(paging={"type": "page"}, max_pages=5)) == "PAGINATION_LOOP: more than 5 pages"


@pytest.mark.catalogue("B57")
def test_an_api_that_ignores_the_page_is_noticed(site: Site, connect: Connect) -> None:
    site.json("/items", {"data": items(1, 2)})
    assert why(connect(paging={"type": "page"})).startswith("PAGINATION_LOOP: page 2 is the same")


@pytest.mark.catalogue("B56")
def test_an_answer_that_is_too_large_or_too_slow_ends_the_listing(site: Site, connect: Connect) -> None:
    site.raw("/items", b"[" + b"1," * 40_000_000 + b"1]", "application/json")
    assert why(connect()).startswith("RESPONSE_TOO_LARGE: ")


@pytest.mark.catalogue("B58")
def test_a_list_that_redirects_to_a_private_address_is_refused_and_says_so(site: Site, connect: Connect) -> None:
    site.status("/items", 302, location="http://169.254.169.254/latest/meta-data/")
    assert why(connect()).startswith("CROSS_ORIGIN: ")


@pytest.mark.catalogue("B59")
def test_a_private_address_is_not_called(site: Site) -> None:
    from rag_assets.connectors.http_api.connector import HttpApiConnector
    from rag_assets.connectors.outside import ConnectorContext
    from rag_core.http_client import FetchPolicy

    options = HttpApiOptions.model_validate(
        {"kind": "api", "url": "http://127.0.0.1:8080/x", "fields": {"id": "$.id", "content": "$.c"}}
    )
    connector = HttpApiConnector(options, ConnectorContext(fetch_policy=FetchPolicy()))
    assert why(connector).startswith("SSRF_BLOCKED: ")
    assert connector.check()["ok"] is False
    connector.close()


def test_an_item_larger_than_the_limit_is_refused_alone(site: Site, connect: Connect) -> None:
    site.json("/items", {"data": [{"id": 1, "body": "x" * 5000}, *items(2)]})
    connector = connect(max_file_bytes=1000)
    large, small = [entry for entry in connector.list_items() if isinstance(entry, SourceItem)]
    assert connector.fetch(small).content
    with pytest.raises(InvalidInput) as caught:
        connector.fetch(large)
    assert caught.value.reason is Reason.FILE_TOO_LARGE


def test_a_document_that_is_refused_is_not_gone(site: Site, connect: Connect) -> None:
    site.json("/items", {"data": [{"id": 1}]})
    site.status("/doc/1", 403)
    connector = connect(fields={"content": None}, detail={"url": f"{site.url('/doc/')}{{id}}"})
    (entry,) = list(connector.list_items())
    with pytest.raises(Unavailable) as caught:
        connector.fetch(entry)
    assert caught.value.reason is Reason.ACCESS_REFUSED
