"""Chromium and the console in its own process, for tests of rendered pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import console
from benchmarks.ports import free_port
from ragctl.local_stack.services import STREAMLIT_FLAGS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NEEDS = "needs Chromium (Debian: apt-get install chromium fonts-noto-cjk)"
IN_A_BROWSER = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason=NEEDS)]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
_APP = Path(console.__file__).parent / "app.py"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module", name="browser")
def module_browser() -> Iterator[Browser]:
    """One per module: while it is open no other can be, and no test may run an event loop of its own."""
    with chromium() as opened:
        yield opened


def ask(page: Page, question: str) -> None:
    """Ask a question on the page Ask, which is open."""
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(question)
    box.press("Enter")


def running_console(folder: Path, settings: Mapping[str, str], port: int | None = None) -> AbstractContextManager[str]:
    """The console with these settings; yields its address once it answers. `folder` is its working folder."""
    return running_app(folder, _APP, {**settings, "PYTHONPATH": str(_APP.parent.parent)}, port)


@contextmanager
def running_app(
    folder: Path,
    app: Path,
    settings: Mapping[str, str] | None = None,
    port: int | None = None,
    arguments: Sequence[str] = (),
) -> Iterator[str]:
    """A page of Streamlit; yields its address once it answers."""
    port = port or free_port()
    address = ("--server.port", str(port), "--server.address", "127.0.0.1")
    command = [sys.executable, "-m", "streamlit", "run", str(app), *address, *STREAMLIT_FLAGS, "--", *arguments]
    environment = {**os.environ, **(settings or {})}
    with (folder / "console.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=10), timeout=30, trust_env=False) as client:
            assert client.get(f"http://127.0.0.1:{port}/_stcore/health").text == "ok"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)
