"""The interface in English and Chinese. English sentences are the keys; a test finds those without a translation."""

from __future__ import annotations

from console.i18n.zh import CHINESE
from console.i18n.zh_reasons import REASONS

ENGLISH = "en"
LANGUAGES = {"en": "English", "zh": "中文"}


def translate(language: str, text: str, /, **values: object) -> str:
    """The sentence in a language, English when it has none, with `values` in its braces."""
    sentence = CHINESE.get(text, text) if language == "zh" else text
    return sentence.format(**values) if values else sentence


def explain_reason(language: str, code: str) -> str:
    """What a reason code means and what to do; empty in English, which the platform says itself."""
    return REASONS.get(code, "") if language == "zh" else ""


def language_of(preferred: str) -> str:
    """The interface language for a locale (`zh-CN`) or an Accept-Language header: its first that we have."""
    for item in preferred.lower().split(","):
        tag = item.partition(";")[0].strip().partition("-")[0]
        if tag in LANGUAGES:
            return tag
    return ENGLISH
