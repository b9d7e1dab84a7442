"""The five chores of an operator in a browser, counted in clicks from the overview, and every page painted once."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import deployments_pb2 as deploy
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.query.v2 import query_pb2 as v2
from tests.support.browser import IN_A_BROWSER
from tests.unit.console.conftest import Platform

pytestmark = [*IN_A_BROWSER, pytest.mark.slow]
MOST_CLICKS = 4
TEXT = "Before. Backups are taken at three. After."


@dataclass
class Clicks:
    """A mouse that counts."""

    count: int = 0

    def on(self, place: Locator) -> None:
        place.click()
        self.count += 1
        assert self.count <= MOST_CLICKS


def link(page: Page, name: str) -> Locator:
    return page.get_by_test_id("stSidebarNav").get_by_role("link", name=name)


def part(page: Page, name: str) -> Locator:
    """The link to a page that shares its entry of the sidebar with the one that is shown."""
    return page.locator(".st-key-page-switch").get_by_role("link", name=name)


@pytest.fixture
def clicks(page: Page) -> Clicks:
    """Counting begins on the painted overview."""
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    return Clicks()


@pytest.fixture(autouse=True)
def troubled(platform: Platform) -> None:
    """A platform in which there is something to find for each chore."""
    peer = platform.gateway.peer
    stale = ops.SourceDetail(name="wiki", shards=1, last_run=ops.RunStage(problem="LISTING_INCOMPLETE"))
    counted = admin_pb2.SourceStatus(name="wiki", kind="site")
    stale.last_complete_at.seconds = counted.last_complete_at.seconds = int(time.time()) - 200_000
    counted.condition.state, counted.condition.needs_attention = admin_pb2.SOURCE_STATE_STALE, True
    counted.condition.sentence, counted.condition.since.seconds = "stale since {since}", int(time.time()) - 110_000
    counted.condition.reason = "LISTING_INCOMPLETE"
    counted.condition.failing_since.seconds = int(time.time()) - 110_000
    fine = admin_pb2.SourceStatus(name="handbook", kind="folder")
    peer.status = admin_pb2.GetStatusResponse(sources=[fine, counted])
    row = ops.DocumentRow(
        doc_id="d", source="wiki", locator="plan.pdf", version=1, state=ops.DOCUMENT_STATE_QUARANTINED
    )
    entry = ops.QuarantineEntry(id=1, reason="ENCRYPTED", message="the file has a password")
    citation = v2.Citation(number=1, title="Backups", doc_id="d", start=8, end=35, quote=TEXT[8:35])
    peer.answers("At three. [1]", answered=v2.AnswerFinal.Answered(citations=[citation]))
    record = ops.AuditRecord(actor="bob", action="quarantine.discard", target="plan.pdf", outcome="ok")
    made = deploy.Deployment(id=7, release="v2", colour="green", from_colour="blue", can_roll_back=True, weight=100)
    peer.operations |= {
        "ListSources": ops.ListSourcesResponse(sources=[ops.SourceDetail(name="handbook", shards=1), stale]),
        "FindDocuments": ops.FindDocumentsResponse(documents=[row]),
        "InspectDocument": ops.InspectDocumentResponse(document=row, text=TEXT, quarantine=entry),
        "ListAudit": ops.ListAuditResponse(records=[record]),
        "ListDeployments": deploy.ListDeploymentsResponse(deployments=[made]),
        "GetDeployment": deploy.GetDeploymentResponse(deployment=made),
    }


def test_why_is_this_source_stale(page: Page, clicks: Clicks) -> None:
    clicks.on(page.get_by_role("link", name="See why"))
    expect(page.get_by_role("heading", name="wiki")).to_be_visible()
    expect(page.get_by_text("and is tried again: LISTING_INCOMPLETE")).to_be_visible()


def test_why_is_this_document_missing(page: Page, clicks: Clicks) -> None:
    clicks.on(link(page, "Documents"))
    box = page.get_by_label("Part of a path, a title or an id")
    box.fill("plan")
    box.press("Enter")
    expect(page.get_by_text("State of this document: in quarantine.")).to_be_visible()
    expect(page.get_by_text("Its newest content could not be used (ENCRYPTED")).to_be_visible()
    expect(page.get_by_text("the file has a password")).to_be_visible()


def test_why_was_this_answer_given(page: Page, clicks: Clicks) -> None:
    clicks.on(link(page, "Ask"))
    box = page.get_by_role("textbox", name="Ask a question")
    expect(box).to_be_focused()
    page.keyboard.type("When are backups taken?")
    page.keyboard.press("Enter")
    clicks.on(page.get_by_role("link", name="Source 1 of 1"))
    expect(page.get_by_text("Backups are taken at three.", exact=True)).to_be_visible()


def test_who_changed_what(page: Page, clicks: Clicks) -> None:
    clicks.on(link(page, "Audit"))
    expect(page.locator("td", has_text="bob")).to_be_attached()
    expect(page.locator("td", has_text="quarantine.discard")).to_be_attached()


def test_roll_back_the_last_deployment(page: Page, platform: Platform, clicks: Clicks) -> None:
    clicks.on(link(page, "Index and deployments"))
    clicks.on(part(page, "Deployments"))
    clicks.on(page.get_by_role("button", name="Roll back v2"))
    page.get_by_label("Reason (for the audit log)").fill("answers got worse")
    clicks.on(page.get_by_role("button", name="Confirm"))
    expect(page.get_by_text("The deployer returns the traffic at once.")).to_be_visible()
    [asked] = [request for name, request in platform.gateway.peer.asked if name == "RequestRollback"]
    assert (asked.id, asked.reason) == (7, "answers got worse")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.faults)])
def test_every_page_is_painted_without_a_stack_trace_in_light_and_dark(page: Page, clicks: Clicks, scheme: str) -> None:
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    names = (
        "Sources",
        "Documents",
        "Pipeline",
        "Quality",
        "Index",
        "Deployments",
        "Ask",
        "Traffic",
        "Audit",
        "Overview",
    )
    for name in names:
        (part(page, name) if name == "Deployments" else link(page, name)).click()
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        assert page.get_by_test_id("stException").count() == 0, name
    assert failures == []
