"""The interface in English and Chinese: gettext catalogues whose keys are the English sentences."""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path
from typing import TypeVar

ENGLISH = "en"
LANGUAGES = {"en": "English", "zh": "中文"}
T = TypeVar("T")


def N_(texts: T) -> T:  # noqa: N802  (gettext's name for it)
    """Return a text, or a table of texts, unchanged: marks what is translated elsewhere, so that it is extracted."""
    return texts


def translate(language: str, text: str, /, **values: object) -> str:
    """Return a sentence in a language, in English when it has no translation, with `values` in its braces."""
    sentence = _catalogue(language).gettext(text) if text else text  # the key "" holds the catalogue's header
    return sentence.format(**values) if values else sentence


def explain_reason(language: str, code: str, *, in_run: bool = False) -> str:
    """Return what a reason code means and what to do; empty in English, which the platform says itself.

    `in_run`: a run or the stream worker met it, and the platform continues by itself.
    """
    meaning = _translation(language, "reason", code)
    return meaning + _translation(language, "reason in a run", code) if in_run else meaning


def with_meaning(language: str, code: str, message: str, *, in_run: bool = False) -> str:
    """Return the platform's own message, after the meaning of its code in another language."""
    meaning = explain_reason(language, code, in_run=in_run)
    return f"{meaning}（{message}）" if meaning and message else meaning or message


def language_of(preferred: str) -> str:
    """Return the first language that we have of a locale (`zh-CN`) or an Accept-Language header, else English."""
    for item in preferred.lower().split(","):
        tag = item.partition(";")[0].strip().partition("-")[0]
        if tag in LANGUAGES:
            return tag
    return ENGLISH


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    if language == ENGLISH or language not in LANGUAGES:
        return gettext.NullTranslations()
    return gettext.translation("console", Path(__file__).parent, [language])


def _translation(language: str, context: str, key: str) -> str:
    text = _catalogue(language).pgettext(context, key)
    return "" if text == key else text
