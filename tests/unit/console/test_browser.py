"""The console in a real browser: what is painted, what is requested, and what a platform that goes and returns does."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from console.identity import PRODUCT, version
from console.sign_in import COOKIE
from rag_core.errors import NotFound, Reason
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.query.v2 import query_pb2 as v2
from tests.support.browser import IN_A_BROWSER, ask, running_console
from tests.support.waiting import eventually
from tests.unit.console.conftest import Platform
from tests.unit.console.test_documents_browser import SCHEMES, barriers

pytestmark = [*IN_A_BROWSER, pytest.mark.slow]
_HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"> [go](javascript:alert(1)) ![i](http://attacker.example/p.png?q=1)"
)


MANUAL = "The lid is closed. Pump seven needs oil every three weeks. The valve opens at four bar."
WIDE = {"width": 1440, "height": 900}


def cites_a_page(platform: Platform, **more: Any) -> None:
    """An answer whose citation is on the second page of a PDF."""
    said = "Pump seven needs oil every three weeks. [1]"
    start = MANUAL.index("Pump")
    citation = v2.Citation(
        number=1, title="Manual", doc_id="d1", source="s", start=start, end=start + len(said) - 4,
        **({"locator": "manual.pdf", "quote": said[:-4], "page": 2, "page_kind": v2.PAGE_KIND_PAGE} | more),
    )  # fmt: skip
    final = v2.AnswerFinal(answered=v2.AnswerFinal.Answered(citations=[citation]), generation="g")
    peer = platform.gateway.peer
    peer.answers(said, final)
    row = ops.DocumentRow(doc_id="d1", source="s", locator="manual.pdf", media_type="application/pdf", version=1)
    out = io.BytesIO()
    Image.new("RGB", (600, 800), "white").save(out, "JPEG")
    mark = v2.GetPageResponse.Mark(left=0.1, top=0.1, right=0.5, bottom=0.2)
    peer.operations |= {
        "InspectDocument": ops.InspectDocumentResponse(document=row, text=MANUAL, acl=["everyone"]),
        "GetPage": v2.GetPageResponse(
            image=out.getvalue(), media_type="image/jpeg", width=600, height=800, page=2, pages=3, marks=[mark]
        ),
    }  # fmt: skip


def test_a_citation_of_a_pdf_opens_as_its_page_with_the_cited_words_marked_beside_the_text(
    page: Page, platform: Platform, console_url: str
) -> None:
    cites_a_page(platform, locator="https://files.example.org/manual.pdf")
    page.set_viewport_size(WIDE)
    page.goto(f"{console_url}/ask")
    ask(page, "How often does pump seven need oil?")
    page.get_by_role("button", name="Open [1]").click()
    panel = page.locator(".st-key-cited-document")
    shown = panel.get_by_role("img", name="Page 2 of 3; the cited words are marked")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [600, 800]
    expect(panel.get_by_text("The lid is closed.")).to_be_visible()
    original = panel.get_by_role("link", name="Open the original")
    expect(original).to_have_attribute("href", "https://files.example.org/manual.pdf")
    assert barriers(page) == []
    page.get_by_role("link", name="Show the document").click()
    expect(page).to_have_url(re.compile(r"[?&]page=2\b"))
    expect(page.get_by_role("img", name="Page 2 of 3; the cited words are marked")).to_be_visible()
    asked = [request for name, request in platform.gateway.peer.asked if name == "GetPage"]
    assert [(one.doc_id, one.page, MANUAL[one.start : one.end]) for one in asked] == [
        ("d1", 2, "Pump seven needs oil every three weeks.")
    ], "drawn again without asking again"


def test_without_the_original_the_text_is_shown_and_why_there_is_no_picture(
    page: Page, platform: Platform, console_url: str
) -> None:
    cites_a_page(platform)
    platform.gateway.peer.operations["GetPage"] = NotFound(Reason.ORIGINAL_NOT_FOUND, "the original is gone")
    page.goto(f"{console_url}/ask")
    ask(page, "How often does pump seven need oil?")
    page.get_by_role("button", name="Open [1]").click()
    panel = page.locator(".st-key-cited-document")
    expect(panel.get_by_text("The page cannot be shown as a picture.")).to_be_visible()
    expect(panel.get_by_text("The lid is closed.")).to_be_visible()


def test_a_citation_of_a_sheet_opens_as_its_rows_under_their_header(
    page: Page, platform: Platform, console_url: str
) -> None:
    row = v2.Block.Part(role=v2.Block.Part.ROLE_ROW, start=MANUAL.index("Pump"), end=MANUAL.index(" The valve"))
    table = v2.Block(kind=v2.Block.KIND_TABLE, header="What | When", parts=[row])
    cites_a_page(platform, page_kind=v2.PAGE_KIND_SHEET, blocks=[table], quote="Pump seven | every three weeks    ")
    page.goto(f"{console_url}/ask")
    ask(page, "How often does pump seven need oil?")
    page.get_by_role("button", name="Open [1]").click()
    cells = page.locator(".st-key-cited-document").get_by_role("table")
    expect(cells).to_contain_text("What")
    expect(cells).to_contain_text("every three weeks")
    assert "GetPage" not in [name for name, _ in platform.gateway.peer.asked]


def test_the_source_that_another_page_led_here_with_can_be_taken_out_after_a_question(
    page: Page, platform: Platform, console_url: str
) -> None:
    cites_a_page(platform)
    handbook = v2.ListSourcesResponse.Source(name="handbook", documents=1)
    platform.gateway.peer.operations["AskableSources"] = v2.ListSourcesResponse(sources=[handbook])
    page.goto(f"{console_url}/ask?source=handbook")
    ask(page, "How often does pump seven need oil?")
    expect(page.get_by_role("button", name="Open [1]")).to_be_visible()
    page.get_by_role("button", name="Settings · 1 set").click()
    page.get_by_role("button", name="Clear all").click()
    expect(page.get_by_role("button", name="Settings", exact=False)).not_to_contain_text("set")


@pytest.mark.catalogue("S35")
def test_hostile_text_runs_nothing_loads_nothing_and_links_nowhere(page: Page, platform: Platform) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(httpx.URL(request.url).host))
    citation = v2.Citation(number=1, title=_HOSTILE, source="s", locator=_HOSTILE, quote=_HOSTILE)
    platform.gateway.peer.answers(_HOSTILE, answered=v2.AnswerFinal.Answered(citations=[citation]))
    page.get_by_role("link", name="Ask").click()
    ask(page, "x")
    answer = page.get_by_label("Chat message from Answer").get_by_text("[go](javascript:alert(1))")
    for place in (0, 1):  # the answer and the title of its source
        expect(answer.nth(place)).to_be_attached()
    assert page.locator("a[href^='javascript'], a[href*='attacker'], img[src*='attacker'], img[onerror]").count() == 0
    assert "owned" not in page.title()
    assert hosts <= {"127.0.0.1", ""}


@pytest.mark.catalogue("F52")
def test_the_page_recovers_by_itself_when_the_platform_returns(page: Page, platform: Platform) -> None:
    platform.gateway.peer.status = admin_pb2.GetStatusResponse(
        sources=[admin_pb2.SourceStatus(name="handbook", documents=7)]
    )
    healthy = page.get_by_text("All 4 components are healthy.")
    expect(healthy).to_be_visible()
    platform.gateway.peer.stop()
    try:
        expect(page.get_by_text("Figures: service unavailable, UNAVAILABLE, since")).to_be_visible()
        assert page.get_by_text("Traceback").count() == 0
    finally:
        platform.gateway.peer.start()
    expect(healthy).to_be_visible()
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("7")


def test_the_page_can_be_worked_with_the_keyboard_alone(page: Page, platform: Platform) -> None:
    expect(page.get_by_text("components are healthy")).to_be_visible()
    link = page.get_by_role("link", name="Traffic")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Traffic")).to_be_visible()


def test_no_page_asks_for_what_is_not_there(page: Page, console_url: str) -> None:
    refused: list[str] = []
    page.on("response", lambda response: refused.append(response.url) if response.status >= 400 else None)
    for address, heading in (("sources", "Sources"), ("documents?state=deleted", "Documents")):
        page.goto(f"{console_url}/{address}")
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    assert refused == []


def held(platform: Platform, count: int, state: admin_pb2.SourceState, sentence: str) -> None:
    """Deletions of a source wait for somebody; above it, and below it, stands another."""
    waits = admin_pb2.SourceCondition(
        state=state, count=count, sentence=sentence, needs_attention=state == admin_pb2.SOURCE_STATE_HELD
    )
    fine = admin_pb2.SourceCondition(state=admin_pb2.SOURCE_STATE_UP_TO_DATE, sentence="up to date")
    platform.gateway.peer.status = admin_pb2.GetStatusResponse(
        sources=[
            admin_pb2.SourceStatus(name="archive", documents=3, condition=fine),
            admin_pb2.SourceStatus(name="handbook", documents=70, held_deletions=count, condition=waits),
        ]
    )
    details = [ops.SourceDetail(name="archive", shards=1),
               ops.SourceDetail(name="handbook", shards=1, held_deletions=count)]  # fmt: skip
    platform.gateway.peer.operations["ListSources"] = ops.ListSourcesResponse(sources=details)


def test_held_deletions_are_reviewed_and_approved_in_a_dialog_that_no_refresh_closes(
    page: Page, platform: Platform
) -> None:
    rows = [ops.DocumentRow(doc_id=str(n), locator=f"{'old' if n < 5 else 'new'}/page-{n}.md") for n in range(7)]
    platform.gateway.peer.operations |= {
        "FindDocuments": lambda request: ops.FindDocumentsResponse(
            documents=rows if request.held_for_deletion else [], counts=ops.DocumentCounts(documents=7)
        ),
        "ReleaseDeletions": ops.ReleaseDeletionsResponse(released=7),
    }
    held(platform, 7, admin_pb2.SOURCE_STATE_HELD, "held for approval: {count} deletions")
    page.get_by_role("link", name="Sources", exact=True).click()
    page.get_by_role("button", name="Review 7 deletions").click()
    dialog = page.get_by_role("dialog")
    folders, documents = (dialog.get_by_test_id("stDataFrame").nth(number) for number in range(2))
    expect(folders.locator("td", has_text="old")).to_be_attached()
    expect(documents.locator("td", has_text="new/page-6.md")).to_be_attached()
    dialog.get_by_label("Part of a path or a title").fill("page-3")
    dialog.get_by_label("Part of a path or a title").press("Enter")
    expect(documents.locator("td", has_text="new/page-6.md")).to_have_count(0)
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Download CSV").click()
    assert Path(download.value.path()).read_text("utf-8").count("page-") == 7, "the whole list"
    assert barriers(page) == []
    reason = dialog.get_by_label("Reason (for the audit log)")
    reason.press_sequentially("the chapter was withdr")
    held(platform, 7, admin_pb2.SOURCE_STATE_STALE, "stale since {since}")
    expect(page.get_by_test_id("stAlert").get_by_text("Stale since")).to_be_visible()
    expect(reason).to_have_value("the chapter was withdr")
    reason.press_sequentially("awn")
    reason.press("Tab")
    dialog.get_by_role("button", name="Approve these 7").click()
    expect(page.get_by_text("7 deletions are approved for the next run.")).to_be_visible()
    expect(dialog).to_have_count(0)
    [request] = [request for name, request in platform.gateway.peer.asked if name == "ReleaseDeletions"]
    assert (request.source, request.expected, request.reason) == ("handbook", 7, "the chapter was withdrawn")


def test_a_question_in_the_address_is_answered_as_it_is_written_and_the_rest_of_the_answer_is_folded(
    page: Page, platform: Platform, console_url: str
) -> None:
    question, first, other = "When are backups taken?", "Backups are taken at three.", "Backups are kept for a month."
    final = v2.AnswerFinal(
        answered=v2.AnswerFinal.Answered(citations=[v2.Citation(number=1, doc_id="d1", title="Backups", quote=first)]),
        excerpts=[v2.Excerpt(text=f"{first} [1]", citations=[1]), v2.Excerpt(text=other, further=True)],
    )
    peer = platform.gateway.peer
    peer.answers("Backups are", final)
    with peer.holding_searches():
        page.goto(f"{console_url}/ask?{urlencode({'q': question})}")
        expect(page.get_by_text("Backups are", exact=True)).to_be_visible()
        expect(page.get_by_role("heading", name="Answer")).to_have_count(0)
    expect(page.get_by_role("heading", name="Answer")).to_be_visible()
    expect(page.get_by_role("link", name="Source 1 of 1")).to_be_visible()
    for summary, inside in (
        ("Other passages (1)", page.get_by_text(other)),
        ("Details", page.get_by_role("link", name="Link to this question")),
    ):
        expect(inside).to_be_hidden()
        page.get_by_text(summary, exact=True).click()
        expect(inside).to_be_visible()
    expect(page.get_by_role("link", name="Link to this question")).to_have_attribute(
        "href", re.compile(re.escape(urlencode({"q": question})))
    )
    page.get_by_test_id("stFeedbackButton").last.click()
    comment = page.get_by_label("What should it have said? (optional)")
    comment.fill("at four")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Saved. Its question waits")).to_be_visible()
    [rated] = [request for name, request in peer.asked if name == "RateAnswer"]
    assert (rated.question, rated.good, rated.comment) == (question, False, "at four")


@pytest.fixture(scope="module")
def sign_in_url(running_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A console where people sign in."""
    settings = {"RAG_CONSOLE_SIGN_IN": "local", "RAG_CONSOLE_ENVIRONMENT": "staging"}
    with running_console(tmp_path_factory.mktemp("sign-in"), running_platform.environment | settings) as url:
        yield url


