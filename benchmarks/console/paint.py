"""Time from opening a page in Chromium to its last table."""

from __future__ import annotations

import shutil
import time

from benchmarks.console.sessions import PAGES
from benchmarks.console.stack import COOKIE, Stack
from benchmarks.report import Progress

_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
          "--disable-component-update", "--disable-dev-shm-usage"]  # fmt: skip
_PAINTED = """() => document.querySelector('[data-testid=stHeading]')
  && document.querySelector('[data-testid=stApp]')?.dataset.testScriptState !== 'running'"""


def paint(stack: Stack, rounds: int, progress: Progress) -> dict[str, list[float]] | None:
    """Seconds per page and round, each in a fresh visit; `None` without Playwright or Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return None
    if chromium is None:
        return None
    found: dict[str, list[float]] = {page or "overview": [] for page in PAGES}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        context = browser.new_context(viewport={"width": 1360, "height": 900})
        context.add_cookies([{"name": COOKIE, "value": stack.cookie, "url": stack.url}])
        for number in range(rounds + 1):
            for page in PAGES:
                tab = context.new_page()
                tab.set_default_timeout(60_000)
                started = time.perf_counter()
                tab.goto(f"{stack.url}/{page}")
                tab.wait_for_function(_PAINTED)
                if number:  # the first round fills the caches of the browser and of the server
                    found[page or "overview"].append(time.perf_counter() - started)
                tab.close()
            progress(number + 1, rounds + 1)
        browser.close()
    return found
