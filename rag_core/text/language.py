"""A cheap language guess for the two languages the platform is tuned for. Dependable rather than broad."""

from __future__ import annotations

import re
from typing import Final

_SAMPLE_CHARS: Final = 20_000
_HAN: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA_HANGUL: Final = re.compile("[\u3040-\u30ff\uac00-\ud7af]")
_LATIN: Final = re.compile("[A-Za-z\u00c0-\u024f]")
_OTHER_SCRIPTS: Final = re.compile("[\u0370-\u1fff]")
_WORD: Final = re.compile("[a-z]+")
# Function words that no other large language written in Latin script shares.
_ENGLISH: Final = frozenset(
    "the of and to is that for with this are be you not from have it by at which can will if your has when".split()  # noqa: SIM905
)
_MIN_WORDS: Final = 4


def guess_language(text: str) -> str:
    """`zh`, `en`, or empty when the text is too short, mixed or in another language."""
    sample = _sample(text)
    han = len(_HAN.findall(sample))
    latin = len(_LATIN.findall(sample))
    other = len(_OTHER_SCRIPTS.findall(sample))
    kana_hangul = len(_KANA_HANGUL.findall(sample))
    # A Han character carries as much as three to four Latin letters, and Chinese technical prose is full of Latin
    # commands and names: hence the low share it needs.
    if han * 8 >= latin and han >= 2 and kana_hangul * 10 <= han and other <= han:
        return "zh"
    if latin > 4 * (han + other + kana_hangul) and _looks_english(sample):
        return "en"
    return ""


def _sample(text: str) -> str:
    if len(text) <= _SAMPLE_CHARS:
        return text
    middle = len(text) // 2
    half = _SAMPLE_CHARS // 2
    return text[:half] + " " + text[middle : middle + half]


def _looks_english(sample: str) -> bool:
    words = _WORD.findall(sample.lower())
    if len(words) < _MIN_WORDS:
        return False
    return sum(word in _ENGLISH for word in words) >= max(1, len(words) * 0.07)
