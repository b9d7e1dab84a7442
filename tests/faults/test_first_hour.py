"""A stranger's first hour in the console, on a whole stack that was started on a fresh folder.

Add a folder, a SQL table and a web site; ask, and see the citation in its document; edit a file and see the answer
change; break two sources, read why, and mend them. `make screenshots` takes the pictures of docs/first-hour.md from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect
from psycopg.conninfo import conninfo_to_dict
from pytest_httpserver import HTTPServer

from tests.faults.conftest import Console, signed_in
from tests.faults.steps import choose, fill, following, go
from tests.support.browser import IN_A_BROWSER, ask
from tests.support.local_stack import LocalStack
from tests.support.pictures import Camera

pytestmark = [*IN_A_BROWSER, pytest.mark.faults, pytest.mark.timeout(3600)]
PATIENCE_MS = 600_000
"""A run of Dagster is waited for, and the sensor before it."""
ROWS = [
    ("A1", "Compressor", "The compressor runs at eight bar."),
    ("A2", "Belt", "The belt moves two metres a second."),
]
SITE = {
    "/": '<title>Pumps</title><main><p>Pump 7 needs oil every five days.</p></main><a href="v">Valves</a>',
    "/v": "<title>Valves</title><main><p>Valve 2 opens at four bar.</p></main>",
}


PICTURED = {"handbook": "3-preview", "articles": "2-connection", "pumps": "4-first-run"}
"""The step of the wizard that the docs show of each source."""


class Hour:
    """One visitor, and what the sources read."""

    def __init__(self, page: Page, url: str, handbook: Path, table: str, site: str) -> None:
        self.page, self.url, self.handbook, self.table, self.site = page, url, handbook, table, site
        self.camera = Camera("first-hour")

    def write(self, place: str) -> None:
        (self.handbook / "coffee.md").write_text(
            f"# Coffee\n\nThe coffee machine is on the {place} floor.\n\n## Beans\n\nBeans are in the cupboard.\n",
            "utf-8",
        )

    def make_table(self) -> None:
        with psycopg.connect(self.table, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE articles (id text PRIMARY KEY, title text, body text, changed timestamptz)"
            )
            for row in ROWS:
                connection.execute("INSERT INTO articles VALUES (%s, %s, %s, now())", row)

    def drop_table(self) -> None:
        with psycopg.connect(self.table, autocommit=True) as connection:
            connection.execute("DROP TABLE articles")

    def add(self, kind: str, name: str, fields: dict[str, str]) -> None:
        """All steps of the wizard, until the first document can be asked about."""
        page = self.page
        go(page, "Add a source")
        if page.get_by_role("button", name="Add another source").count():
            page.get_by_role("button", name="Add another source").click()
        self.camera.take(page, "1-kinds")
        choose(page, kind)
        for label, text in fields.items():
            fill(page, label, text)
        fill(page, "Name of the source", name)
        page.get_by_role("button", name="Test connection").click()
        expect(page.get_by_text("Connected.")).to_be_visible()
        self.picture("2-connection", name)
        following(page)
        expect(page.get_by_text("can be read.")).to_be_visible()
        expect(page.get_by_text("How it is cut into chunks")).to_be_visible()
        self.picture("3-preview", name)
        following(page)
        expect(page.get_by_text("Everyone who signs in for the tenant default finds these documents.")).to_be_visible()
        following(page)
        expect(page.get_by_text("Next times (UTC)")).to_be_visible()
        following(page)
        page.get_by_role("button", name="Create source").click()
        expect(page.get_by_text("The first documents can be asked about now.")).to_be_visible()
        self.picture("4-first-run", name)

    def picture(self, step: str, name: str) -> None:
        if PICTURED[name] == step:
            self.camera.take(self.page, f"{step}-{name}")

    def ask(self, question: str) -> None:
        """Ask on its own, not as a part of the conversation before it."""
        again = self.page.get_by_role("button", name="New conversation")
        if again.count():
            again.click()
            expect(again).to_have_count(0)
        ask(self.page, question)

    def ask_until(self, question: str, answer: str) -> None:
        """Ask again until the answer is another one: the change sensor needs up to half a minute, and its run."""
        shown = self.page.get_by_text(answer).locator("visible=true").first
        for _ in range(60):
            self.ask(question)
            try:
                expect(shown).to_be_visible(timeout=45_000)
            except AssertionError:
                continue
            return
        expect(shown).to_be_visible()

    def open_source(self, name: str) -> None:
        self.page.goto(f"{self.url}/sources?source={name}")
        expect(self.page.get_by_role("heading", name=name, level=2)).to_be_visible()


@pytest.fixture
def hour(browser: Browser, httpserver: HTTPServer, empty_database_url: str) -> Iterator[Hour]:
    reachable = {"FETCH_ALLOW_NETWORKS": "127.0.0.0/8,::1/128", "FETCH_PORTS": f"80,443,{httpserver.port}"}
    stack = LocalStack(extra={**reachable, "SOURCE_OPERATION_SECONDS": "600"})  # a machine may be busy
    try:
        httpserver.expect_request("/robots.txt").respond_with_data("", status=404)
        for path, text in SITE.items():
            httpserver.expect_request(path).respond_with_data(text, content_type="text/html")
        (stack.docs / "backup.md").write_text("# Backups\n\nBackups are taken every night at three.\n", "utf-8")
        handbook = stack.folder / "handbook"
        handbook.mkdir()
        code, printed = stack.rag("up", "--docs", str(stack.docs), seconds=1800)
        assert code == 0, printed
        console = Console(stack, printed["console_account"]["password"])
        page = signed_in(browser, console, height=860)
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        made = Hour(page, console.url, handbook, empty_database_url, httpserver.url_for("/"))
        made.write("third")
        made.make_table()
        yield made
        page.context.close()
    finally:
        stack.close()


def test_a_strangers_first_hour_needs_no_documentation(hour: Hour) -> None:
    page, database = hour.page, conninfo_to_dict(hour.table)
    hour.add("Folder", "handbook", {"Folder (absolute path) *": str(hour.handbook)})
    hour.add("SQL table", "articles", {
        "Host *": str(database["host"]), "Port (empty: 5432 or 3306)": str(database["port"]),
        "Name of the database *": str(database["dbname"]), "User that may only read *": str(database["user"]),
        "Table or view *": "articles", "Key columns *": "id", "Column of the last change *": "changed",
        "Columns of the text *": "body", "Column of the title": "title",
    })  # fmt: skip
    hour.add("Web site", "pumps", {"Where the crawl starts (URLs) *": hour.site})

    page.get_by_role("button", name="Ask about this source").click()
    hour.ask_until("How often does pump 7 need oil?", "Pump 7 needs oil every five days.")
    page.get_by_role("button", name="Settings").click()  # they say that only this source was searched
    page.get_by_role("button", name="Clear all").click()
    page.keyboard.press("Escape")
    hour.ask_until("At how many bar does the compressor run?", "The compressor runs at eight bar.")
    hour.ask_until("On which floor is the coffee machine?", "The coffee machine is on the third floor.")
    hour.camera.take(page, "5-answer")
    page.get_by_role("button", name="Open [1]").first.click()
    # The cited sentence in its frame, and the text of the same document that follows it.
    expect(page.get_by_text("Beans are in the cupboard.").locator("visible=true").first).to_be_visible()
    hour.camera.take(page, "6-citation")

    hour.write("second")
    hour.ask_until("On which floor is the coffee machine?", "The coffee machine is on the second floor.")
    expect(page.get_by_text("The coffee machine is on the third floor.")).to_have_count(0)
    hour.camera.take(page, "7-changed-answer")

    hour.handbook.rename(hour.handbook.with_name("elsewhere"))
    hour.drop_table()
    for name, why in (("handbook", "the root folder cannot be opened"), ("articles", "there is no table 'articles'")):
        hour.open_source(name)
        expect(page.get_by_text(why).locator("visible=true").first).to_be_visible()
        hour.camera.take(page, f"8-broken-{name}")
    hour.handbook.with_name("elsewhere").rename(hour.handbook)
    hour.make_table()
    for name in ("handbook", "articles"):
        hour.open_source(name)
        page.get_by_role("button", name="Sync now").click()
        page.get_by_test_id("stPopoverBody").get_by_role("button", name="Confirm").click()
        expect(page.get_by_role("status").get_by_text("Up to date", exact=True)).to_be_visible()
    hour.camera.take(page, "9-mended-articles")
    go(page, "Ask")
    hour.ask_until("At how many bar does the compressor run?", "The compressor runs at eight bar.")
