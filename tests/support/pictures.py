"""Pictures of pages for the docs: few colours, so that they stay small, and only where they are asked for."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Page

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
_AT_REST = "() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState !== 'running'"
_PAINT_MS = 1500
"""Canvas tables and charts paint after the script of a page has ended, and tell nobody."""


def save(page: Page, path: Path, clip: FloatRect | None = None) -> None:
    """A picture of what the page shows; pages of text lose nothing by 64 colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


class Camera:
    """Takes the pictures of a folder of the docs while `make screenshots` runs the test; else it does nothing."""

    def __init__(self, folder: str) -> None:
        self._folder = IMAGES / folder
        self._on = bool(os.environ.get("RAG_TEST_SCREENSHOTS"))

    def take(self, page: Page, name: str, clip: FloatRect | None = None) -> None:
        if self._on:
            settle(page)
            save(page, self._folder / f"{name}.png", clip)


def settle(page: Page) -> None:
    """Wait until the page's script has run and its tables are drawn."""
    page.get_by_test_id("stHeading").first.wait_for()
    page.wait_for_function(_AT_REST)
    page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')")  # code of a widget is fetched
    page.wait_for_timeout(_PAINT_MS)
    page.wait_for_function(_AT_REST)  # what refreshes by itself is pale meanwhile
