"""`make screenshots`: an answer of each kind on the page Ask, in both languages, light and dark."""

from __future__ import annotations

import sys

from playwright.sync_api import Page
from screenshots import ask, main, settle, sign_in, take_picture

from tests.support.browser import chromium

QUESTIONS = {
    "how-to": {"en": "How do I create an API key?", "zh": "如何检查本机条件？"},
    "definition": {"en": "What is structlog?", "zh": "什么是 structlog？"},
    "value": {"en": "What is the maximum value of top_k?", "zh": "打开 Dagster 用哪个网址？"},
    "closest": {"en": "How do I stop everything?", "zh": "怎么停止服务？"},
}
"""Questions of the default corpus with each kind of answer."""
LOCALES = {"en": "en-GB", "zh": "zh-CN"}


def take_answers(url: str, password: str) -> None:
    """Every picture, from the question down; the pictures of the docs are wide enough for tables."""
    with chromium() as browser:
        for language, locale in LOCALES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    locale=locale, color_scheme=scheme, viewport={"width": 1360, "height": 1100}, timezone_id="UTC"
                )
                page = context.new_page()
                page.set_default_timeout(120_000)
                page.goto(url)
                sign_in(page, password)
                for kind, questions in QUESTIONS.items():
                    page.goto(f"{url}/ask")  # the second question of a page continues a conversation
                    settle(page)
                    picture(page, questions[language], f"answer-{kind}-{language}-{scheme}")
                context.close()


def picture(page: Page, question: str, name: str) -> None:
    ask(page, question)
    settle(page)
    page.get_by_test_id("stChatMessage").nth(-2).scroll_into_view_if_needed()
    take_picture(page, name)


if __name__ == "__main__":
    sys.exit(main(take_answers))
