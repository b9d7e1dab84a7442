"""What is special to Confluence: restrictions of several levels, trash, attachments, pages of lists, ended sign-ins."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from rag_assets.connectors import open_connector
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_assets.testing import LOOPBACK, Answer, FakeServer
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import NotFound
from tests.contract.connectors.test_files import ODD_NAMES
from tests.support.confluence import TOKEN, FakeConfluence

NOBODY = ("group:rag-nobody",)


@pytest.fixture(params=["cloud", "data_center"])
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeConfluence]:
    monkeypatch.setenv("RAG_SECRET_WIKI", TOKEN)
    with FakeServer() as server:
        yield FakeConfluence(server, request.param)


cloud = pytest.mark.parametrize("site", ["cloud"], indirect=True)
data_center = pytest.mark.parametrize("site", ["data_center"], indirect=True)


def config(site: FakeConfluence, **more: object) -> SourceConfig:
    options = {**site.options, "directory": "corp", **more}
    return SourceConfig.model_validate({"name": "wiki", "tenant": "acme", "options": options})


def listed(site: FakeConfluence, **more: object) -> tuple[dict[str, SourceItem], list[Problem], str | None]:
    """Items by title, problems, and why the listing is not complete."""
    with open_connector(config(site, **more), ConnectorContext(fetch_policy=LOOPBACK)) as connector:
        listing = connector.list_items()
        entries = list(listing)
    assert listing.complete == (listing.error is None)
    items = {site.nodes[one.locator.split("/")[-1].split(" ")[0]].title: one for one in entries
             if isinstance(one, SourceItem)}  # fmt: skip
    return items, [one for one in entries if isinstance(one, Problem)], listing.error


def fetched(site: FakeConfluence, **more: object) -> dict[str, FetchedItem]:
    """Every document, as a connector reads it that did not list; its tag is the one that was listed."""
    items, _, error = listed(site, **more)
    assert error is None
    with open_connector(config(site, **more), ConnectorContext(fetch_policy=LOOPBACK)) as connector:
        found = {title: connector.fetch(item) for title, item in items.items()}
    assert {title: one.item.version_tag for title, one in found.items()} == {
        title: one.version_tag for title, one in items.items()
    }
    return found


def readers(site: FakeConfluence, title: str) -> list[str]:
    """The readers of a document, without the words before their names."""
    acl = fetched(site)[title].acl
    assert acl is not None
    return sorted(entry.rpartition(":")[2] for entry in acl)


def test_a_reader_needs_the_space_and_every_restriction_above(site: FakeConfluence) -> None:
    top = site.add("top", users=["bob", "eve"], groups=["writers"])
    middle = site.add("middle", parent=top.id)
    site.add("low", parent=middle.id, users=["eve", "ann", "zoe"])
    site.add("post", kind="blogpost", groups=["writers"])
    assert readers(site, "top") == ["bob", "eve", "writers"]
    assert readers(site, "middle") == ["bob", "eve", "writers"]
    assert readers(site, "low") == ["ann", "eve"]  # ann is a writer; zoe may not view what is above
    assert readers(site, "post") == ["writers"]


def test_groups_that_differ_count_by_their_members(site: FakeConfluence) -> None:
    site.space("HR", ["cy"], ["staff"])
    page = site.add("pay", space="HR", groups=["writers"])
    assert readers(site, "pay") == ["ann", "wil"]
    page.groups = ["writers", "staff"]
    assert readers(site, "pay") == ["staff"]  # the group that both name stays one, with those it has already
    page.groups, page.users = ["deleted"], []
    assert fetched(site)["pay"].acl == NOBODY
    site.page, site.groups["all"] = 250, [f"u{number}" for number in range(2_001)]
    site.space("BIG", [], ["all"])
    big = site.add("big", space="BIG", groups=["some"])
    site.groups["some"] = site.groups["all"][:2_000]
    assert len(readers(site, "big")) == 2_000
    site.groups["some"] = [*site.groups["all"], "eve"]
    assert fetched(site)["big"].acl == NOBODY  # too many to be named one by one
    big.groups = ["all"]
    assert readers(site, "big") == ["all"]


def test_a_page_that_moves_below_a_restricted_one_changes_its_tag(site: FakeConfluence) -> None:
    top, page = site.add("top", users=["ann"]), site.add("page")
    before = listed(site)[0]["page"].version_tag
    page.parent = top.id
    assert (listed(site)[0]["page"].version_tag != before, readers(site, "page")) == (True, ["ann"])
    top.parent = page.id  # a circle is nothing to wait for
    if site.edition == "cloud":
        assert fetched(site)["page"].acl == NOBODY


def test_a_long_restriction_and_one_that_is_not_found_with_others_are_read_whole(site: FakeConfluence) -> None:
    names = [f"u{number}" for number in range(10)]
    site.space("BIG", names, [])
    page = site.add("long", space="BIG", users=names[:8])
    site.unsearched.add(site.add("late", space="BIG", users=["u1"]).id)
    assert readers(site, "long") == names[:8]
    assert readers(site, "late") == ["u1"]
    page.users = ["u9"]
    assert readers(site, "long") == ["u9"]


@cloud
def test_folders_restrict_what_is_in_them_and_unknown_ones_hide_it(site: FakeConfluence) -> None:
    folder = site.add("folder", kind="folder", users=["bob"])
    site.add("page", parent=folder.id)
    board = site.add("board", kind="whiteboard")
    other = site.add("other", parent=board.id)
    assert (readers(site, "page"), fetched(site)["other"].acl) == (["bob"], NOBODY)
    other.parent = folder.id
    assert readers(site, "other") == ["bob"]


@cloud
def test_names_are_those_that_directories_have(site: FakeConfluence) -> None:
    site.emails["ann"] = "Ann@Acme.example"
    site.groups["two"] = ["bob"]
    site.space("MAIL", ["ann", "eve"], ["two"])
    site.add("page", space="MAIL")
    assert fetched(site)["page"].acl == ("corp/email:ann@acme.example", "corp/account:eve", "corp/group:two_of_acme")


@data_center
def test_names_of_data_center_are_logins_and_anonymous_is_everyone(site: FakeConfluence) -> None:
    site.add("page")
    site.space("PUB", [], [], anonymous=True)
    site.add("open", space="PUB")
    site.add("closed", space="PUB", users=["zoe"])
    found = fetched(site)
    assert found["page"].acl == ("corp/login:ann", "corp/login:bob", "corp/login:eve", "corp/group:writers")
    assert (found["open"].acl, found["closed"].acl) == (("everyone",), ("corp/login:zoe",))


def test_content_has_its_title_labels_author_and_link_and_no_readers_without_a_directory(site: FakeConfluence) -> None:
    page = site.add("Pumps & oil", "<p>Pump 7</p>", labels=["oil", "hot"])
    found = fetched(site, directory=None)["Pumps & oil"]
    assert (found.content, found.media_type) == (b"<p>Pump 7</p>", "text/html")
    link = f"/wiki/spaces/DOC/{page.id}" if site.edition == "cloud" else f"/display/{page.id}"
    expected = {"space": "DOC", "labels": "hot, oil", "author": "Ann", "url": site.server.url(link)}
    assert (found.title, found.acl, found.metadata) == ("Pumps & oil", None, expected)


def test_trash_archives_and_spaces_that_are_not_asked_for_are_left_out(site: FakeConfluence) -> None:
    site.space("OLD", ["ann"], [], status="archived")
    site.space("~ann", ["ann"], [], type="personal")
    site.space("QA", ["ann"], [])
    for space in ("DOC", "OLD", "~ann", "QA"):
        site.add(f"of {space}", space=space)
    gone = [site.add("trashed", status="trashed"), site.add("archived", status="archived")]
    assert listed(site)[0].keys() == {"of DOC", "of QA"}
    assert listed(site, exclude_spaces=["QA"])[0].keys() == {"of DOC"}
    assert listed(site, spaces=["~ann", "DOC"])[0].keys() == {"of ~ann", "of DOC"}
    assert "NOWHERE" in str(listed(site, spaces=["DOC", "NOWHERE"])[2])
    item = SourceItem(f"pages/{gone[0].id}", "1:")
    with (
        open_connector(config(site), ConnectorContext(fetch_policy=LOOPBACK)) as connector,
        pytest.raises(NotFound),
    ):
        connector.fetch(item)


def test_attachments_are_documents_with_the_readers_of_their_page(site: FakeConfluence) -> None:
    page, post = site.add("page", users=["bob"]), site.add("post", kind="blogpost")
    for name in ODD_NAMES:  # more than come with a page
        site.add(name, f"text of {name}", "attachment", parent=page.id)
    site.add("of post", "post's", "attachment", parent=post.id)
    site.add("big", "x" * 2_000, "attachment", parent=post.id)
    site.add("of trash", "", "attachment", parent=site.add("trash", status="trashed").id)
    context = ConnectorContext(max_file_bytes=1_000, fetch_policy=LOOPBACK)
    with open_connector(config(site), context) as connector:
        listing = connector.list_items()
        entries = list(listing)
        found = [connector.fetch(one) for one in entries if isinstance(one, SourceItem) and " " in one.locator]
    texts = {one.title: one.content.decode() for one in found}
    assert texts == {name: f"text of {name}" for name in ODD_NAMES} | {"of post": "post's"}
    assert {one.acl for one in found if one.title != "of post"} == {fetched(site)["page"].acl}
    assert ([one.reason for one in entries if isinstance(one, Problem)], listing.error) == (["FILE_TOO_LARGE"], None)
    assert listed(site, attachments=False)[0].keys() == {"page", "post"}


LISTS = {"cloud": "/wiki/api/v2/pages", "data_center": "/rest/api/content"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"<html>Sign in</html>"), "RESPONSE_INVALID"),
        (Answer.json({"message": "an error with status 200"}), "RESPONSE_INVALID"),
        (Answer.json({"results": [{"id": "1"}]}), "RESPONSE_INVALID"),
        (Answer(status=403), "ACCESS_REFUSED"),
        (Answer(status=404), "LISTING_INCOMPLETE"),
        (Answer(status=500), "HTTP_STATUS"),
        (Answer(status=429, headers={"retry-after": "7"}), "RATE_LIMITED"),
    ],
)
def test_an_answer_that_is_no_list_is_no_empty_space(site: FakeConfluence, answer: Answer, reason: str) -> None:
    site.add("page")
    site.server.fail(LISTS[site.edition], answer)
    items, _, error = listed(site)
    assert (items, str(error).partition(":")[0]) == ({}, reason)


def test_a_wait_that_is_asked_for_is_kept_and_the_list_goes_on(site: FakeConfluence) -> None:
    for number in range(8):
        site.add(f"page {number}")
    site.server.fail(LISTS[site.edition], Answer(status=429, headers={"retry-after": "0"}), Answer(status=503))
    items, _, error = listed(site, attempts=4)
    assert (len(items), error) == (8, None)


def test_permissions_that_cannot_be_read_are_not_guessed(site: FakeConfluence) -> None:
    site.add("page")
    path = "/wiki/api/v2/spaces/1/permissions" if site.edition == "cloud" else "/rest/api/space/DOC/permissions"
    site.server.reply(path, lambda _: Answer(status=403))
    items, _, error = listed(site)
    assert (items, str(error).partition(":")[0]) == ({}, "ACCESS_REFUSED")
    assert listed(site, directory=None)[0].keys() == {"page"}


def test_pages_that_lead_in_a_circle_are_not_followed(site: FakeConfluence) -> None:
    site.add("page")
    path = LISTS[site.edition]
    site.server.reply(path, lambda _: Answer.json({"results": [], "_links": {"next": f"{path}?cursor=same"}}))
    assert str(listed(site)[2]).startswith("PAGINATION_LOOP")


@pytest.mark.parametrize("ends_at", [0, 3])
def test_a_token_that_ended_makes_a_visitor_of_us_and_no_complete_listing(site: FakeConfluence, ends_at: int) -> None:
    """Sites with public spaces answer a token that is not known any more as they answer everybody."""
    site.space("PUB", ["ann"], [], anonymous=True)
    site.add("open", space="PUB")
    site.add("page")
    site.signed_in = lambda: len(site.server.requests) <= ends_at
    assert "ACCESS_REFUSED" in str(listed(site)[2])


def test_an_access_token_that_ends_in_the_middle_is_replaced(site: FakeConfluence) -> None:
    for number in range(8):
        site.add(f"page {number}")
    tokens = itertools.count(1)
    site.server.reply("/token", lambda _: Answer.json({"access_token": f"t{next(tokens)}", "expires_in": 3600}))
    site.authorization = lambda: "Bearer t1" if len(site.server.requests) < 5 else "Bearer t2"
    login = {"type": "oauth2", "token_url": site.server.url("/token"), "client_id": "rag",
             "client_secret": {"env": "RAG_SECRET_WIKI"}}  # fmt: skip
    items, _, error = listed(site, auth=login)
    assert (len(items), error, next(tokens)) == (8, None, 3)


def test_twelve_thousand_names_are_paged_in_few_requests(site: FakeConfluence) -> None:
    site.page = 250
    for number in range(12_000):
        site.add(f"{ODD_NAMES[number % len(ODD_NAMES)]} {number}")
    items, _, error = listed(site)
    assert (len(items), error) == (12_000, None)
    assert len(site.server.requests) < 200
    assert "more than 100" in str(listed(site, max_documents=100)[2])


def test_every_host_that_is_called_is_named() -> None:
    options = {"kind": "confluence", "url": "https://acme.atlassian.net/wiki",
               "auth": {"type": "basic", "user": "a", "password": {"env": "RAG_SECRET_WIKI"}}}  # fmt: skip
    found = SourceConfig.model_validate({"name": "wiki", "tenant": "acme", "options": options}).options
    opened = found.opened()
    assert opened is not None
    assert opened.endpoints == (("acme.atlassian.net", 443), ("api.media.atlassian.com", 443))
    assert found.location == "https://acme.atlassian.net"
