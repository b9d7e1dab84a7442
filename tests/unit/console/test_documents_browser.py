"""Documents and Overview in a real browser: a link to a document, the keyboard, barriers, the language, a phone."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.query.v2 import query_pb2 as v2
from tests.support.browser import IN_A_BROWSER
from tests.support.pictures import settle
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import PAGES

pytestmark = [*IN_A_BROWSER, pytest.mark.slow]
TEXT = "Before.\n\nBackups are taken at three.\n\nAfter."
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
AT_ONCE = """*, *::before, *::after { animation: none !important; transition: none !important }
[data-stale=true], [data-testid=stExpander] summary, [role=tablist], [role=tab] { opacity: 1 !important }"""
"""A page refreshes by itself, and a slow machine never sees it at rest: what is drawn again is faded (headings of
expanders and tabs without an attribute that says so), and a colour that is still on its way has no contrast yet."""


@pytest.fixture(autouse=True)
def stocked(platform: Platform) -> None:
    """A source with history and one document."""
    peer = platform.gateway.peer
    source = admin_pb2.SourceStatus(name="handbook", kind="folder", documents=1, searchable=1)
    source.condition.state, source.condition.sentence = admin_pb2.SOURCE_STATE_UP_TO_DATE, "up to date"
    peer.status = admin_pb2.GetStatusResponse(sources=[source])
    row = ops.DocumentRow(doc_id="d1", source="handbook", locator="a/plan.md", title="Plan", version=2, state=1)
    points = [ops.SourceHistoryPoint(run_id="r", documents=n, complete=True) for n in range(3)]
    citation = v2.Citation(number=1, doc_id="d1", title="Plan", source="handbook", locator="a/plan.md", start=9, end=36)
    excerpts = [v2.Excerpt(text=f"{TEXT[9:36]} [1]", citations=[1]), v2.Excerpt(text="Before.", further=True)]
    final = v2.AnswerFinal(answered=v2.AnswerFinal.Answered(citations=[citation]), excerpts=excerpts)
    peer.answer = [v2.AnswerEvent(final=final)]
    peer.operations |= {
        "FindDocuments": ops.FindDocumentsResponse(
            documents=[row], counts=ops.DocumentCounts(documents=1), next_page_token=""
        ),
        "InspectDocument": ops.InspectDocumentResponse(
            document=row, text=TEXT, acl=["everyone"], chunks=[ops.ChunkSpan(start=9, end=36, tokens=6, embedded=True)],
            generations=[ops.GenerationVersion(generation="g1", state="active", indexed_version=2)],
            history=[ops.DocumentEvent(kind=ops.DOCUMENT_EVENT_KIND_CHANGED, version=2, run_id="0a1b")],
        ),
        "ListSourceHistory": ops.ListSourceHistoryResponse(
            sources=[ops.SourceHistory(source="handbook", points=points, changes={"added": 2}, runs=1)]
        ),
    }  # fmt: skip


def barriers(page: Page) -> list[str]:
    """What axe finds, with the place of each."""
    page.add_style_tag(content=AT_ONCE)
    found = Axe().run(page).response["violations"]
    return [
        f"{item['id']}: {node['target']} {node['html']} {[one['message'] for one in node['any']]}"
        for item in found
        for node in item["nodes"]
    ]


def shown_in(page: Page, scheme: Scheme) -> None:
    """Change what the visitor's system prefers, and wait until the page is drawn in it."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(
        "dark => dark === (getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme === 'dark')",
        arg=scheme == "dark",
    )


