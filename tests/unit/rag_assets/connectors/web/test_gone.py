"""What is deleted and what is not (B62): only what the site itself says is gone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from rag_core.errors import Reason
from tests.support.sites import Site
from tests.unit.rag_assets.connectors.web.conftest import Crawl

Run = Callable[..., Crawl]


@pytest.fixture
def crawled(site: Site, crawl: Run) -> Run:
    """The site was crawled once: a root, and two pages below it."""
    site.page("/", "Home page", links=["/a", "/b"])
    site.page("/a", "Text a")
    site.page("/b", "Text b", links=["/b/leaf"])
    site.page("/b/leaf", "Leaf text")
    assert sorted(crawl().items) == ["/", "/a", "/b", "/b/leaf"]
    return crawl


@pytest.mark.catalogue("B62")
def test_404_deletes_in_the_second_crawl_and_410_at_once(site: Site, crawled: Run) -> None:
    site.status("/a", 404)
    site.status("/b/leaf", 410)
    first = crawled()
    assert sorted(first.items) == ["/", "/b"]
    assert set(first.problems) == {"/a"}
    assert first.why("/b/leaf") == "gone: status 410"
    second = crawled()
    assert sorted(second.items) == ["/", "/b"]
    assert second.problems == {}
    assert second.why("/a") == "gone: status 404, in 2 crawls in a row"


@pytest.mark.catalogue("B62")
def test_a_page_that_comes_back_starts_to_count_again(site: Site, crawled: Run) -> None:
    for _ in range(3):
        site.status("/a", 404)
        assert set(crawled().problems) == {"/a"}
        site.page("/a", "Text a")
        assert "/a" in crawled().items


@pytest.mark.catalogue("B62")
@pytest.mark.parametrize(
    ("status", "reason"), [(403, Reason.ACCESS_REFUSED), (401, Reason.ACCESS_REFUSED), (500, Reason.HTTP_STATUS)]
)
def test_a_page_that_is_refused_or_fails_is_kept_for_ever(
    site: Site, crawled: Run, status: int, reason: Reason
) -> None:
    site.status("/b", status)
    for _ in range(3):
        found = crawled()
        assert found.problems["/b"].reason is reason
        assert found.why("/b") == f"kept: {reason}: status {status}"
        # The page below it is reached although its only link cannot be read.
        assert "/b/leaf" in found.items


@pytest.mark.catalogue("B62")
def test_a_notice_with_status_200_is_a_page_that_is_not_found(site: Site, crawled: Run) -> None:
    from werkzeug import Response

    notice = "<html><title>Sorry</title><body><p>This page does not exist here.</p></body></html>"
    missing = lambda _: Response(notice, content_type="text/html")  # noqa: E731
    site.answers["/a"] = missing
    site.server.clear()
    site.server.expect_request(re.compile("^/.*")).respond_with_handler(
        lambda request: site.answers.get(request.path, missing)(request)
    )
    first = crawled()
    assert "the site sends its page for missing pages" in first.why("/a")
    assert set(first.problems) == {"/a"}
    assert crawled().why("/a").startswith("gone: ")


@pytest.mark.catalogue("B62")
def test_a_site_that_answers_everything_with_a_notice_loses_nothing_and_says_why(site: Site, crawled: Run) -> None:
    from werkzeug import Response

    site.server.clear()
    notice = "<html><title>Maintenance</title><body><p>We will be back soon.</p></body></html>"
    site.server.expect_request(re.compile("^/.*")).respond_with_handler(
        lambda _: Response(notice, content_type="text/html")
    )
    found = crawled()
    assert set(found.problems) == {"/", "/a", "/b", "/b/leaf"}
    assert not found.listing.complete
    assert "no seed could be read" in str(found.listing.error)


def test_a_page_that_no_link_leads_to_any_more_stays_while_it_is_there(site: Site, crawled: Run) -> None:
    site.page("/", "Home page")
    found = crawled()
    assert sorted(found.items) == ["/", "/a", "/b", "/b/leaf"]
    assert found.report["/a"]["found_on"] == "an earlier crawl"


def test_a_budget_that_does_not_reach_all_we_hold_deletes_nothing(site: Site, crawled: Run) -> None:
    found = crawled(max_pages=2)
    assert sorted(found.items) == ["/", "/a", "/b", "/b/leaf"]
    assert found.listing.complete
    assert len([row for row in found.report.values() if row["outcome"] == "budget"]) == 2


@pytest.mark.catalogue("F22", "B58")
def test_redirects_of_known_pages_lose_nothing_at_once(site: Site, crawled: Run) -> None:
    site.status("/a", 302, location="/login")
    site.status("/b", 301, location="http://169.254.169.254/latest/")
    site.status("/b/leaf", 301, location="/new")
    site.page("/login", "Please sign in")
    site.page("/new", "Leaf text at its new place")
    first = crawled()
    assert set(first.problems) == {"/a", "/b", "/b/leaf"}
    assert first.problems["/b"].reason is Reason.CROSS_ORIGIN
    second = crawled()
    assert set(second.problems) == {"/a", "/b"}
    assert second.why("/b/leaf").startswith("moved: moved to ")
    assert "/new" in second.items


@pytest.mark.parametrize("status", [500, 503, 429])
def test_robots_that_cannot_be_read_close_the_site_and_lose_nothing(site: Site, crawled: Run, status: int) -> None:
    site.status("/robots.txt", status, retry_after="3600")
    found = crawled()
    assert (found.items, set(found.problems)) == ([], {"/", "/a", "/b", "/b/leaf"})
    assert not found.listing.complete
    assert f"robots.txt of {site.url('/')} answers with status {status}" in str(found.listing.error)


def test_pages_that_other_options_leave_out_are_deleted(site: Site, crawled: Run) -> None:
    found = crawled(exclude=["/b/*"])
    assert sorted(found.items) == ["/", "/a", "/b"]
    assert found.why("/b/leaf") == "out of scope: excluded by `exclude`"


def test_pages_that_robots_now_exclude_are_deleted(site: Site, crawled: Run) -> None:
    site.raw("/robots.txt", "User-agent: *\nDisallow: /a\n")
    found = crawled()
    assert "/a" not in found.items
    assert found.problems == {}


def test_the_report_is_that_of_the_last_crawl_only(site: Site, crawled: Run) -> None:
    site.page("/", "Home page", links=["/a", "http://elsewhere.example/"])
    assert "http://elsewhere.example/" in crawled().report
    site.page("/", "Home page", links=["/a"])
    assert "http://elsewhere.example/" not in crawled().report
