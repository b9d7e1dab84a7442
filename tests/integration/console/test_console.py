"""The console in a browser before the real query server and its database: what is shown, done, refused and on record.

Dagster is scripted here; the whole stack is tried in tests/faults/test_console_actions.py. What takes long is marked as
the tests there, for a page costs a busy machine many seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_httpserver import HTTPServer
from sqlalchemy import text

from rag_core.database import Store, open_store
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.governance.audit import Colour, DeploymentState, Step
from rag_core.governance.audit import deployment_store as deployments
from rag_core.settings import Settings
from tests.integration.query_server.conftest import DOCS
from tests.integration.query_server.test_operations import ADMIN, OPERATOR, VIEWER, fill
from tests.support.browser import CHROMIUM, NEEDS, ask, chromium, running_console
from tests.support.postgres import temporary_database
from tests.support.query_server import RunningServer, running
from tests.unit.console.conftest import healthy_dagster

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=NEEDS)]
WHY = "Reason (for the audit log)"
PATIENCE_MS = 60_000


@dataclass
class Place:
    """A console, the server and the database behind it; `act_as` gives the visitor other scopes."""

    url: str
    server: RunningServer
    store: Store
    token_file: Path
    browser: Browser
    environment: dict[str, str]

    def act_as(self, scopes: list[str]) -> None:
        self.token_file.write_text(self.server.keys.token(subject="ann", scopes=scopes))


@pytest.fixture(scope="module")
def place(postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("console")
    dagster = HTTPServer(host="127.0.0.1", port=0)
    dagster.expect_request("/graphql").respond_with_json({"data": healthy_dagster()})
    dagster.start()
    with temporary_database(postgres_server) as url, chromium() as browser:
        settings = Settings(home=folder, database_url=url)
        store = open_store(settings)
        fill(store)
        hold_deletions(store)
        deploy(store)
        with running(folder / "server", docs=DOCS, open_store=lambda: open_store(settings)) as server:
            environment = {
                "RAG_CONSOLE_QUERY_ADDRESS": server.target,
                "RAG_CONSOLE_GATEWAY_URL": f"http://{server.target}",
                "RAG_CONSOLE_DAGSTER_URL": dagster.url_for(""),
                "RAG_CONSOLE_METRICS_URLS": f"http://127.0.0.1:{server.ports.metrics}/metrics",
                "RAG_CONSOLE_SIGN_IN": "none",
                "RAG_CONSOLE_TOKEN_FILE": str(folder / "token"),
                "RAG_CONSOLE_REFRESH_SECONDS": "2",
            }
            with running_console(folder, environment) as address:
                yield Place(address, server, store, folder / "token", browser, environment)
        store.close()
    dagster.stop()


def deploy(store: Store) -> None:
    """One deployment that serves, and can be taken back."""
    later = datetime.now(UTC) + timedelta(hours=1)
    made = {"target": "local", "release": "r2", "spec": {}, "colour": "green", "from_colour": "blue",
            "state": DeploymentState.DONE, "steps": [10, 100], "actor": "rag:ann", "why": "new model"}  # fmt: skip
    with store.engine.begin() as connection:
        number = deployments.add(connection, **made).id
        deployments.change(connection, number, state=DeploymentState.DONE, weight=100, keep_until=later)
        deployments.add_step(connection, number, Step("smoke.golden", True, 0, 1.5, figures={"questions": 20}))
        colours = [Colour("local", "blue", "r1", 0, 1, 1, keep_until=later), Colour("local", "green", "r2", 100, 1, 1)]
        deployments.save_colours(connection, "local", colours)


@pytest.fixture
def page(place: Place) -> Iterator[Page]:
    place.act_as([*ADMIN, "platform.admin"])
    opened = place.browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 1200}).new_page()
    opened.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    opened.goto(place.url)
    expect(opened.get_by_role("heading", name="Overview")).to_be_visible()
    yield opened
    opened.context.close()


def go(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def act(page: Page, button: str, reason: str, said: str) -> None:
    """Open an action, say why, confirm, and wait for its result."""
    page.get_by_role("button", name=button).click()
    dialog = page.get_by_test_id("stPopoverBody")
    dialog.get_by_label(WHY).fill(reason)
    dialog.get_by_label(WHY).press("Tab")
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog.get_by_text(said)).to_be_visible()
    page.keyboard.press("Escape")


def hold_deletions(store: Store) -> None:
    """Hold the deletion of every document of the source."""
    with store.engine.begin() as db:
        db.execute(text("INSERT INTO rag.held_deletions (doc_id, tenant, source, held_at)"
                        " SELECT doc_id, tenant, source, now() FROM rag.documents WHERE tenant = 'acme'"))  # fmt: skip
        db.execute(text("UPDATE rag.sources SET held_deletions = 5 WHERE tenant = 'acme'"))


def approve_deletions(page: Page, count: int, reason: str) -> None:
    """Review what would go, and approve it."""
    page.get_by_role("button", name=f"Review {count} deletions").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(WHY).fill(reason)
    dialog.get_by_label(WHY).press("Tab")
    dialog.get_by_role("button", name=f"Approve these {count}").click()
    expect(page.get_by_text(f"{count} deletions are approved")).to_be_visible()


def on_record(page: Page, reason: str, action: str) -> None:
    go(page, "Audit")
    row = page.get_by_test_id("stDataFrame").locator("tr", has_text=reason)
    expect(row).to_have_count(1)
    expect(row.locator("td", has_text=action)).to_be_attached()


def test_held_deletions_are_released_and_on_record_once(page: Page) -> None:
    page.get_by_role("link", name="Review and approve the deletions").click()
    approve_deletions(page, 5, "the chapter was withdrawn")
    on_record(page, "the chapter was withdrawn", "approve")


@pytest.mark.faults
def test_whoever_comes_first_to_the_address_of_a_page_finds_it_in_its_frame(place: Place, tmp_path: Path) -> None:
    place.act_as(VIEWER)
    with running_console(tmp_path, place.environment) as fresh:
        opened = place.browser.new_context(locale="en-GB").new_page()
        opened.goto(f"{fresh}/ask")
        expect(opened.get_by_text("Signed in as ann (viewer)")).to_be_visible(timeout=PATIENCE_MS)
        expect(opened.get_by_role("heading", name="Ask", level=1)).to_be_visible(timeout=PATIENCE_MS)
        opened.context.close()


@pytest.mark.faults
def test_a_sync_is_recorded_before_it_is_started(page: Page) -> None:
    go(page, "Sources")
    act(page, "Sync now", "new edition", "Started:")
    on_record(page, "new edition", "dagster.launch")


@pytest.mark.faults
def test_a_quarantined_input_is_shown_as_text_to_an_administrator_and_redriven(page: Page) -> None:
    go(page, "Quality")
    box = page.get_by_test_id("stDataFrame").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 35 + 17)  # the table is a canvas: a row is ticked by its place
    act(page, "Redrive 1", "a new parser", "1 will be retried.")
    on_record(page, "a new parser", "quarantine.redrive")


def test_a_document_is_followed_down_to_a_chunk(page: Page) -> None:
    go(page, "Documents")
    box = page.get_by_label("Part of a path, a title or an id")
    box.fill("vault")
    box.press("Enter")
    expect(page.get_by_text("State of this document: searchable.")).to_be_visible()
    expect(page.get_by_text("The vault opens at nine.").first).to_be_visible()


@pytest.mark.faults
def test_an_answer_is_given_and_two_settings_are_compared(page: Page) -> None:
    go(page, "Ask")
    ask(page, "How many days of paid leave does the vacation policy grant a year?")
    expect(page.get_by_text("The vacation policy grants 25 days of paid leave a year.").first).to_be_visible()
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("Compare two settings").click()
    page.keyboard.press("Escape")
    ask(page, "How many days of paid leave does the vacation policy grant a year?")
    expect(page.locator("td", has_text="Leave").first).to_be_attached()


@pytest.mark.faults
def test_a_deployment_is_rolled_back_for_a_reason(page: Page) -> None:
    go(page, "Index")
    page.locator(".st-key-page-switch").get_by_role("link", name="Deployments").click()
    act(page, "Roll back r2", "users complain", "The deployer returns the traffic at once.")
    expect(page.get_by_text("Requested, not done yet: rollback.")).to_be_visible()
    on_record(page, "users complain", "deploy.rollback")


def test_the_api_refuses_what_a_role_may_not_although_the_page_offered_it(page: Page, place: Place) -> None:
    place.act_as(OPERATOR)
    page.reload()
    go(page, "Sources")
    expect(page.get_by_role("button", name="Sync now")).to_be_visible()
    place.act_as(VIEWER)  # the page was drawn for an operator
    act(page, "Sync now", "sneaky", "The action failed: SCOPE_MISSING.")


@pytest.mark.catalogue("S46")
@pytest.mark.faults
def test_a_viewer_gets_no_payload_and_no_audit_log(page: Page, place: Place) -> None:
    place.act_as(VIEWER)
    page.reload()
    expect(page.get_by_text("Signed in as ann (viewer)")).to_be_visible()
    assert page.get_by_role("link", name="Audit").count() == 0
    go(page, "Quality")
    expect(page.get_by_text("redrive and discard require the role operator")).to_be_visible()
    expect(page.get_by_role("button", name="Redrive 0")).to_be_disabled()
