"""The glossaries have the same words in both languages, and the figures of the pages on words and limits are true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rag_core.errors import Reason
from rag_core.settings import Settings
from tests.support.names import ROOT

DOCS = ROOT / "docs"
ENGLISH, CHINESE = DOCS / "explanation" / "glossary.md", DOCS / "zh" / "glossary.md"
PAGES = [ENGLISH, *sorted((DOCS / "zh").glob("*.md")), DOCS / "reference" / "limits.md"]


def entries(page: Path) -> dict[str, str]:
    sections = page.read_text("utf-8").split("\n## ")[1:]
    return {title: text.strip() for title, _, text in (section.partition("\n") for section in sections)}


def test_both_glossaries_have_the_same_words_in_the_same_order() -> None:
    english = [word.casefold() for word in entries(ENGLISH)]
    chinese = [re.match(r"[^（]*（([\w ]+)", text) for text in entries(CHINESE).values()]
    assert len(english) > 30
    assert [found and found[1].casefold() for found in chinese] == english


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=["English", "Chinese"])
def test_each_word_is_defined_in_one_paragraph_that_begins_with_it(page: Path) -> None:
    for word, text in entries(page).items():
        assert "\n\n" not in text, word
        assert word.casefold() in text.partition("." if page is ENGLISH else "。")[0].casefold(), word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_figures_and_reasons_of_the_page_are_those_of_the_product(page: Path) -> None:
    text = page.read_text("utf-8")
    figures = re.findall(r"`RAG_([A-Z_]+)=([^`]*)`", text)
    defaults = {name: str(Settings.model_fields[name.lower()].default) for name, _ in figures}
    assert dict(figures) == defaults
    reasons = set(re.findall(r"`((?!RAG_)[A-Z]+_[A-Z_]+)`", text)) - {"RAG_HOME"}
    assert reasons <= {reason.value for reason in Reason}
