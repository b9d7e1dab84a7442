"""What is special to Jira: permissions and security levels, comments, attachments, pages of searches, sign-ins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_assets.connectors import open_connector
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_assets.testing import LOOPBACK, Answer, FakeServer
from rag_core.content.sources import FetchedItem, Problem, SourceItem
from rag_core.errors import NotFound
from tests.contract.connectors.test_files import ODD_NAMES
from tests.support.jira import TOKEN, FakeJira

NOBODY = ("group:rag-nobody",)


@pytest.fixture(params=["cloud", "data_center"])
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeJira]:
    monkeypatch.setenv("RAG_SECRET_JIRA", TOKEN)
    with FakeServer() as server:
        yield FakeJira(server, request.param)


cloud = pytest.mark.parametrize("site", ["cloud"], indirect=True)
data_center = pytest.mark.parametrize("site", ["data_center"], indirect=True)
SEARCH = {"cloud": "/rest/api/3/search/jql", "data_center": "/rest/api/2/search"}


def config(site: FakeJira, **more: object) -> SourceConfig:
    options = {**site.options, "directory": "corp", **more}
    return SourceConfig.model_validate({"name": "tickets", "tenant": "acme", "options": options})


def listed(site: FakeJira, **more: object) -> tuple[list[SourceItem], list[Problem], str | None]:
    """Items, problems, and why the listing is not complete."""
    with open_connector(config(site, **more), ConnectorContext(fetch_policy=LOOPBACK)) as connector:
        listing = connector.list_items()
        entries = list(listing)
    assert listing.complete == (listing.error is None)
    items = [one for one in entries if isinstance(one, SourceItem)]
    return items, [one for one in entries if isinstance(one, Problem)], listing.error


def fetched(site: FakeJira, **more: object) -> dict[str, FetchedItem]:
    """Every document by its title without the key, as a connector reads it that did not list."""
    items, _, error = listed(site, **more)
    assert error is None
    with open_connector(config(site, **more), ConnectorContext(fetch_policy=LOOPBACK)) as connector:
        found = [connector.fetch(one) for one in items]
    assert [one.item.version_tag for one in found] == [one.version_tag for one in items]
    return {(one.title or "").partition(": ")[2] or str(one.title): one for one in found}


def readers(site: FakeJira, summary: str) -> list[str]:
    acl = fetched(site)[summary].acl
    assert acl is not None
    return sorted(entry.rpartition(":")[2] for entry in acl)


def titles(site: FakeJira, **more: object) -> set[str]:
    return {site.tickets[one.locator.split("/")[1]].summary for one in listed(site, **more)[0]}


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        (("user", "ann"), ["ann"]),
        (("group", "writers"), ["writers"]),
        (("projectRole", "10"), ["bob", "writers"]),
        (("projectLead", ""), ["led"]),
        (("reporter", ""), ["rep"]),
        (("assignee", ""), ["cy"]),
        (("anyone", ""), ["everyone"]),
        (("applicationRole", "jira-software"), ["jira-software"]),
        (("applicationRole", ""), ["any"]),
        (("userCustomField", "customfield_1"), ["rag-nobody"]),
        (("sd.customer.portal.only", ""), ["rag-nobody"]),
    ],
)
def test_who_may_browse_a_project_may_read_its_issues(
    site: FakeJira, holder: tuple[str, str], expected: list[str]
) -> None:
    site.grants["DOC"] = [site.holder(*holder)]
    site.add("issue", assignee="cy")
    assert readers(site, "issue") == expected


@cloud
def test_a_security_level_leaves_those_of_the_project_who_are_in_it(site: FakeJira) -> None:
    site.levels["7"] = [site.holder("group", "staff"), site.holder("reporter")]
    site.add("secret", level="7", reporter="ann")
    assert readers(site, "secret") == ["ann", "bob", "eve", "wil"]  # writers are divided: not all of staff may browse
    site.grants["DOC"] = [site.holder("applicationRole")]
    assert readers(site, "secret") == ["ann", "staff"]  # any account may browse: the level alone decides
    site.grants["DOC"] = [site.holder("applicationRole", "jira-software")]
    assert fetched(site)["secret"].acl == NOBODY  # nobody says who has the application
    site.is_administrator = False
    site.grants["DOC"] = [site.holder("applicationRole")]
    assert fetched(site)["secret"].acl == NOBODY


@data_center
def test_an_issue_with_a_security_level_is_for_nobody_where_the_level_is_not_told(site: FakeJira) -> None:
    site.add("secret", level="7")
    site.add("open")
    assert (fetched(site)["secret"].acl, readers(site, "open")) == (NOBODY, ["ann", "bob", "eve", "writers"])


@cloud
def test_names_are_those_that_directories_have(site: FakeJira) -> None:
    site.emails["ann"] = "Ann@Acme.example"
    site.grants["DOC"] = [*(site.holder("user", one) for one in ("ann", "eve")), site.holder("group", "two of acme")]
    site.add("issue")
    assert fetched(site)["issue"].acl == ("corp/email:ann@acme.example", "corp/account:eve", "corp/group:two_of_acme")
    site.emails["eve"] = "eve@acme.example"  # what only the list of users shows
    site.grants["DOC"] = [{"type": "user", "parameter": "eve"}]
    assert fetched(site)["issue"].acl == ("corp/email:eve@acme.example",)


@data_center
def test_names_of_data_center_are_logins(site: FakeJira) -> None:
    site.add("issue")
    assert fetched(site)["issue"].acl == ("corp/login:ann", "corp/login:bob", "corp/login:eve", "corp/group:writers")


def test_an_issue_has_its_comments_but_not_those_for_a_few(site: FakeJira) -> None:
    comments = [("<p>Oil it.</p>", ""), ("<p>It is Bo's fault.</p>", "Managers"), *[("<p>Done.</p>", "")] * 4]
    issue = site.add("Pump <7>", "<p>It squeaks.</p>", labels=["oil"], comments=comments)
    found = fetched(site, directory=None)["Pump <7>"]
    head = "<p>Bug, Open</p><p>It squeaks.</p>"
    rest = "".join(f"<h2>Cy, 2026-11-29</h2>{text}" for text, limit in comments if not limit)
    assert (found.content.decode(), found.media_type, found.acl) == (head + rest, "text/html", None)
    assert found.title == f"{issue.key}: Pump <7>"
    link = site.server.url(f"/browse/{issue.key}")
    expected = {"project": "DOC", "issue": issue.key, "author": "Rep", "labels": "oil", "url": link}
    assert found.metadata == expected


def test_attachments_are_documents_with_the_readers_of_their_issue(site: FakeJira) -> None:
    issue = site.add("issue")
    for name in ODD_NAMES:
        site.attach(issue, name, f"text of {name}")
    site.attach(issue, "big", "x" * 2_000)
    context = ConnectorContext(max_file_bytes=1_000, fetch_policy=LOOPBACK)
    with open_connector(config(site), context) as connector:
        listing = connector.list_items()
        entries = list(listing)
        found = [connector.fetch(one) for one in entries if isinstance(one, SourceItem) and " " in one.locator]
        gone = next(one for one in entries if isinstance(one, SourceItem) and " " in one.locator)
        issue.files.clear()
        with pytest.raises(NotFound):
            connector.fetch(gone)
    assert {one.title: one.content.decode() for one in found} == {name: f"text of {name}" for name in ODD_NAMES}
    assert ({one.acl for one in found}, listing.error) == ({fetched(site)["issue"].acl}, None)
    assert [one.reason for one in entries if isinstance(one, Problem)] == ["FILE_TOO_LARGE"]
    site.attach(issue, "later", "text")
    assert len(listed(site, attachments=False)[0]) == 1


def test_projects_and_further_conditions_say_what_is_read(site: FakeJira) -> None:
    for key in ("QA", "OLD"):
        site.grants[key] = []
    site.archived.add("OLD")
    for key in ("DOC", "QA", "OLD"):
        site.add(f"of {key}", project=key)
    site.add("labelled", labels=["oil"])
    assert titles(site) == {"of DOC", "of QA", "labelled"}
    assert titles(site, projects=["QA"]) == {"of QA"}
    assert titles(site, exclude_projects=["QA"], jql="labels = oil") == {"labelled"}
    assert "OLD" in str(listed(site, projects=["DOC", "OLD"])[2])
    assert str(listed(site, jql="labels ~ (")[2]).startswith("HTTP_STATUS")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(b"<html>Sign in</html>"), "RESPONSE_INVALID"),
        (Answer.json({"errorMessages": ["an error with status 200"]}), "RESPONSE_INVALID"),
        (Answer.json({"issues": [{"id": "1"}], "total": 1}), "RESPONSE_INVALID"),
        (Answer(status=403), "ACCESS_REFUSED"),
        (Answer(status=410), "LISTING_INCOMPLETE"),
        (Answer(status=500), "HTTP_STATUS"),
        (Answer(status=429, headers={"retry-after": "7"}), "RATE_LIMITED"),
    ],
)
def test_an_answer_that_is_no_list_is_no_empty_project(site: FakeJira, answer: Answer, reason: str) -> None:
    site.add("issue")
    site.server.fail(SEARCH[site.edition], answer)
    items, _, error = listed(site)
    assert (items, str(error).partition(":")[0]) == ([], reason)


def test_a_wait_that_is_asked_for_is_kept_and_the_list_goes_on(site: FakeJira) -> None:
    for number in range(8):
        site.add(f"issue {number}")
    site.server.fail(SEARCH[site.edition], Answer(status=429, headers={"retry-after": "0"}), Answer(status=503))
    items, _, error = listed(site, attempts=4)
    assert (len(items), error) == (8, None)


def test_permissions_that_cannot_be_read_are_not_guessed(site: FakeJira) -> None:
    site.add("issue")
    number = 3 if site.edition == "cloud" else 2
    site.server.reply(f"/rest/api/{number}/project/DOC/permissionscheme", lambda _: Answer(status=403))
    items, _, error = listed(site)
    assert (items, str(error).partition(":")[0]) == ([], "ACCESS_REFUSED")
    assert len(listed(site, directory=None)[0]) == 1
    site.server.reply(f"/rest/api/{number}/project/DOC/permissionscheme", lambda _: Answer(status=404))
    assert fetched(site)["issue"].acl == NOBODY  # it has no scheme, so that nothing is granted


@pytest.mark.parametrize("ends_at", [0, 2, 4])
def test_a_search_without_issues_after_the_token_ended_is_no_empty_site(site: FakeJira, ends_at: int) -> None:
    """Searches answer a token that is not known any more with status 200 and no issues."""
    for number in range(8):
        site.add(f"issue {number}")
    site.signed_in = lambda: len(site.server.requests) <= ends_at
    assert listed(site)[2] is not None


@data_center
def test_an_issue_that_goes_away_meanwhile_makes_the_listing_incomplete(site: FakeJira) -> None:
    """All rows after it move up, so that the first of the next page would be passed over, and deleted here."""
    made = [site.add(f"issue {number}") for number in range(8)]
    with open_connector(config(site), ConnectorContext(fetch_policy=LOOPBACK)) as connector:
        listing = connector.list_items()
        entries = iter(listing)
        next(entries)
        del site.tickets[made[0].id]
        list(entries)
    assert (listing.complete, "went away" in str(listing.error)) == (False, True)


@cloud
def test_pages_that_lead_in_a_circle_are_not_followed(site: FakeJira) -> None:
    site.add("issue")
    site.server.reply(SEARCH["cloud"], lambda _: Answer.json({"issues": [], "nextPageToken": "same"}))
    assert str(listed(site)[2]).startswith("PAGINATION_LOOP")


def test_twelve_thousand_issues_are_paged_in_few_requests(site: FakeJira) -> None:
    site.page = 100
    for number in range(12_000):
        site.add(f"{ODD_NAMES[number % len(ODD_NAMES)]} {number}")
    items, _, error = listed(site)
    assert (len(items), error) == (12_000, None)
    assert len(site.server.requests) < 130
    assert "more than 100" in str(listed(site, max_documents=100)[2])
