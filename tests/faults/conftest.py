"""One stack with the console in it for the tests of the console, and a visitor who is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import module_browser  # noqa: F401
from tests.support.local_stack import LocalStack

PATIENCE_MS = 600_000
"""A machine may be busy."""
DOCUMENTS = 60
"""Enough that deleting them all at once is held for an operator."""


@dataclass(frozen=True)
class Console:
    """A stack, and the password that `rag up` printed."""

    stack: LocalStack
    password: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.stack.environment['RAG_CONSOLE_PORT']}"


@pytest.fixture(scope="session")
def operated() -> Iterator[Console]:
    running = LocalStack(extra={"EMBEDDER": "fake"})
    (running.docs / "backup.md").write_text("# Backups\n\nBackups are taken every night at three.\n", "utf-8")
    (running.docs / "broken.pdf").write_bytes(b"%PDF-1.7\nnot really")
    for number in range(DOCUMENTS):
        (running.docs / f"page-{number}.md").write_text(f"# Page {number}\n\nWhat page {number} says.\n", "utf-8")
    code, printed = running.rag("up", "--docs", str(running.docs), seconds=900)
    assert code == 0, printed
    assert printed["console_account"]["name"] == "admin"
    yield Console(running, printed["console_account"]["password"])
    running.close()


def signed_in(browser: Browser, console: Console, *, height: int) -> Page:
    """The overview as the first operator sees it, in a window of its own."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC", viewport={"width": 1440, "height": height})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    opened.goto(f"{console.url}/")
    opened.locator("#name").fill("admin")
    opened.locator("#password").fill(console.password)
    opened.locator("button").click()
    expect(opened.get_by_role("heading", name="Overview")).to_be_visible()
    return opened


@pytest.fixture
def page(operated: Console, browser: Browser) -> Iterator[Page]:
    """The overview as the first operator sees it."""
    opened = signed_in(browser, operated, height=1400)
    yield opened
    opened.context.close()
