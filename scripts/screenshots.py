"""`make screenshots`: the pictures of docs/console.md in both languages, taken from the running stack of RAG_HOME."""

from __future__ import annotations

import io
import secrets
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from rag_core.settings import Settings
from ragctl.gateway.options import reachable
from ragctl.local_stack.accounts import Accounts, Role
from ragctl.local_stack.data_dir import DataDir

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "console"
ACCOUNT = "screenshots"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
PAGES = ("overview", "sources", "pipeline", "quality", "evaluation", "index", "ask", "traffic", "deployments", "audit")
QUESTIONS = {"en": "How are deletions guarded?", "zh": "租户与权限来自哪里？"}
ANSWERS = {
    "how-to": {"en": "How do I create an API key?", "zh": "怎么停止服务？"},
    "definition": {"en": "What is structlog?", "zh": "什么是 structlog？"},
    "value": {"en": "What is the maximum value of top_k?", "zh": "控制台的端口是多少？"},
    "closest": {"en": "How do I stop everything?", "zh": "什么是索引代？"},
}
"""Questions of the default corpus with each kind of answer."""
FIND = {"en": "performance", "zh": "zh-CN"}


def main() -> int:
    settings = Settings.load()
    accounts = Accounts(DataDir.of(settings).accounts_file)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or not accounts.path.exists():
        print("needs a running stack (`make up`) and Chromium", file=sys.stderr)
        return 1
    password = secrets.token_urlsafe(15)
    accounts.add(ACCOUNT, Role.ADMIN, password)
    TARGET.mkdir(parents=True, exist_ok=True)
    url = f"http://{reachable(settings.host)}:{settings.console_port}"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            for language, locale in (("en", "en-GB"), ("zh", "zh-CN")):
                context = browser.new_context(locale=locale, viewport={"width": 1360, "height": 860}, timezone_id="UTC")
                page = context.new_page()
                page.set_default_timeout(120_000)
                take(page, url, language, password)
                context.close()
                for scheme in ("light", "dark"):
                    context = browser.new_context(
                        locale=locale, color_scheme=scheme, viewport={"width": 1360, "height": 860}, timezone_id="UTC"
                    )
                    page = context.new_page()
                    page.set_default_timeout(120_000)
                    take_answers(page, url, language, scheme, password)
                    context.close()
            browser.close()
    finally:
        accounts.remove(ACCOUNT)
    return 0


def take_answers(page: Page, url: str, language: str, scheme: str, password: str) -> None:
    """An answer of each kind, from its question down."""
    page.goto(url)
    sign_in(page, password)
    page.goto(f"{url}/ask")
    settle(page)
    for kind, questions in ANSWERS.items():
        ask(page, questions[language])
        settle(page)
        page.locator(".st-key-question-text").scroll_into_view_if_needed()
        save(page, f"answer-{kind}-{language}-{scheme}")


def sign_in(page: Page, password: str) -> None:
    page.locator("#name").fill(ACCOUNT)
    page.locator("#password").fill(password)
    page.locator("button").click()


def take(page: Page, url: str, language: str, password: str) -> None:
    """Every page in one language."""
    page.goto(url)
    save(page, f"sign-in-{language}")
    sign_in(page, password)
    for name in PAGES:
        page.goto(f"{url}/{'' if name == 'overview' else name}")
        settle(page)
        prepare = PREPARE.get(name)
        if prepare is not None:
            prepare(page, language)
            settle(page)
        save(page, f"{name}-{language}")


def settle(page: Page) -> None:
    """Wait until the page's script has run and its tables are drawn."""
    page.get_by_test_id("stHeading").first.wait_for()
    page.wait_for_function("() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState !== 'running'")
    page.wait_for_timeout(1500)  # canvas tables and charts paint after the script has ended and tell nobody


def ask(page: Page, question: str) -> None:
    page.locator(".st-key-question-text textarea").fill(question)
    page.get_by_test_id("stFormSubmitButton").locator("button").first.click()
    page.get_by_test_id("stText").first.wait_for()


def ask_first(page: Page, language: str) -> None:
    ask(page, QUESTIONS[language])


def find(page: Page, language: str) -> None:
    box = page.locator(".st-key-find input")
    box.fill(FIND[language])
    box.press("Enter")


def sync(page: Page, language: str) -> None:
    """A real action, so that the audit log has something to show."""
    if language == "en":
        page.get_by_role("button", name="Sync now").click()
        page.get_by_label("Reason (for the audit log)").first.fill("new handbook was published")
        page.get_by_role("button", name="Confirm").first.click()
        page.get_by_text("Started").first.wait_for()


def traffic(page: Page, language: str) -> None:
    page.get_by_test_id("stVegaLiteChart").first.wait_for()
    page.wait_for_timeout(12_000)  # a few looks, so that there is a line to draw


PREPARE: dict[str, Callable[[Page, str], None]] = {"sources": sync, "ask": ask_first, "index": find, "traffic": traffic}


def save(page: Page, name: str) -> None:
    """A picture of few colours: pages of text lose nothing by it and stay small."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(TARGET / f"{name}.png", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
