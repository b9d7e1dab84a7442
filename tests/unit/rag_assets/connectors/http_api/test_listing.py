"""Walking, mapping and remembering an API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug import Request, Response

from rag_core.content.sources import Problem, Removed, SourceItem
from tests.support.sites import Site, json_answer
from tests.unit.rag_assets.connectors.http_api.conftest import Connect, items

NUMBERS = list(range(7))


def listed(connector: Any) -> tuple[list[str], bool, str | None]:
    listing = connector.list_items()
    found = [entry.locator for entry in listing if isinstance(entry, SourceItem)]
    return found, listing.complete, listing.error


def paged(request: Request, *, size: int, start: int) -> list[dict[str, Any]]:
    del request
    return items(*NUMBERS[start : start + size])


def by_page(request: Request) -> Response:
    page = int(request.args.get("page", 1))
    return json_answer({"data": paged(request, size=3, start=3 * (page - 1)), "n": len(NUMBERS)})


def by_offset(request: Request) -> Response:
    start, limit = int(request.args.get("offset", 0)), int(request.args["limit"])
    return json_answer({"data": paged(request, size=min(limit, 2), start=start), "n": len(NUMBERS)})


def by_cursor(request: Request) -> Response:
    start = int(request.args.get("cursor", 0))
    following = start + 3 if start + 3 < len(NUMBERS) else None
    return json_answer({"data": paged(request, size=3, start=start), "next": following})


def by_link(request: Request) -> Response:
    start = int(request.args.get("from", 0))
    link = {"link": f'</items?from={start + 3}>; rel="next"'} if start + 3 < len(NUMBERS) else {}
    return json_answer({"data": paged(request, size=3, start=start)}, **link)


@pytest.mark.parametrize(
    ("answer", "paging", "total"),
    [
        (by_page, {"type": "page"}, None),
        (by_page, {"type": "page"}, "$.n"),
        (by_offset, {"type": "offset", "limit": 5}, None),
        (by_offset, {"type": "offset", "limit": 5}, "$.n"),
        (by_cursor, {"type": "cursor", "next": "$.next"}, None),
        (by_link, {"type": "link"}, None),
    ],
)
def test_every_kind_of_paging_lists_every_item_once(
    site: Site, connect: Connect, answer: Any, paging: dict[str, Any], total: str | None
) -> None:
    site.answers["/items"] = answer
    found, complete, error = listed(connect(paging=paging, total=total))
    assert (sorted(found), complete, error) == ([str(number) for number in NUMBERS], True, None)


def test_a_page_that_the_api_made_shorter_than_asked_is_not_the_end(site: Site, connect: Connect) -> None:
    site.answers["/items"] = by_offset
    connector = connect(paging={"type": "offset", "limit": 100}, total="$.n")
    assert len(listed(connector)[0]) == 7
    assert [path for path in site.asked if "offset=2" in path]


@pytest.mark.catalogue("F46")
def test_an_item_that_moves_to_another_page_during_the_listing_is_found(site: Site, connect: Connect) -> None:
    held = list(NUMBERS)

    def shifting(request: Request) -> Response:
        start = 3 * (int(request.args["page"]) - 1)
        page = items(*held[start : start + 3])
        if start == 0 and 0 in held and len(site.asked) > 1:
            held.remove(0)  # deleted while the first page is on its way; all others move up
        return json_answer({"data": page})

    site.answers["/items"] = shifting
    found, complete, _ = listed(connect(paging={"type": "page"}))
    assert complete
    assert set(found) >= {str(number) for number in NUMBERS[1:]}
    assert len(found) == len(set(found))


def test_the_parts_of_a_document_come_from_their_paths(site: Site, connect: Connect) -> None:
    item = {
        "meta": {"key": 42, "name": "Pumps", "rev": 7, "at": "2026-11-01T10:00:00Z", "team": ["a", "b"]},
        "parts": [{"text": "first"}, {"text": "second"}],
        "groups": ["hr", "user:ann", "everyone"],
    }
    site.json("/items", {"data": [item]})
    connector = connect(
        fields={
            "id": "$.meta.key",
            "content": "$.parts[*].text",
            "title": "$.meta.name",
            "version": "$.meta.rev",
            "updated_at": "$.meta.at",
            "acl": {"path": "$.groups[*]", "prefix": "group:"},
            "metadata": {"team": "$.meta.team[*]", "none": "$.meta.missing"},
        },
        media_type="text/markdown",
    )
    (entry,) = list(connector.list_items())
    raw = connector.fetch(entry)
    assert (entry.locator, raw.content, raw.title, raw.media_type) == (
        "42",
        b"first\n\nsecond",
        "Pumps",
        "text/markdown",
    )
    assert raw.acl == ("everyone", "group:hr", "user:ann")
    assert raw.metadata == {"team": "a, b"}
    assert entry.modified_at is not None
    assert entry.modified_at.isoformat() == "2026-11-01T10:00:00+00:00"
    assert entry.version_tag.endswith(":v:7")


@pytest.mark.parametrize(
    ("groups", "acl"),
    [
        ({}, None),
        ({"groups": None}, None),
        ({"groups": []}, ("group:rag-nobody",)),
        ({"groups": ["x y"]}, ("group:rag-nobody",)),
    ],
)
def test_an_acl_that_admits_no_one_is_not_an_acl_that_is_unknown(
    site: Site, connect: Connect, groups: dict[str, Any], acl: tuple[str, ...] | None
) -> None:
    site.json("/items", {"data": items(1, **groups)})
    connector = connect(fields={"acl": {"path": "$.groups[*]", "prefix": "group:"}})
    (entry,) = list(connector.list_items())
    assert connector.fetch(entry).acl == acl


def test_another_mapping_makes_every_token_another_one(site: Site, connect: Connect) -> None:
    site.json("/items", {"data": items(1, rev=1, title="t")})
    before = next(iter(connect(fields={"version": "$.rev"}).list_items()))
    after = next(iter(connect(fields={"version": "$.rev", "title": "$.title"}).list_items()))
    assert before.version_tag != after.version_tag


def test_an_item_without_id_is_a_problem_of_its_own(site: Site, connect: Connect) -> None:
    site.json("/items", {"data": [*items(1), {"body": "no id"}, {"id": True, "body": "x"}, *items(2)]})
    entries = list(connect().list_items())
    assert [entry.locator for entry in entries if isinstance(entry, SourceItem)] == ["1", "2"]
    assert {entry.reason for entry in entries if isinstance(entry, Problem)} == {"KEY_MISSING"}


def test_the_content_may_come_by_a_request_per_document(site: Site, connect: Connect) -> None:
    site.json("/items", {"data": [{"id": "a b/1"}, {"id": "gone"}]})
    site.raw("/doc/a b/1", "<p>The text</p>", "text/html; charset=utf-8")
    connector = connect(
        fields={"content": None}, detail={"url": site.url("/doc/{id}").replace("%7B", "{").replace("%7D", "}")}
    )
    first, gone = list(connector.list_items())
    raw = connector.fetch(first)
    assert (raw.content, raw.media_type) == (b"<p>The text</p>", "text/html")
    from rag_core.errors import NotFound

    with pytest.raises(NotFound):
        connector.fetch(gone)


def changing(site: Site, held: list[dict[str, Any]]) -> None:
    def answer(request: Request) -> Response:
        since = request.args.get("updated_since", "")
        return json_answer({"data": [item for item in held if item["at"] >= since]})

    site.answers["/items"] = answer


def test_only_what_changed_since_the_last_run_is_asked_for(site: Site, connect: Connect) -> None:
    held = [{**item, "at": f"2026-11-0{number}T00:00:00Z"} for number, item in enumerate(items("a", "b", "c"), 1)]
    changing(site, held)
    options = {"fields": {"updated_at": "$.at", "deleted": "$.gone"}, "changes": {"overlap_seconds": 60}}
    listing = connect(**options).list_items()
    assert len(list(listing)) == 3
    held += [
        {**items("d")[0], "at": "2026-11-05T00:00:00Z"},
        {**items("a")[0], "at": "2026-11-06T00:00:00Z", "gone": True},
    ]
    connector = connect(**options)
    changes = connector.list_changes(json.loads(json.dumps(listing.cursor)))
    assert changes is not None
    assert [(type(one), one.locator) for one in changes] == [
        (SourceItem, "c"), (SourceItem, "d"), (Removed, "a"),
    ]  # fmt: skip
    assert (changes.complete, changes.rows) == (True, None)
    assert "updated_since=2026-11-02T23%3A59%3A00Z" in site.asked[-1]
    assert changes.cursor["since"] == "2026-11-06T00:00:00+00:00"


def test_a_cursor_of_other_options_is_of_no_use(site: Site, connect: Connect) -> None:
    changing(site, [{**items("a")[0], "at": "2026-11-01T00:00:00Z"}])
    listing = connect(fields={"updated_at": "$.at"}, changes={}).list_items()
    list(listing)
    other = connect(fields={"updated_at": "$.at", "title": "$.t"}, changes={})
    assert other.list_changes(listing.cursor) is None
    assert connect().list_changes(listing.cursor) is None


def test_a_list_in_one_answer_is_not_sent_again_while_its_etag_holds(site: Site, connect: Connect) -> None:
    def answer(request: Request) -> Response:
        if request.headers.get("If-None-Match") == '"1"':
            return Response(status=304)
        return json_answer({"data": items(1, 2)}, etag='"1"')

    site.answers["/items"] = answer
    listing = connect().list_items()
    assert len(list(listing)) == 2
    changes = connect().list_changes(listing.cursor)
    assert changes is not None
    assert (list(changes), changes.complete) == ([], True)


def test_the_version_tag_is_cheap_and_differs_when_the_list_does(site: Site, connect: Connect) -> None:
    etags: list[str | None] = []

    def answer(request: Request) -> Response:
        etags.append(request.headers.get("If-None-Match"))
        return Response(status=304) if etags[-1] == '"1"' else json_answer({"data": items(1, 2)}, etag='"1"')

    site.answers["/items"] = answer
    connector = connect()
    first = connector.version_tag()
    assert connector.version_tag() == first
    assert etags == [None, '"1"']
    listing = connect().list_items()
    list(listing)
    assert listing.version_tag == first
    site.answers["/items"] = lambda _: json_answer({"data": items(1, 2, 3)}, etag='"2"')
    assert connector.version_tag() != first


def test_poll_params_are_added_to_the_request_of_the_sensor(site: Site, connect: Connect) -> None:
    site.answers["/items"] = by_page
    connect(
        paging={"type": "page", "size_param": "size", "size": 50}, poll_params={"size": "1", "sort": "new"}
    ).version_tag()
    assert sorted(site.asked[-1].split("?")[1].split("&")) == ["page=1", "size=1", "sort=new"]


def test_check_connects_and_shows_a_sample(site: Site, connect: Connect) -> None:
    site.json("/items", {"data": items(*range(20))})
    found = connect().check()
    assert (found["ok"], found["items"], found["more"], found["error"]) == (True, 10, True, None)
    site.json("/items", {"error": "no such table"})
    found = connect().check()
    assert (found["ok"], found["error"]) == (False, "RESPONSE_INVALID: the answer has no array at $.data")
