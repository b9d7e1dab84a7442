"""Time from opening a page in Chromium to its last table."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from itertools import product

from benchmarks.console.sessions import PAGES
from benchmarks.console.stack import COOKIE, Stack
from benchmarks.report import Progress

_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
          "--disable-component-update", "--disable-dev-shm-usage"]  # fmt: skip
_PAINTED = """title => {
  const shown = document.querySelector('[data-testid=stHeading]')?.innerText.trim();
  const state = document.querySelector('[data-testid=stApp]')?.dataset.testScriptState;
  return shown && (!title || title.toLowerCase().includes(shown.toLowerCase())) && state !== 'running';
}"""


@dataclass(frozen=True, slots=True)
class Painted:
    """Seconds by page, one for each round; what is beside another page, as Usage beside Traffic, was only opened."""

    opened: dict[str, list[float]]
    """In a tab of its own."""
    moved_to: dict[str, list[float]]
    """By its link, for the first time in that tab: the browser loads what shows a table or a chart with the first."""
    again: dict[str, list[float]]
    """By its link, in a tab that has shown every page."""


def paint(stack: Stack, rounds: int, progress: Progress) -> Painted | None:
    """Every page in Chromium, so many rounds; `None` without Playwright or Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return None
    if chromium is None:
        return None
    names = [page or "overview" for page in PAGES]
    found = Painted({}, {}, {})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        context = browser.new_context(viewport={"width": 1360, "height": 900})
        context.set_default_timeout(60_000)
        context.add_cookies([{"name": COOKIE, "value": stack.cookie, "url": stack.url}])
        for number in range(rounds + 1):
            for page, name in zip(PAGES, names, strict=True):
                tab = context.new_page()
                started = time.perf_counter()
                tab.goto(f"{stack.url}/{page}")
                tab.wait_for_function(_PAINTED)
                if number:  # the first round fills the caches of the browser and of the server
                    found.opened.setdefault(name, []).append(time.perf_counter() - started)
                tab.close()
            tab = context.new_page()
            tab.goto(f"{stack.url}/{PAGES[-1]}")
            tab.wait_for_function(_PAINTED)
            links = tab.get_by_test_id("stSidebarNav")
            for moved, (page, name) in product((found.moved_to, found.again), zip(PAGES, names, strict=True)):
                link = links.locator(f"a[href$='/{page}']")
                if not link.count():
                    continue
                title = link.inner_text().strip().splitlines()[-1]  # behind the name of its icon
                started = time.perf_counter()
                link.click()
                tab.wait_for_function(_PAINTED, arg=title)
                if number:
                    moved.setdefault(name, []).append(time.perf_counter() - started)
            tab.close()
            progress(number + 1, rounds + 1)
        browser.close()
    return found
