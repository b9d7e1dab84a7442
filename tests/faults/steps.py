"""What a visitor of the console does, for several tests."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def go(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def fill(page: Page, label: str, text: str) -> None:
    box = page.get_by_label(label, exact=True)
    box.fill(text)
    box.press("Tab")


def choose(page: Page, kind: str) -> None:
    """The first step of the wizard."""
    page.get_by_role("button", name=f"Choose {kind}", exact=True).click()


def following(page: Page) -> None:
    """The next step, once what the last one has drawn is gone from the page."""
    button = page.get_by_role("button", name="Next")
    expect(button).to_have_count(1)
    button.click()
