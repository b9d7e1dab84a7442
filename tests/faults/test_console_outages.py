"""The console in a browser on a whole local stack that loses one part after the other while somebody looks."""

from __future__ import annotations

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.faults.conftest import Console
from tests.support.browser import IN_A_BROWSER

pytestmark = [*IN_A_BROWSER, pytest.mark.faults, pytest.mark.timeout(3600)]


@pytest.mark.catalogue("F52")
@pytest.mark.parametrize(
    ("part", "looked_at", "said"),
    [
        ("query-server", "Overview", "Figures: service unavailable"),
        ("query-server", "Sources", "query server: service unavailable"),
        ("query-server", "Index", "query server: service unavailable"),
        ("dagster-webserver", "Overview", "Runs: service unavailable"),
        ("dagster-webserver", "Pipeline", "Dagster: service unavailable"),
        ("postgres", "Overview", "is not healthy"),
        ("postgres", "Quality", "query server: service unavailable"),
    ],
)
def test_a_part_that_stops_is_named_and_its_return_needs_no_reload(
    operated: Console, page: Page, part: str, looked_at: str, said: str
) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=looked_at).click()
    expect(page.get_by_role("heading", name=looked_at, level=1)).to_be_visible()
    process = psutil.Process(operated.stack.pid(part))
    stopped = [process, *process.children(recursive=True)]  # PostgreSQL serves each connection by a child
    for item in stopped:
        item.suspend()
    try:
        expect(page.get_by_text(said).first).to_be_visible()
        assert page.get_by_test_id("stException").count() == 0
        assert page.get_by_text("Traceback").count() == 0
    finally:
        for item in stopped:
            item.resume()
    expect(page.get_by_text(said)).to_have_count(0)
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()


def test_an_unknown_visitor_sees_the_form_and_nothing_else(operated: Console, browser: Browser) -> None:
    stranger = browser.new_context().new_page()
    stranger.goto(f"{operated.url}/audit")
    expect(stranger.get_by_label("Password")).to_be_visible()
    stranger.context.close()
