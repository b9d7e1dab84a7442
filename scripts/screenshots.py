"""`make screenshots`: the pictures of docs/console.md in both languages, taken from the running stack of RAG_HOME.

Names of pages take those alone. A small stack is best (`rag up --docs docs`). Each page is opened once per language;
one that fails is named at the end, and the others are taken.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import Error as PlaywrightError

from rag_core.database import open_store
from rag_core.errors import RagError
from rag_core.governance import webhooks
from rag_core.governance.access import AccountRole, NewAccount, new_password, put_account, remove_account
from rag_core.settings import Settings
from ragctl.call_settings import reachable
from ragctl.grpc_client import gateway_address
from ragctl.tokens import DEFAULT_TENANT, mint_token

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the tests are no installed package
from tests.support.browser import CHROMIUM, NEEDS, chromium
from tests.support.pictures import IMAGES, save, settle

ACCOUNT = "screenshots"
_PATIENCE_MS = 60_000
"""For one step of one page: a machine may be busy."""
_SEARCHES = 30
HOOK = "https://chat.example.com/hooks/rag"
PAGES = (
    "overview",
    "sources",
    "documents",
    "pipeline",
    "quality",
    "evaluation",
    "index",
    "ask",
    "traffic",
    "usage",
    "deployments",
    "tenants",
    "audit",
    "webhooks",
    "access",
)
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
QUESTIONS = {"en": "How are deletions guarded?", "zh": "租户与权限来自哪里？"}
FIND = {"en": "security", "zh": "zh-CN"}


def main(take: Callable[[str, str], list[str]]) -> int:
    """Take pictures of the running stack, as an admin with this password. What failed is printed at the end."""
    settings = Settings.load()
    if CHROMIUM is None:
        print(NEEDS, file=sys.stderr)
        return 1
    password = new_password()
    try:
        with account(settings, password):
            failed = take(f"http://{reachable(settings.host)}:{settings.console_port}", password)
    except RagError as error:
        print(f"needs a running stack (`make up`): {error.message}", file=sys.stderr)
        return 1
    print("\n".join(failed), file=sys.stderr)
    return int(bool(failed))


@contextmanager
def account(settings: Settings, password: str) -> Iterator[None]:
    """An admin with every right and a webhook, for as long as the pictures are taken."""
    actor, lifetime = "default/screenshots", settings.longest_token_seconds
    wanted = NewAccount(ACCOUNT, AccountRole.ADMIN, DEFAULT_TENANT, platform=True)
    hook = webhooks.NewWebhook(DEFAULT_TENANT, HOOK, ("alert.*", "source.state"), "chat of the operators")
    with closing(open_store(settings)) as store:
        with store.engine.begin() as connection:
            put_account(connection, wanted, password, actor=actor, lifetime=lifetime)
            made = webhooks.store.create(connection, hook, actor=actor)
        try:
            yield
        finally:
            with store.engine.begin() as connection:
                webhooks.store.remove(connection, made, actor=actor)
                remove_account(connection, ACCOUNT, actor=actor, lifetime=lifetime)


def take_all(url: str, password: str, names: Sequence[str]) -> list[str]:
    """Pictures of these pages in both languages. Returns those that failed."""
    make_traffic(Settings.load())
    with chromium() as browser:
        return [failure for language in LOCALES for failure in take(browser, url, language, password, names)]


def make_traffic(settings: Settings) -> None:
    """Searches, so that figures and charts have something to show."""
    bearer = {"authorization": f"Bearer {mint_token(settings, subject=ACCOUNT, lifetime=300)}"}
    with httpx.Client(base_url=gateway_address(settings).url, headers=bearer, timeout=30, trust_env=False) as client:
        for number in range(_SEARCHES):
            path, question = ("search", "security") if number % 3 else ("answer", QUESTIONS["en"])
            client.post(f"/api/v2/{path}", json={"query": question})


def context_of(browser: Browser, language: str, **more: Any) -> BrowserContext:
    """Browser of a reader of the language, in UTC."""
    shown = {"viewport": {"width": 1360, "height": 860}, **more}
    context = browser.new_context(locale=LOCALES[language], timezone_id="UTC", **shown)
    context.set_default_timeout(_PATIENCE_MS)
    return context


def sign_in(page: Page, password: str) -> None:
    page.locator("#name").fill(ACCOUNT)
    page.locator("#password").fill(password)
    page.locator("button").click()


def take(browser: Browser, url: str, language: str, password: str, names: Sequence[str]) -> list[str]:
    """The pages in one language. Returns those that failed."""
    failed = []
    with closing(context_of(browser, language)) as context:
        page = context.new_page()
        page.goto(url)
        take_picture(page, f"sign-in-{language}")
        sign_in(page, password)
        for name in names:
            began = time.monotonic()
            try:
                take_page(page, url, name, language)
                print(f"{name}-{language} {time.monotonic() - began:.0f} s", flush=True)
            except PlaywrightError as error:
                failed.append(f"{name}-{language}: {str(error).splitlines()[0]}")
    return failed


def take_page(page: Page, url: str, name: str, language: str) -> None:
    page.goto(f"{url}/{'' if name == 'overview' else name}")
    settle(page)
    if prepare := PREPARE.get(name):
        prepare(page, language)
        settle(page)
    take_picture(page, f"{name}-{language}")


def ask(page: Page, question: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(question)
    box.press("Enter")
    page.locator("[class*=st-key-answer-]").last.wait_for()


def ask_first(page: Page, language: str) -> None:
    ask(page, QUESTIONS[language])


def find(page: Page, language: str) -> None:
    """The list, narrowed, with its first document open: a table drawn on a canvas has no row to click by name."""
    box = page.locator(".st-key-documents-q input")
    box.fill(FIND[language])
    box.press("Enter")
    settle(page)
    page.get_by_test_id("stDataFrame").first.click(position={"x": 12, "y": 52})
    page.get_by_test_id("stTabs").wait_for()
    page.mouse.move(0, 0)


def choose_first(page: Page, language: str) -> None:
    """The first row of the list of the page."""
    page.get_by_test_id("stDataFrame").first.click(position={"x": 12, "y": 52})
    settle(page)
    page.mouse.move(0, 0)  # a table shows its tools while it is pointed at


def traffic(page: Page, language: str) -> None:
    page.get_by_test_id("stVegaLiteChart").first.wait_for()
    settle(page)


PREPARE: dict[str, Callable[[Page, str], None]] = {
    "ask": ask_first,
    "documents": find,
    "traffic": traffic,
    "tenants": choose_first,
    "webhooks": choose_first,
}


def take_picture(page: Page, name: str) -> None:
    save(page, IMAGES / "console" / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main(lambda url, password: take_all(url, password, sys.argv[1:] or PAGES)))
