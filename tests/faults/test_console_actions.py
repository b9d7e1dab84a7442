"""Every action of the console on a whole local stack: what is done, what is shown, and what is on record after it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.faults.conftest import DOCUMENTS, Console
from tests.faults.steps import go
from tests.support.browser import IN_A_BROWSER, ask

pytestmark = [*IN_A_BROWSER, pytest.mark.faults, pytest.mark.timeout(3600)]
WHY = "Reason (for the audit log)"


def act(page: Page, button: str | re.Pattern[str], reason: str, said: str) -> None:
    """Open an action, say why, confirm, and wait for its result."""
    page.get_by_role("button", name=button).click()
    dialog = page.get_by_test_id("stPopoverBody")
    if reason:
        dialog.get_by_label(WHY).fill(reason)
        dialog.get_by_label(WHY).press("Enter")
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog.get_by_text(said)).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def pick(page: Page, table: Locator, row: int = 0) -> None:
    """Tick a row of a table, which is a canvas: by its place."""
    expect(table).to_be_visible()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 35 * (row + 1) + 17)


def on_record(page: Page, *reasons: str) -> None:
    go(page, "Audit")
    for reason in reasons:
        expect(page.locator("td", has_text=reason).first).to_be_attached()


def test_a_source_is_synced_paused_and_resumed(page: Page) -> None:
    go(page, "Sources")
    act(page, "Check", "is it there", "The source is readable:")
    act(page, "Sync now", "new edition", "Started:")
    act(page, "Sync now", "once more", "No second one was started.")
    act(page, "Pause", "the share moves", "switched off.")
    act(page, "Resume", "the share has moved", "switched on.")
    on_record(page, "new edition", "the share moves", "the share has moved")


def test_a_stage_is_materialized_and_a_sensor_switched(page: Page) -> None:
    go(page, "Pipeline")
    act(page, "Materialize", "by hand", "Started:")
    page.get_by_role("tab", name="Sensors and schedules").click()
    # What a tab shows is asked for when it is opened: until then the last table is another.
    pick(page, page.get_by_role("tabpanel", name="Sensors and schedules").get_by_test_id("stDataFrame"))
    act(page, re.compile(r"^Switch .* (on|off)"), "quiet hours", "Done.")
    on_record(page, "by hand", "quiet hours")


def test_inputs_are_redriven_and_discarded(page: Page) -> None:
    go(page, "Quality")
    for button, reason, said in (
        ("Redrive 1", "a new parser", "will be retried"),
        ("Discard 1", "it is no document", "discarded"),
    ):
        pick(page, page.get_by_test_id("stDataFrame").first)
        act(page, button, reason, said)
        page.get_by_text("Show times in UTC").click()
    on_record(page, "a new parser", "it is no document")


def test_an_answer_is_given_opened_in_its_document_judged_and_compared(page: Page) -> None:
    go(page, "Ask")
    ask(page, "When are backups taken every night?")
    page.get_by_role("button", name="Open [1]").first.click()
    shown = page.get_by_text("Backups are taken every night at three.").locator("visible=true")
    expect(shown.first).to_be_visible()
    page.get_by_test_id("stFeedbackButton").first.click()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("Compare two settings").click()
    page.keyboard.press("Escape")
    ask(page, "When are backups taken every night?")
    expect(page.get_by_text("In both")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(2)


def test_a_generation_is_forecast_built_judged_promoted_rolled_back_and_retired(page: Page, operated: Console) -> None:
    go(page, "Index")
    page.get_by_text("Build a generation").click()
    page.get_by_label("Tokens per chunk").fill("150")
    page.get_by_label("Tokens per chunk").press("Tab")
    page.get_by_role("button", name="Forecast the cost").click()
    expect(page.locator("td", has_text="Texts to embed")).to_be_attached()
    act(page, "Build", "smaller chunks", "is declared")
    page.reload()
    promote = page.get_by_role("button", name=re.compile("^.*Promote g"))
    while promote.is_disabled():  # the pipeline builds it; the page is asked as an operator would
        page.wait_for_timeout(5_000)
        page.reload()
        expect(promote).to_be_visible()
    act(page, re.compile("Evaluate g"), "", "The pipeline runs the gate")
    act(page, re.compile("Promote g"), "no golden set yet", "Searches now use")
    page.reload()
    act(page, re.compile("Roll back to g"), "answers got worse", "Searches now use")
    page.reload()
    act(page, re.compile("Retire g"), "not better", "is retired.")
    on_record(page, "smaller chunks", "no golden set yet", "answers got worse", "not better")


def test_held_deletions_are_released(page: Page, operated: Console) -> None:
    for number in range(DOCUMENTS):
        (operated.stack.docs / f"page-{number}.md").unlink()
    operated.stack.rag("source", "sync", "docs", seconds=600)
    page.get_by_role("link", name="Review and approve the deletions").click()
    page.get_by_role("button", name="Review 60 deletions").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("page-0.md").first).to_be_attached()
    dialog.get_by_label(WHY).fill("the chapter was withdrawn")
    dialog.get_by_label(WHY).press("Tab")
    dialog.get_by_role("button", name="Approve these 60").click()
    expect(page.get_by_text("60 deletions are approved")).to_be_visible()
    on_record(page, "the chapter was withdrawn")