def test_a_document_is_opened_by_its_link_worked_with_by_keyboard_and_has_no_barrier(
    page: Page, platform: Platform, console_url: str
) -> None:
    page.goto(f"{console_url}/documents?doc=d1&q=plan")
    expect(page.get_by_text("State of this document: searchable.")).to_be_visible()
    expect(page.get_by_text("Backups are taken at three.")).to_be_visible()
    expect(page.get_by_label("Part of a path, a title or an id")).to_have_value("plan")
    page.get_by_role("tab", name="Text and chunks").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Everyone in the tenant")).to_be_visible()
    assert barriers(page) == []
    button = page.get_by_role("button", name="Index again")
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_label("Reason (for the audit log)").locator("visible=true").first.fill("looks odd")
    page.get_by_role("button", name="Confirm").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("It will be written again to")).to_be_visible()
    [request] = [request for name, request in platform.gateway.peer.asked if name == "ReindexDocument"]
    assert (request.doc_id, request.reason) == ("d1", "looks odd")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_text("State of this document: searchable.")).to_be_hidden()
    assert "doc=" not in page.url


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("width", [1440, 390])
def test_no_page_has_a_barrier_or_is_wider_than_its_screen_in_light_or_dark(
    browser: Browser, platform: Platform, console_url: str, width: int
) -> None:
    found: dict[str, list[str]] = {}
    expect.set_options(timeout=60_000)
    with browser.new_context(locale="en-GB", viewport={"width": width, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(300_000)
        for name in (*PAGES, "documents?doc=d1", "ask?q=When"):
            page.goto(f"{console_url}/{'' if name == 'overview' else name}")
            expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
            settle(page)
            for scheme in SCHEMES:
                shown_in(page, scheme)
                wide = page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
                found[f"{name}, {scheme}"] = barriers(page) + ([f"wider by {wide}"] if wide > 0 else [])
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_a_new_installation_opens_on_a_card_until_the_first_own_source_is_searchable(
    page: Page, platform: Platform, console_url: str
) -> None:
    peer = platform.gateway.peer
    example = admin_pb2.SourceStatus(name="project", documents=9, searchable=9)
    own = admin_pb2.SourceStatus(name="handbook", kind="folder", documents=60)
    own.condition.state, own.condition.percent = admin_pb2.SOURCE_STATE_EMBEDDING, 25
    own.condition.sentence = "embedding {percent} %"
    peer.status = admin_pb2.GetStatusResponse(sources=[example, own])
    final = v2.AnswerFinal(answered=v2.AnswerFinal.Answered(citations=[v2.Citation(number=1)]))
    peer.answers("16 weeks.", final)
    page.goto(console_url)
    card = page.locator(".st-key-start-here")
    expect(card.get_by_role("heading", name="Start here")).to_be_visible()
    expect(card.get_by_text("handbook: ▶ embedding 25 %")).to_be_visible()
    expect(card.get_by_text("9 documents can be asked already.")).to_be_visible()
    card.get_by_text("Call it from your code").click()
    expect(card.get_by_text("/api/v2/answer").first).to_be_visible()
    expect(card.get_by_role("link", name="Add your documents")).to_have_attribute("href", re.compile("add_source"))
    assert barriers(page) == []
    own.searchable = 3
    peer.status = admin_pb2.GetStatusResponse(sources=[example, own])
    expect(card).to_have_count(0)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    peer.status = admin_pb2.GetStatusResponse(sources=[example])
    page.goto(console_url)
    card.get_by_label("Ask a question").fill("How long is parental leave?")
    card.get_by_role("button", name="Ask").click()
    expect(page.get_by_label("Chat message from Answer").get_by_text("16 weeks.")).to_be_visible()


def test_the_end_of_a_run_says_how_many_are_searchable_and_links_to_each_rest(
    page: Page, platform: Platform, console_url: str
) -> None:
    peer = platform.gateway.peer
    source = admin_pb2.SourceStatus(name="handbook", kind="folder", documents=53, searchable=53, quarantined=5)
    source.condition.state, source.condition.needs_attention = admin_pb2.SOURCE_STATE_DEGRADED, True
    source.condition.reason, source.condition.sentence = "LISTING_INCOMPLETE", "failed since {since}: {reason}"
    source.condition.message = (
        "not listed to its end: HOST_UNREACHABLE: cannot reach http://wiki.test: connection refused"
    )
    source.condition.failing_since.seconds = 1_700_000_000
    peer.status = admin_pb2.GetStatusResponse(sources=[source])
    peer.operations["ListSources"] = ops.ListSourcesResponse(sources=[ops.SourceDetail(name="handbook", shards=1)])

    def count(request: ops.FindDocumentsRequest) -> ops.FindDocumentsResponse:
        of = {ops.DOCUMENT_STATE_UNSPECIFIED: 60, ops.DOCUMENT_STATE_SEARCHABLE: 53, ops.DOCUMENT_STATE_SKIPPED: 2,
              ops.DOCUMENT_STATE_QUARANTINED: 5}.get(request.state, 0)  # fmt: skip
        return ops.FindDocumentsResponse(counts=ops.DocumentCounts(documents=of))

    peer.operations["FindDocuments"] = count
    page.goto(f"{console_url}/sources")
    line = page.locator(".st-key-source-outcome")
    for label in ("53 of 60 searchable", "5 in quarantine", "2 skipped"):
        expect(line.get_by_role("link", name=label)).to_be_visible()
    said = (
        "Cannot reach http://wiki.test: connection refused. 53 documents stay searchable. It is tried again by itself."
    )
    expect(page.get_by_text(said)).to_be_visible()
    assert barriers(page) == []
    line.get_by_role("link", name="2 skipped").click()
    expect(page.get_by_role("heading", name="Documents", level=1)).to_be_visible()
    expect(page).to_have_url(re.compile("source=handbook.*state=skipped|state=skipped.*source=handbook"))
    page.goto(console_url)
    expect(page.get_by_text("Needs attention: 1")).to_be_visible()
    expect(page.get_by_text(said)).to_be_visible()
    expect(page.get_by_role("link", name="Retry or discard what is in quarantine")).to_be_visible()


def test_the_overview_has_no_barrier_and_the_document_says_its_language(page: Page) -> None:
    expect(page.get_by_role("heading", name="Runs of the last 24 hours")).to_be_visible()
    expect(page.get_by_text("None.")).to_be_visible()
    assert barriers(page) == []
    page.get_by_role("radio", name="中文").click()
    expect(page.get_by_role("heading", name="总览")).to_be_visible()
    page.wait_for_function("document.documentElement.lang === 'zh'")
