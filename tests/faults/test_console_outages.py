"""The console in a browser on a whole local stack: sign in, act, and lose one part after the other while looking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.support.browser import CHROMIUM, FLAGS, NEEDS
from tests.support.local_stack import LocalStack

pytestmark = [
    pytest.mark.faults,
    pytest.mark.browser,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(CHROMIUM is None, reason=NEEDS),
]
PATIENCE_MS = 90_000


@dataclass(frozen=True)
class SignedUp:
    """A stack, and the password that `rag up` printed."""

    stack: LocalStack
    password: str


@pytest.fixture(scope="module")
def signed_up() -> Iterator[SignedUp]:
    running = LocalStack(extra={"EMBEDDER": "fake"})
    (running.docs / "backup.md").write_text("# Backups\n\nBackups are taken every night at three.\n", "utf-8")
    (running.docs / "broken.pdf").write_bytes(b"%PDF-1.7\nnot really")
    code, printed = running.rag("up", "--docs", str(running.docs), seconds=600)
    assert code == 0, printed
    assert printed["console_account"]["name"] == "admin"
    yield SignedUp(running, printed["console_account"]["password"])
    running.close()


@pytest.fixture
def stack(signed_up: SignedUp) -> LocalStack:
    return signed_up.stack


@pytest.fixture
def page(signed_up: SignedUp, stack: LocalStack) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page()
        opened.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        opened.goto(f"http://127.0.0.1:{stack.environment['RAG_CONSOLE_PORT']}/")
        opened.locator("#name").fill("admin")
        opened.locator("#password").fill(signed_up.password)
        opened.locator("button").click()
        expect(opened.get_by_role("heading", name="Overview")).to_be_visible()
        yield opened
        browser.close()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("query-server", "Figures: service unavailable"),
        ("dagster-webserver", "Runs: service unavailable"),
        ("postgres", "is not healthy"),
    ],
)
def test_f52_a_part_that_stops_is_named_and_its_return_needs_no_reload(
    stack: LocalStack, page: Page, part: str, said: str
) -> None:
    attention = page.get_by_text("Needs attention: 1", exact=True)  # the input in quarantine, and nothing else
    expect(attention).to_be_visible()
    process = psutil.Process(stack.pid(part))
    stopped = [process, *process.children(recursive=True)]  # PostgreSQL serves each connection by a child
    for item in stopped:
        item.suspend()
    try:
        expect(page.get_by_text(said).first).to_be_visible()
        assert page.get_by_text("Traceback").count() == 0
    finally:
        for item in stopped:
            item.resume()
    expect(attention).to_be_visible()


def test_an_operator_syncs_redrives_and_finds_both_in_the_audit_log(stack: LocalStack, page: Page) -> None:
    page.get_by_role("link", name="Sources").click()
    page.get_by_role("button", name="Sync now").click()
    page.get_by_label("Reason (for the audit log)").first.fill("new edition")
    page.get_by_role("button", name="Confirm").first.click()
    expect(page.get_by_text("Started:")).to_be_visible()
    entry = stack.rag("quarantine", "list")[1][0]["id"]
    assert stack.rag("quarantine", "redrive", str(entry))[0] == 0
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Audit").click()
    table = page.get_by_test_id("stDataFrame").first
    expect(table).to_be_visible()
    expect(page.locator("td", has_text="new edition")).to_be_attached()
    expect(page.locator("td", has_text="quarantine.redrive")).to_be_attached()


def test_an_unknown_visitor_sees_the_form_and_nothing_else(stack: LocalStack, page: Page) -> None:
    stranger = page.context.browser.new_context().new_page()  # type: ignore[union-attr]
    stranger.goto(f"http://127.0.0.1:{stack.environment['RAG_CONSOLE_PORT']}/audit")
    expect(stranger.get_by_label("Password")).to_be_visible()
    stranger.context.close()
