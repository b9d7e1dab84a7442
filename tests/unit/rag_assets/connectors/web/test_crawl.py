"""What a crawl reaches, and what it says about the rest."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable

import pytest

from rag_core.content.sources import TransientMemory
from tests.support.sites import Site
from tests.unit.rag_assets.connectors.web.conftest import Crawl, Open

Run = Callable[..., Crawl]


def test_pages_in_scope_are_reached_by_links_and_each_url_is_explained(site: Site, crawl: Run) -> None:
    site.page(
        "/",
        "Home of pumps",
        links=["a", "/a#part", "A/../a", "mailto:x@y.z", "javascript:x()", "http://other.example/"],
    )
    site.page(
        "/a", "About pumps", links=["/b?utm_source=mail&x=1", "/b?x=1&gclid=3", "/b;jsessionid=ABC?x=1", "/img.png"]
    )
    site.page("/b", "More about pumps")
    site.raw("/img.png", b"\x89PNG", "image/png")
    found = crawl()
    assert sorted(found.items) == ["/", "/a", "/b?x=1"]
    assert (found.listing.complete, found.listing.error) == (True, None)
    assert found.why("http://other.example/") == "out of scope: another host"
    assert found.why("/img.png") == "not a document: CONTENT_TYPE: image/png is not read"
    assert found.report["/a"]["found_on"] == site.url("/")
    # The crawl also asks for a page by a random name, which may start with any letter.
    assert [path for path in site.asked if re.match(r"/b(\W|$)", path)] == ["/b?x=1"]


def test_include_exclude_and_hosts_bound_the_scope(site: Site, crawl: Run) -> None:
    links = ["/docs/x", "/docs/draft/y", "/blog/z", site.url("/docs/w").replace("localhost", "127.0.0.1")]
    site.page("/", "Home page", links=links)
    for path in ("/docs/x", "/docs/draft/y", "/blog/z", "/docs/w"):
        site.page(path, f"Text of {path}")
    port = site.server.port
    found = crawl(include=["/", "/docs/*"], exclude=["/docs/draft/*"], hosts=[f"127.0.0.1:{port}"])
    assert sorted(found.items) == ["/", "/docs/x", f"http://127.0.0.1:{port}/docs/w"]
    assert found.why("/docs/draft/y") == "out of scope: excluded by `exclude`"
    assert found.why("/blog/z") == "out of scope: not in `include`"


def test_robots_txt_is_obeyed_for_our_name(site: Site, crawl: Run) -> None:
    site.raw("/robots.txt", "User-agent: *\nDisallow: /\n\nUser-agent: rag-platform-crawler\nDisallow: /private\n")
    site.page("/", "Home page", links=["/private/a", "/public"])
    site.page("/private/a", "Secret")
    site.page("/public", "Public text")
    found = crawl()
    assert sorted(found.items) == ["/", "/public"]
    assert found.why("/private/a") == "excluded: ROBOTS_EXCLUDED: robots.txt does not allow it"
    assert "/private/a" not in site.asked


def test_a_crawl_delay_and_the_delay_of_the_options_are_kept(site: Site, crawl: Run) -> None:
    site.raw("/robots.txt", "User-agent: *\nCrawl-delay: 0.2\n")
    site.page("/", "Home page", links=["/a", "/b"])
    site.page("/a", "Text a")
    site.page("/b", "Text b")
    started = time.monotonic()
    assert len(crawl().items) == 3
    assert time.monotonic() - started >= 0.6


def test_pages_of_sitemaps_and_their_indexes_are_reached_packed_or_not(site: Site, crawl: Run) -> None:
    space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    site.raw("/robots.txt", f"Sitemap: {site.url('/index.xml')}\nSitemap: {site.url('/none.xml')}\n")
    parts = "".join(
        f"<sitemap><loc>{site.url(path)}</loc></sitemap>" for path in ("/one.xml", "/two.xml.gz", "/bad.xml")
    )
    site.raw("/index.xml", f"<sitemapindex {space}>{parts}</sitemapindex>", "application/xml")
    site.raw("/one.xml", f"<urlset {space}><url><loc> {site.url('/a')} </loc></url></urlset>", "application/xml")
    packed = gzip.compress(f"<urlset {space}><url><loc>{site.url('/b')}</loc></url></urlset>".encode())
    site.raw("/two.xml.gz", packed, "application/gzip")
    site.raw("/bad.xml", '<!DOCTYPE x [<!ENTITY a "b">]><urlset>&a;</urlset>', "application/xml")
    site.page("/", "Home page")
    site.page("/a", "Text a")
    site.page("/b", "Text b")
    found = crawl()
    assert sorted(found.items) == ["/", "/a", "/b"]
    assert found.listing.complete
    assert found.report["/a"]["found_on"] == "sitemap"
    assert "XML_DTD_FORBIDDEN" in found.why("/bad.xml")
    assert "status 404" in found.why("/none.xml")


def test_a_page_that_names_another_as_canonical_is_not_indexed_twice(site: Site, crawl: Run) -> None:
    site.page("/", "Home page", links=["/a?print=1", "/x"])
    site.page("/a", "Text a", head=f'<link rel="canonical" href="{site.url("/a")}">')
    site.answers["/a"] = site.answers["/a"]
    site.page("/x", "Text x", head='<link rel="canonical" href="/y">')
    site.page("/y", "Text y", head='<link rel="canonical" href="/x">')
    found = crawl()
    assert sorted(found.items) == ["/", "/a", "/y"]
    assert found.why("/a?print=1").startswith("duplicate: ")


def test_pages_that_ask_not_to_be_indexed_are_followed_only(site: Site, crawl: Run) -> None:
    site.page("/", "Home page", links=["/hub", "/header"])
    site.page("/hub", "A hub", head='<meta name="robots" content="noindex">', links=["/leaf"])
    site.page("/header", "Private", x_robots_tag="noindex, nofollow")
    site.page("/leaf", "Leaf text")
    found = crawl()
    assert sorted(found.items) == ["/", "/leaf"]
    assert found.why("/hub").startswith("excluded: ROBOTS_EXCLUDED")


@pytest.mark.catalogue("B61")
def test_depth_pages_and_variants_are_bounded_and_told(site: Site, crawl: Run) -> None:
    def calendar(request):  # type: ignore[no-untyped-def]
        from werkzeug import Response

        month = int(request.args.get("month", 0))
        html = f"<p>Month {month} of the calendar</p><a href='/cal?month={month + 1}'>n</a>"
        return Response(html, content_type="text/html")

    site.page("/", "Home page", links=["/cal?month=0", "/deep/deep/deep/deep/deep"])
    site.answers["/cal"] = calendar
    found = crawl(max_depth=100, max_variants=5)
    assert len([path for path in found.items if path.startswith("/cal")]) == 5
    assert found.why("/cal?month=5") == "budget: CRAWL_BUDGET: more than max_variants queries of this path"
    assert found.why("/deep/deep/deep/deep/deep") == "out of scope: a path that repeats itself"
    assert "budget: CRAWL_BUDGET: deeper than max_depth" in crawl(max_depth=2).why("/cal?month=5")
    few = crawl(max_pages=2)
    assert few.listing.complete
    assert few.why("/cal?month=3").startswith("budget: CRAWL_BUDGET: max_pages")


@pytest.mark.catalogue("B61")
def test_a_page_is_kept_when_a_limit_keeps_the_crawl_from_its_canonical_form(site: Site, crawl: Run) -> None:
    site.page("/", "Home page", links=["/cal?month=0", "/cal?month=1", "/summary"])
    site.page("/cal", "A month")
    site.page("/summary", "All months in one page", head="<link rel=canonical href='/cal?all=1'>")
    found = crawl(max_variants=2)
    assert "max_variants" in found.why("/cal?all=1")
    assert "/summary" in found.items


@pytest.mark.catalogue("B61")
def test_a_page_with_countless_links_and_a_huge_url_is_bounded(site: Site, crawl: Run) -> None:
    site.page("/", "Home page", links=[f"/l{number}" for number in range(5000)] + ["/x?" + "y" * 10_000])
    site.page("/l1", "Text")
    found = crawl(max_pages=5)
    assert len(site.asked) < 12
    assert found.listing.complete


@pytest.mark.catalogue("B63")
def test_hosts_that_only_look_like_ours_are_other_hosts(site: Site, crawl: Run) -> None:
    port = site.server.port
    links = [
        f"http://lоcalhost:{port}/a",
        f"http://LOCALHOST.:{port}/b",
        "http://localhost:22/c",
        "http://u:p@localhost/",
    ]
    site.page("/", "Home page", links=links)
    site.page("/b", "Text b")
    found = crawl()
    assert sorted(found.items) == ["/", "/b"]
    assert any(url.startswith("http://xn--") and row["why"] == "another host" for url, row in found.report.items())


def test_unchanged_pages_are_not_sent_again_and_their_links_are_still_known(
    site: Site, crawl: Run, open_web: Open
) -> None:
    site.page("/", "Home page", links=["/a"], etag='"1"')
    site.page("/a", "Text a", etag='"a1"')
    first = crawl()
    site.asked.clear()
    second = crawl()
    assert second.tokens == first.tokens
    assert second.why("/a") == "unchanged: "
    site.page("/", "Home page", links=["/a"], etag='"1"')
    site.page("/a", "Text a, edited", etag='"a2"')
    third = crawl()
    assert third.tokens["/"] == first.tokens["/"]
    assert third.tokens["/a"] != first.tokens["/a"]


def test_another_menu_around_the_same_text_is_no_change(site: Site, crawl: Run) -> None:
    site.page("/", "Home page")
    before = crawl().tokens
    site.page("/", "Home page", links=["/new"])
    site.page("/new", "New text")
    assert crawl().tokens["/"] == before["/"]


def test_a_page_is_read_from_the_crawl_or_again_when_it_was_not_sent(site: Site, open_web: Open) -> None:
    site.page("/", "Home page", etag='"1"')
    for _ in range(2):
        connector = open_web(rules=[{"path": "/*", "acl": ["group:staff"], "metadata": {"team": "web"}}])
        (item,) = list(connector.list_items())
        raw = connector.fetch(item)
        assert b"Home page" in raw.content
        assert (raw.acl, raw.metadata["team"], raw.metadata["url"]) == (("group:staff",), "web", site.url("/"))
        assert raw.media_type == "text/html; charset=utf-8"


def test_the_version_tag_looks_at_seeds_and_sitemaps(site: Site, open_web: Open, memory: TransientMemory) -> None:
    site.raw("/robots.txt", f"Sitemap: {site.url('/s.xml')}\n")
    site.raw("/s.xml", f"<urlset><url><loc>{site.url('/a')}</loc></url></urlset>", "application/xml")
    site.page("/", "Home page")
    site.page("/a", "Text a")
    listing = open_web().list_items()
    list(listing)
    token = open_web().version_tag()
    assert listing.version_tag == token
    site.raw("/s.xml", f"<urlset><url><loc>{site.url('/a')}</loc></url><url/></urlset>", "application/xml")
    assert open_web().version_tag() != token


def test_check_asks_for_few_pages_and_remembers_nothing(site: Site, open_web: Open, memory: TransientMemory) -> None:
    site.page("/", "Home page", links=[f"/p{number}" for number in range(100)])
    for number in range(100):
        site.page(f"/p{number}", f"Text {number}")
    found = open_web().check()
    assert (found["ok"], found["items"], found["more"]) == (True, 10, True)
    assert len(site.asked) < 20
    assert list(memory.all()) == []


@pytest.mark.catalogue("B58")
@pytest.mark.parametrize("seed", ["http://10.0.0.1/", "http://169.254.169.254/", "http://[::ffff:10.0.0.1]/"])
def test_a_private_seed_is_refused_and_says_so(open_web: Open, seed: str) -> None:
    connector = open_web(seeds=[seed])
    listing = connector.list_items()
    list(listing)
    assert not listing.complete
    assert "SSRF_BLOCKED" in str(listing.error)
    assert connector.check()["ok"] is False