@pytest.mark.parametrize("width", [1440, 390])
def test_pages_before_the_sign_in_and_of_no_address_are_our_own_and_have_no_barrier(
    browser: Browser, sign_in_url: str, width: int
) -> None:
    with browser.new_context(locale="en-GB", viewport={"width": width, "height": 844}) as context:
        page = context.new_page()
        for address, title in (("sources", "Sign in"), ("nothing", "Page not found")):
            page.goto(f"{sign_in_url}/{address}")
            expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
            expect(page.get_by_role("main")).to_contain_text(PRODUCT)
            expect(page.get_by_role("contentinfo")).to_contain_text(version())
            expect(page.get_by_role("contentinfo")).to_contain_text("staging")
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                assert barriers(page) == [], (title, scheme)
            context.add_cookies([{"name": COOKIE, "value": "a.b.c", "url": sign_in_url}])


def test_a_conversation_outlives_a_reload_until_its_person_deletes_it(
    browser: Browser, platform: Platform, sign_in_url: str
) -> None:
    final = v2.AnswerFinal(answered=v2.AnswerFinal.Answered(citations=[v2.Citation(number=1)]))
    platform.gateway.peer.answers("16 weeks.", final)
    with browser.new_context(locale="en-GB", viewport={"width": 390, "height": 844}) as context:
        context.add_cookies([{"name": COOKIE, "value": "a.b.c", "url": sign_in_url}])
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{sign_in_url}/ask")
        box = page.get_by_role("textbox", name="Ask a question")
        expect(box).to_be_focused()
        expect(box).to_be_in_viewport()
        ask(page, "How long is parental leave?")
        answer = page.get_by_label("Chat message from Answer")
        expect(answer.get_by_text("16 weeks.")).to_be_visible()
        page.reload()
        expect(answer.get_by_text("16 weeks.")).to_be_visible()
        expect(page.get_by_role("heading", name="Answer")).to_be_visible()
        page.get_by_role("button", name="New conversation").click()
        expect(answer).to_have_count(0)
        page.reload()
        expect(box).to_be_visible()
        expect(answer).to_have_count(0)
    assert [name for name, _ in platform.gateway.peer.asked].count("Answer") == 1


def test_an_address_that_is_not_for_the_role_says_so(page: Page, platform: Platform, console_url: str) -> None:
    """The last one here: the console knows this caller by fewer scopes for ten seconds more."""
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    platform.gateway.peer.scopes = ["ops.read"]

    def refused() -> bool:
        page.goto(f"{console_url}/webhooks")
        page.get_by_role("heading", level=1).wait_for()
        return page.get_by_role("heading", name="Not for your role").count() == 1

    assert eventually(refused, seconds=120), "a caller is verified every ten seconds"
    assert page.get_by_role("dialog").count() == 0
    assert page.get_by_test_id("stSidebarNav").get_by_role("link", name="Ask").count() == 0
