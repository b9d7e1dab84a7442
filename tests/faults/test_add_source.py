"""A source added in the console on a whole local stack: from the folder to an answer, and away again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.faults.conftest import Console
from tests.faults.steps import choose, fill, following, go
from tests.support.browser import IN_A_BROWSER, ask

pytestmark = [*IN_A_BROWSER, pytest.mark.faults, pytest.mark.timeout(3600)]


def test_a_folder_becomes_a_source_that_answers_and_is_deleted_with_a_receipt(
    page: Page, operated: Console, tmp_path: Path
) -> None:
    (tmp_path / "walrus.md").write_text("# Walrus 7\n\nThe walrus pump needs 11 litres of oil.\n", "utf-8")
    go(page, "Add a source")
    choose(page, "Folder")
    fill(page, "Folder (absolute path) *", str(tmp_path / "absent"))
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("The source cannot be read: SOURCE_UNAVAILABLE.")).to_be_visible()
    fill(page, "Folder (absolute path) *", str(tmp_path))
    fill(page, "Name of the source", "walrus")
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("Connected. Items found: 1.")).to_be_visible()
    following(page)
    expect(page.get_by_text("The walrus pump needs 11 litres of oil.")).to_be_visible()
    following(page)
    expect(page.get_by_text("Everyone who signs in for the tenant default finds these documents.")).to_be_visible()
    following(page)
    expect(page.get_by_text("Next times (UTC)")).to_be_visible()
    following(page)
    page.get_by_role("button", name="Create source").click()
    expect(page.get_by_text("The source walrus is written to walrus.yaml.")).to_be_visible()
    expect(page.get_by_text("The first documents can be asked about now.")).to_be_visible(timeout=600_000)
    page.get_by_role("button", name="Ask about this source").click()
    ask(page, "How many litres of oil does the walrus pump need?")
    expect(page.get_by_text("The walrus pump needs 11 litres of oil.").first).to_be_visible()
    code, entries = operated.stack.rag("source", "history", "walrus")
    assert code == 0
    assert len({entry["run"] for entry in entries if entry["run"]}) == 1, "its sensor starts no second one"
    page.goto(f"{operated.url}/sources?source=walrus")
    page.get_by_text("Edit or delete walrus").click()
    page.get_by_role("tab", name="Delete").click()
    page.get_by_role("button", name="Count what would be removed").click()
    fill(page, "Type the name of the source to confirm", "walrus")
    page.get_by_role("button", name="Delete source").click()
    expect(page.get_by_text("The source walrus is deleted.")).to_be_visible()
    expect(page.get_by_text("Documents: 1, chunks: 1, quarantined inputs: 0; file walrus.yaml.").last).to_be_visible()


def test_a_file_from_the_visitors_computer_is_uploaded_and_found(page: Page, operated: Console, tmp_path: Path) -> None:
    file = tmp_path / "ibis.md"
    file.write_text("# Ibis 3\n\nThe ibis valve closes at 42 bar.\n", "utf-8")
    go(page, "Add a source")
    choose(page, "Upload files")
    fill(page, "Name of the source *", "uploads")
    page.locator("input[type=file]").set_input_files([file])
    page.get_by_role("button", name="Upload files: 1").click()
    expect(page.get_by_text("Files accepted: 1.")).to_be_visible()
    deadline = time.monotonic() + 600
    while "42 bar" not in str(operated.stack.rag("query", "At how many bar does the ibis valve close?", "--search")):
        assert time.monotonic() < deadline


def test_more_files_than_the_console_holds_are_refused(page: Page, operated: Console, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.md" for number in range(130)]
    for file in files:
        file.write_text("# A page\n", "utf-8")
    go(page, "Add a source")
    choose(page, "Upload files")
    with page.expect_response(lambda response: "/upload_file" in response.url and response.status == 429):
        page.locator("input[type=file]").set_input_files(files)
