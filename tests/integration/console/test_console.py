"""The console in a browser before the real query server and its database: what is shown, done, refused and on record.

Dagster is scripted here; the whole stack is tried in tests/faults/test_console_actions.py. What takes long is marked as
the tests there, for a page costs a busy machine many seconds.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Locator, Page, Position, expect
from playwright.sync_api import TimeoutError as Timeout
from psycopg.conninfo import conninfo_to_dict
from pytest_httpserver import HTTPServer
from sqlalchemy import text

from rag_assets.source_admin import render_definition
from rag_assets.source_admin.operations import carry_out
from rag_core.content.sources import operation_store
from rag_core.database import Store, open_store
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.governance.audit import Colour, DeploymentState, Step
from rag_core.governance.audit import deployment_store as deployments
from rag_core.ingestion.pipeline import Pipeline
from rag_core.settings import Settings
from ragproto.query.v2 import query_pb2, query_pb2_grpc
from tests.faults.steps import choose, following
from tests.faults.steps import fill as type_into
from tests.integration.query_server.conftest import DOCS
from tests.integration.query_server.test_operations import ADMIN, OPERATOR, VIEWER, fill
from tests.support.browser import IN_A_BROWSER, ask, chromium, running_console
from tests.support.postgres import temporary_database
from tests.support.query_server import RunningServer, running
from tests.support.traces import recorded
from tests.support.waiting import eventually
from tests.unit.console.conftest import healthy_dagster

pytestmark = [*IN_A_BROWSER, pytest.mark.slow]
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
    folder: Path
    """Below it are `documents`, which sources of the tenant may read, and `sources`, with the file of its own."""
    http: HTTPServer

    def act_as(self, scopes: list[str]) -> None:
        self.token_file.write_text(self.server.keys.token(subject="ann", scopes=scopes))


@pytest.fixture(scope="module")
def place(postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("console")
    dagster = HTTPServer(host="127.0.0.1", port=0)
    dagster.expect_request("/graphql").respond_with_json({"data": healthy_dagster()})
    dagster.start()
    allowances = {"acme": {"roots": [str(folder / "documents")], "secrets": ["env:RAG_SECRET_ACME_*"]}}
    with temporary_database(postgres_server) as url, chromium() as browser:
        settings = Settings(home=folder, database_url=url)
        store = open_store(settings)
        fill(store)
        hold_deletions(store)
        deploy(store)
        write_source(folder)
        shared = {"source_allowances": allowances, "home_shared": True, "unanswered_questions": "plain"}
        with (
            running(folder / "server", docs=DOCS, open_store=lambda: open_store(settings), **shared) as server,
            source_worker(store, folder, source_allowances=allowances),
        ):
            environment = {
                "RAG_CONSOLE_QUERY_ADDRESS": server.target,
                "RAG_CONSOLE_GATEWAY_URL": f"http://{server.target}",
                "RAG_CONSOLE_DAGSTER_URL": dagster.url_for(""),
                "RAG_CONSOLE_METRICS_URLS": f"http://127.0.0.1:{server.ports.metrics}/metrics",
                "RAG_CONSOLE_SIGN_IN": "none",
                "RAG_CONSOLE_TOKEN_FILE": str(folder / "token"),
                "RAG_CONSOLE_REFRESH_SECONDS": "2",
                "RAG_CONSOLE_TRACE_URL": dagster.url_for("/trace/") + "{trace}",
            }
            with running_console(folder, environment) as address:
                yield Place(address, server, store, folder / "token", browser, environment, folder, dagster)
        store.close()
    dagster.stop()


def write_source(folder: Path) -> None:
    """The file of a source of the tenant, and the folders that its sources may read."""
    (folder / "documents" / "manuals").mkdir(parents=True)
    (folder / "documents" / "pump.md").write_text("# Pump 7\n\nPump 7 needs oil every three weeks.\n", "utf-8")
    options = {"kind": "folder", "root": str(folder / "documents")}
    (folder / "sources").mkdir()
    (folder / "sources" / "handbook.yaml").write_text(
        render_definition({"name": "handbook", "tenant": "acme", "acl": ["everyone"], "options": options}), "utf-8"
    )


@contextmanager
def source_worker(store: Store, folder: Path, **settings: Any) -> Iterator[None]:
    """Meanwhile a thread carries out operations on sources, as the stream worker does in a process for each."""
    reachable = {"fetch_allow_networks": "127.0.0.0/8", "fetch_ports": "1-65535", "sources_dir": folder / "sources"}
    pipeline = Pipeline(
        Settings(home=folder / "home", embedder="fake", **reachable, **settings), shared_store=lambda: store
    )
    stopping = threading.Event()

    def work() -> None:
        while not stopping.wait(0.05):
            with store.engine.begin() as connection:
                claimed = operation_store.claim(connection)
                operation = operation_store.get(connection, claimed[0]) if claimed else None
            if operation is not None:
                carry_out(pipeline, operation)

    thread = threading.Thread(target=work)
    with pipeline:
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()


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
def visitor(place: Place) -> Iterator[Page]:
    """A window in which no page is open yet."""
    place.act_as([*ADMIN, "platform.admin"])
    opened = place.browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 1200}).new_page()
    opened.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield opened
    opened.context.close()


@pytest.fixture
def page(visitor: Page, place: Place) -> Page:
    visitor.goto(place.url)
    expect(visitor.get_by_role("heading", name="Overview")).to_be_visible()
    return visitor


def go(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def act(page: Page, button: str, reason: str, said: str) -> None:
    """Open an action, say why, confirm, and wait for its result."""
    dialog = confirm(page, button, reason)
    expect(dialog.get_by_text(said)).to_be_visible()
    page.keyboard.press("Escape")


def confirm(page: Page, button: str, reason: str) -> Locator:
    """Open an action, say why, and confirm. Returns where it is asked."""
    page.get_by_role("button", name=button).click()
    dialog = page.get_by_test_id("stPopoverBody")
    dialog.get_by_label(WHY).fill(reason)
    dialog.get_by_label(WHY).press("Tab")
    dialog.get_by_role("button", name="Confirm").click()
    return dialog


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
    tick(page, page.get_by_test_id("stDataFrame").first)
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
    said = "The vacation policy grants 25 days of paid leave a year."
    expect(page.locator("mark", has_text=said).first).to_be_visible()  # marked in its passage
    cited = page.get_by_text(re.compile(r"^Source 1 of \d+$")).first
    expect(cited).to_be_visible()
    # The marker in the text is a link that says the same to who cannot see it.
    expect(page.get_by_role("link", name=cited.inner_text(), exact=True).first).to_be_attached()
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
    groups, links = page.get_by_test_id("stNavSectionHeader"), page.get_by_test_id("stSidebarNav").get_by_role("link")
    expect(groups).to_contain_text(["Data", "Operate"])
    for name in ["Add a source", "Access", "Audit and webhooks"]:
        expect(links.filter(has_text=name)).to_be_visible()
    place.act_as(VIEWER)
    page.reload()
    expect(page.get_by_text("Signed in as ann (viewer)")).to_be_visible()
    expect(groups).to_contain_text(["Data", "Operate"])
    expect(links.filter(has_text="Index")).to_be_visible()
    for name in ["Add a source", "Access", "Audit"]:
        expect(links.filter(has_text=name)).to_have_count(0)
    go(page, "Quality")
    expect(page.get_by_text("redrive and discard require the role operator")).to_be_visible()
    expect(page.get_by_role("button", name="Redrive 0")).to_be_disabled()


# --------------------------------------------------------------------------------------------------------------------
# Sources and their secrets: nothing is typed that the source can say itself.

HIDDEN = "pass phrase of the shop"
TICKETS = {"total": 1, "data": [{"key": "T-7", "summary": "The lift stands still.", "subject": "Lift"}]}


def rest(page: Page) -> None:
    """Wait until nothing is drawn: an element that is replaced loses a click, and closes what it has opened."""
    page.wait_for_function("document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'")


def tick(page: Page, table: Locator) -> None:
    """Select the first row of a table, which is a canvas: by its place."""
    rest(page)
    table.click(position={"x": 16, "y": 35 + 17})


def pick(page: Page, label: str, option: str) -> None:
    """Select an option of a list, which may be typed too, until the list shows it."""
    box = page.get_by_test_id("stSelectbox").filter(has_text=label).get_by_role("combobox")
    wanted = page.get_by_role("option", name=option)
    # All of it: a folder's path begins with its parent's, so that a lost click on "↑ parent" would look done.
    shown = re.compile(re.escape(option.removeprefix("↑ ")) + "(  ·.*)?$")

    def picked() -> bool:
        rest(page)
        box.press("ArrowDown")  # opens the list, which closes when something else on the page is still being drawn
        with suppress(Timeout):
            wanted.click(timeout=2000)  # lost when the option is drawn again under the pointer
        with suppress(AssertionError):
            expect(box).to_have_value(shown, timeout=5000)
            rest(page)
            return True
        box.press("Escape")  # an open list hides the rest of the page
        return False

    assert eventually(picked)


def selected(page: Page, label: str, option: str) -> Locator:
    """An option that is selected in a list of several; a click takes it out."""
    return page.get_by_test_id("stMultiSelect").filter(has_text=label).get_by_role("button", name=f"Remove {option}")


def test_a_secret_is_stored_used_without_a_restart_shown_to_nobody_and_removed(
    visitor: Page, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_HOME", str(place.folder / "home"))
    place.http.expect_request("/tickets", headers={"Authorization": f"Bearer {HIDDEN}"}).respond_with_json(TICKETS)
    visitor.goto(f"{place.url}/secrets")
    for label, words in (("Name", "acme-shop"), ("Secret", HIDDEN), (WHY, "the shop moved")):
        type_into(visitor, label, words)
    visitor.get_by_role("button", name="Store").click()
    expect(visitor.get_by_text("RAG_SECRET_ACME_SHOP is stored.")).to_be_visible()
    expect(visitor.locator("td", has_text="RAG_SECRET_ACME_SHOP")).to_be_attached()
    expect(visitor.get_by_label("Secret", exact=True)).to_have_value("")
    go(visitor, "Add a source")
    choose(visitor, "HTTP API")
    type_into(visitor, "URL of the list *", place.http.url_for("/tickets"))
    pick(visitor, "Bearer token", "RAG_SECRET_ACME_SHOP")
    visitor.get_by_role("button", name="Show a sample answer").click()
    expect(visitor.get_by_text('"T-7"')).to_be_visible()
    assert HIDDEN not in visitor.content()
    for label, path in (
        ("Path of the items", "$.data"),
        ("Path of the id", "$.key"),
        ("Path of the text", "$.summary"),
        ("Path of the title", "$.subject"),
    ):
        pick(visitor, label, path)
    following(visitor)
    expect(visitor.get_by_text("1 of the first 1 items can be read.")).to_be_visible()
    expect(visitor.get_by_test_id("stText").get_by_text("The lift stands still.")).to_be_visible()
    visitor.goto(f"{place.url}/secrets")
    confirm(visitor, "Remove", "the shop is closed")
    expect(visitor.get_by_text("RAG_SECRET_ACME_SHOP is removed.").first).to_be_visible()
    expect(visitor.get_by_text("No secret is stored yet.")).to_be_visible()
    on_record(visitor, "the shop moved", "source_secret.set")
    assert HIDDEN not in visitor.content()


def test_a_table_and_its_columns_are_selected_in_what_the_database_has(
    visitor: Page, place: Place, empty_database_url: str
) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE orders (id int PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE articles (id text PRIMARY KEY, title text, body text, author text, at timestamp)"
        )
        connection.execute("INSERT INTO articles VALUES ('A1', 'Belt', 'The belt is 2 m long.', 'Someone', now())")
    database = conninfo_to_dict(empty_database_url)
    visitor.goto(f"{place.url}/add_source")
    choose(visitor, "SQL table")
    for label, key in (("Host *", "host"), ("Port (empty: 5432 or 3306)", "port"), ("Name of the database *", "dbname"),
                       ("User that may only read *", "user")):  # fmt: skip
        type_into(visitor, label, str(database[key]))
    visitor.get_by_role("button", name="List tables and columns").click()
    pick(visitor, "Table or view", "articles")
    expect(selected(visitor, "Key columns", "id · text")).to_be_visible()
    expect(selected(visitor, "Columns of the text", "body · text")).to_be_visible()
    selected(visitor, "Columns of the text", "author · text").click()
    expect(selected(visitor, "Columns of the text", "author · text")).to_have_count(0)
    following(visitor)
    expect(visitor.get_by_text("1 of the first 1 items can be read.")).to_be_visible()
    expect(visitor.get_by_test_id("stText").get_by_text("The belt is 2 m long.", exact=True)).to_be_visible()
    expect(visitor.get_by_text("Someone")).to_have_count(0)


def test_a_source_is_edited_in_the_form_of_the_wizard_which_browses_allowed_folders_or_as_yaml(
    visitor: Page, place: Place
) -> None:
    file, root = place.folder / "sources" / "handbook.yaml", place.folder / "documents"
    place.act_as(ADMIN)
    visitor.goto(f"{place.url}/sources")
    edit = visitor.get_by_text("Edit or delete handbook")
    expect(edit).to_be_visible()
    rest(visitor)
    edit.click()
    opens, typed = (
        visitor.get_by_role("button", name="Open the source file"),
        visitor.get_by_role("textbox", name="Folder"),
    )

    def opened() -> bool:
        """A click is lost where the page is drawn again under it."""
        rest(visitor)
        if opens.is_visible():
            opens.click()
        with suppress(AssertionError):
            expect(typed).to_be_visible(timeout=10_000)
        return typed.is_visible()

    assert eventually(opened)
    expect(typed).to_have_value(str(root))
    expect(visitor.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    visitor.get_by_role("button", name="Browse folders").click()
    folder = visitor.get_by_test_id("stSelectbox").filter(has_text="Folder (absolute path)").get_by_role("combobox")
    pick(visitor, "Folder (absolute path)", str(root / "manuals"))
    pick(visitor, "Folder (absolute path)", f"↑ {root}")
    expect(folder).to_have_value(str(root))  # where it is, without the arrow that said how to get there
    expect(visitor.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    pick(visitor, "Folder (absolute path)", str(root / "manuals"))
    visitor.get_by_role("button", name="Save", exact=True).click()
    expect(visitor.get_by_text("Saved. The next run uses it.")).to_be_visible()
    expect(visitor.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    assert f"root: {root / 'manuals'}\n" in file.read_text("utf-8")
    rest(visitor)  # "Saved" is shown before the page is drawn to its end
    visitor.get_by_role("radio", name="YAML").click()
    written = visitor.get_by_label("Source file (YAML)")
    expect(written).to_have_value(file.read_text("utf-8"))
    written.fill(written.input_value().replace(str(root / "manuals"), "/etc"))
    written.press("Tab")
    visitor.get_by_role("button", name="Save", exact=True).click()
    expect(visitor.get_by_text("Not done: SOURCE_NOT_ALLOWED.")).to_be_visible()
    assert "/etc" not in file.read_text("utf-8")


# --------------------------------------------------------------------------------------------------------------------
# Traffic: what people did not find, and what was slow.

ASKED = {"What may I eat on the roof terrace?": 2, "May I eat on the roof terrace?": 5, "Who waters the plants?": 3}


def leave_unanswered(store: Store) -> None:
    """As a server writes what it had no answer to, once a minute."""
    with store.engine.begin() as connection:
        for question, count in ASKED.items():
            connection.execute(
                text("INSERT INTO rag.unanswered_questions (tenant, question_hash, question, outcome, asked, first_at,"
                     " last_at) VALUES ('acme', md5(:question), :question, 'no_results', :count, now(), now())"),
                {"question": question, "count": count},
            )  # fmt: skip


def test_questions_without_an_answer_are_grouped_and_get_one(visitor: Page, place: Place) -> None:
    leave_unanswered(place.store)
    question, alike = "May I eat on the roof terrace?", "What may I eat on the roof terrace?"
    visitor.goto(f"{place.url}/traffic")
    table = visitor.get_by_test_id("stDataFrame").filter(has=visitor.locator("td", has_text=question))
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(table.locator("tbody tr").first.locator("td", has_text=re.compile("^7$"))).to_be_attached()
    tick(visitor, table)
    expect(visitor.get_by_test_id("stText").get_by_text(alike)).to_be_visible()
    expect(visitor.get_by_role("link", name="Add a document")).to_have_attribute("href", re.compile("add_source"))
    visitor.get_by_text("Save as a question for evaluation").click()
    type_into(visitor, "Expected text", "between noon and two")
    visitor.get_by_role("button", name="Save question").click()
    expect(visitor.get_by_text("Saved and accepted.")).to_be_visible()
    visitor.get_by_role("link", name="Write an answer").click()
    expect(visitor.get_by_label("Questions, one in each line")).to_have_value(question)
    type_into(visitor, "Answer (Markdown)", "Only between noon and two.")
    visitor.get_by_role("button", name="Save", exact=True).click()
    expect(visitor.get_by_text(f"Saved: “{question}”")).to_be_visible()
    visitor.get_by_role("tab", name="Proposed questions").click()
    visitor.get_by_role("radio", name="accepted").click()
    expect(visitor.get_by_role("tabpanel").locator("td", has_text=question)).to_be_attached()
    go(visitor, "Ask")
    ask(visitor, question)
    expect(visitor.get_by_label("Chat message from Answer").get_by_text("Only between noon and two.")).to_be_visible()


def test_a_peak_leads_to_its_requests_the_slowest_first_and_on_to_the_trace_of_each(
    visitor: Page, place: Place
) -> None:
    place.http.expect_request(re.compile("/trace/[0-9a-f]{32}")).respond_with_data("the trace")
    stub, metadata = query_pb2_grpc.QueryServiceStub(place.server.channel), place.server.auth()
    with recorded():
        stub.Search(query_pb2.SearchRequest(query="paid leave"), metadata=metadata, timeout=60)
        list(stub.Answer(query_pb2.AnswerRequest(query="paid leave"), metadata=metadata, timeout=60))
    visitor.goto(f"{place.url}/traffic")
    table = visitor.get_by_test_id("stDataFrame").filter(has=visitor.locator("th", has_text="Trace"))
    expect(table.locator("td", has_text="Answer")).to_be_attached()
    expect(table.locator("td", has_text="Search")).to_be_attached()
    times = [float(found.replace(",", "")) for found in table.locator("td:nth-child(2)").all_inner_texts()]
    assert times == sorted(times, reverse=True)
    address = table.locator("tbody tr").first.locator("td").last.inner_text()
    box = table.bounding_box()
    assert box is not None
    link: Position = {"x": 0.8 * box["width"], "y": 35 + 17}  # the last of four columns begins at three quarters
    table.hover(position=link)
    visitor.wait_for_function("[...document.querySelectorAll(':hover')].at(-1).style.cursor === 'pointer'")
    with visitor.expect_popup() as opened:
        table.click(position=link)
    expect(opened.value).to_have_url(address)
    expect(opened.value.get_by_text("the trace")).to_be_visible()
