"""Values of numbers in digits and in words, English and Chinese, as one spelling."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_ONES_WORDS: Final = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen
"""
_ONES: Final = tuple(_ONES_WORDS.split())
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINAL_WORDS: Final = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_ORDINALS: Final = tuple(_ORDINAL_WORDS.split())
_VALUES: Final = {
    **{word: value for value, word in enumerate(_ONES)},
    **{word: (value + 2) * 10 for value, word in enumerate(_TENS)},
    "dozen": 12,
}
_SCALES: Final = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_CARDINAL: Final = "|".join(sorted((*_VALUES, *_SCALES), key=len, reverse=True))
NUMBER_WORD: Final = (
    rf"(?<![A-Za-z])(?:{'|'.join(_ORDINALS[1:])}|(?!one\b(?!\s(?:hundred|thousand|million|billion)))"
    rf"(?:{_CARDINAL})(?:[\s-](?:and\s)?(?:{_CARDINAL}))*)(?![A-Za-z])"
)
"""Not "one" alone, which is a pronoun as often."""

_CHINESE_ONES: Final = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_CHINESE_SCALES: Final = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_CHINESE_DIGIT: Final = "零〇一二三四五六七八九两兩十百千万萬亿億"
CHINESE_NUMBER: Final = (
    rf"(?:(?<=第)|(?<=周)|(?<=星期)|(?<=分之))[{_CHINESE_DIGIT}]+|[{_CHINESE_DIGIT}]{{2,}}|[二三四五六七八九两兩十百]"
    rf"|一(?=[天日月年周元次级級倍岁]|小时|小時|分钟|分鐘)"
)
"""A single 一 is a number only before a unit or after what numbers; elsewhere it is a part of words."""


def digits_value(text: str) -> str:
    """The value of digits, with a scale behind them at most: `1,000`, `2 million`, `3万`."""
    match = re.match(r"[\d.,:]+", text)
    digits = match.group() if match else ""
    rest = text[len(digits) :].strip().casefold()
    if ":" in digits:
        return digits
    plain = digits.rstrip(".,")
    plain = plain.replace(",", "") if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", plain) else plain.replace(",", ".")
    if plain.count(".") > 1:
        return plain  # a version, not a quantity
    value = Decimal(plain)
    if rest in _SCALES:
        value *= _SCALES[rest]
    for char in rest if rest not in _SCALES else "":
        value *= _CHINESE_SCALES[char]
    return _spelled(value)


def words_value(text: str) -> str:
    """The value of English number words; `1.` for the first."""
    words = re.split(r"[\s-]+", text.casefold())
    if words[0] in _ORDINALS:
        return f"{_ORDINALS.index(words[0])}."
    total, part = 0, 0
    for word in words:
        if word in _SCALES:
            part = max(part, 1) * _SCALES[word]
            if word != "hundred":
                total, part = total + part, 0
        elif word != "and":
            part += _VALUES[word]
    return _spelled(Decimal(total + part))


def chinese_value(text: str) -> str:
    """The value of Chinese numerals, also digit by digit as in years."""
    if not any(char in _CHINESE_SCALES for char in text):
        return _spelled(Decimal("".join(str(_CHINESE_ONES[char]) for char in text)))
    total, section, digit = 0, 0, 0
    for char in text:
        if char in _CHINESE_ONES:
            digit = _CHINESE_ONES[char]
        elif (scale := _CHINESE_SCALES[char]) >= 10**4:
            total, section, digit = total + max(section + digit, 1) * scale, 0, 0
        else:
            section, digit = section + max(digit, 1) * scale, 0
    return _spelled(Decimal(total + section + digit))


def _spelled(value: Decimal) -> str:
    return format(value.normalize(), "f")
