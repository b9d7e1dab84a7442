"""`make screenshots`: an answer of each kind on the page Ask in both languages, and a citation opened as its page."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as PlaywrightError
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate
from screenshots import LOCALES, ask, context_of, main, settle, sign_in, take_picture

from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import Store, open_store
from rag_core.settings import Settings
from ragctl.tokens import DEFAULT_TENANT
from tests.support.browser import chromium

QUESTIONS = {
    "how-to": {"en": "How do I create an API key?", "zh": "打开 Dagster 用哪个网址？"},
    "closest": {"en": "How do I stop everything?", "zh": "怎么停止服务？"},
}
"""Questions that the documentation of this project answers, by the kind of the answer."""
CITED = {"en": "How often is pump seven lubricated?", "zh": "How often is pump seven lubricated?"}
PAGE = "page"
"""A citation opened as the page that it is of."""
DARK = (("how-to", "en"),)
"""What is shown dark too."""
MANUAL = (
    ("Pump seven", "Title", "The pump moves cooling water from the basin to the heat exchanger."),
    ("Maintenance", "Heading1", "The bearings of pump seven are lubricated every three weeks with 25 millilitres of oil"
     " of the class VG 68. Stop the motor and wait until the shaft is at rest."),
    ("Seals", "Heading1", "Replace the mechanical seal after 8,000 hours of operation, or at once when more than ten"
     " drops a minute leave the housing."),
)  # fmt: skip


def take_answers(url: str, password: str) -> list[str]:
    """Every picture, from the question down; the pictures of the docs are wide enough for tables."""
    with closing(open_store(Settings.load())) as store, manual(store), chromium() as browser:
        return [
            failure
            for language in LOCALES
            for scheme in ("light", "dark")
            for failure in take(browser, url, password, language, scheme)
        ]


def take(browser: Browser, url: str, password: str, language: str, scheme: str) -> list[str]:
    """The answers in one language and theme. Returns those that failed."""
    asked = [
        (kind, questions[language])
        for kind, questions in QUESTIONS.items()
        if scheme == "light" or (kind, language) in DARK
    ]
    if scheme == "light":
        asked.append((PAGE, CITED[language]))
    failed = []
    viewport = {"width": 1360, "height": 1100}
    with closing(context_of(browser, language, color_scheme=scheme, viewport=viewport)) as context:
        page = context.new_page()
        page.goto(url)
        sign_in(page, password)
        for kind, question in asked:
            name = f"answer-{kind}-{language}-{scheme}"
            try:
                picture(page, url, question, name, opened=kind == PAGE)
            except PlaywrightError as error:
                failed.append(f"{name}: {str(error).splitlines()[0]}")
    return failed


def picture(page: Page, url: str, question: str, name: str, *, opened: bool = False) -> None:
    page.goto(f"{url}/ask")
    settle(page)
    forget(page)
    ask(page, question)
    settle(page)
    if opened:
        page.locator("[class*=st-key-cite-] button").first.click()
        page.locator(".st-key-cited-document img").first.wait_for()
        settle(page)
    page.get_by_test_id("stChatMessage").nth(-2).scroll_into_view_if_needed()
    take_picture(page, name)


def forget(page: Page) -> None:
    """End the conversation, which is kept for its person: a further question would continue it."""
    ends = page.get_by_role("button", name=re.compile("New conversation|新对话"))
    if ends.count():
        ends.click()
        page.locator("[class*=st-key-answer-]").first.wait_for(state="detached")
        settle(page)


@contextmanager
def manual(store: Store) -> Iterator[None]:
    """A PDF that can be asked, for as long as pictures are taken."""
    push(store, pdf())
    try:
        yield
    finally:
        push(store, None)


def push(store: Store, content: bytes | None) -> None:
    """Push it, or its deletion, and wait until that is applied."""
    change = PushedChange(DEFAULT_TENANT, "manuals", "pump-seven.pdf", "screenshots", content,
                          acl=("everyone",) if content else None)  # fmt: skip
    with store.engine.begin() as connection:
        inbox.accept(connection, change, max_pending=100_000)
    while True:
        with store.engine.connect() as connection:
            if inbox.latest(connection, change.doc_id) is None:
                return
        time.sleep(1)


def pdf() -> bytes:
    out, styles = io.BytesIO(), getSampleStyleSheet()
    story: list[Flowable] = []
    for title, style, text in MANUAL:
        story += [Paragraph(title, styles[style]), Paragraph(text, styles["BodyText"]), PageBreak()]
    SimpleDocTemplate(out, title="Pump seven: operating manual").build(story)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main(take_answers))
