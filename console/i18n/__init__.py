"""The interface in English and Chinese. English sentences are the keys; a test finds those without a translation."""

from __future__ import annotations

from console.i18n.zh import CHINESE
from console.i18n.zh_reasons import IN_RUNS, REASONS

ENGLISH = "en"
LANGUAGES = {"en": "English", "zh": "中文"}


def translate(language: str, text: str, /, **values: object) -> str:
    """The sentence in a language, English when it has none, with `values` in its braces."""
    sentence = CHINESE.get(text, text) if language == "zh" else text
    return sentence.format(**values) if values else sentence


def explain_reason(language: str, code: str, *, in_run: bool = False) -> str:
    """What a reason code means and what to do; empty in English, which the platform says itself.

    `in_run`: a run or the stream worker met it, and the platform continues by itself.
    """
    if language != "zh":
        return ""
    return REASONS.get(code, "") + (IN_RUNS.get(code, "") if in_run else "")


def with_meaning(language: str, code: str, message: str, *, in_run: bool = False) -> str:
    """What the platform says of an error in its own words, after the meaning of its code in another language."""
    meaning = explain_reason(language, code, in_run=in_run)
    return f"{meaning}（{message}）" if meaning and message else meaning or message


def language_of(preferred: str) -> str:
    """The interface language for a locale (`zh-CN`) or an Accept-Language header: its first that we have."""
    for item in preferred.lower().split(","):
        tag = item.partition(";")[0].strip().partition("-")[0]
        if tag in LANGUAGES:
            return tag
    return ENGLISH
