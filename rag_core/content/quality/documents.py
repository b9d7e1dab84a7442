"""Assess the text of one document against the quality rules, before it is stored."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rag_core.content.quality.rules import RULES, QualityPolicy, QualityRule

# --------------------------------------------------------------------------------------------------------------------
# Measures of a text. Linear in its length, and bounded: a long text is assessed by three samples.


SAMPLE_CHARS: Final = 30_000
_SHORT: Final = 80
"""Shorter texts are too short for meaningful shares."""
_REPEATED_RATIO: Final = 40
"""Prose compresses 2 to 4 times, logs and tables 10 to 20 times."""
_REPEATED_CHARS: Final = 2000
# Base64, hexadecimal and similar; a link has other characters in between.
_LONG_RUN: Final = re.compile(r"[A-Za-z0-9+/=_-]{80,}")
_READABLE: Final = re.compile(r"[\w\s]")

# The characters that the bytes 0x80 to 0xBF become under Windows-1252 and Latin-1.
_TAIL: Final = (
    "[\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d\u2018\u2019\u201c"
    "\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178]"
)
_MOJIBAKE: Final = re.compile(
    f"(?:[\u00c3-\u00df]{_TAIL}|[\u00e0-\u00ef]{_TAIL}{{2}}|[\u00f0-\u00f4]{_TAIL}{{3}}|\u00c2[\u0080-\u00bf])"
    # GBK read as Latin-1; UTF-8 read as GBK, and its replacement characters.
    "|[\u00b0-\u00f7][\u00a1-\u00fe][\u00b0-\u00f7][\u00a1-\u00fe](?:[\u00b0-\u00f7][\u00a1-\u00fe])*"
    "|锟斤拷|烫烫烫|屯屯屯|ï¿½"
)

_ERROR_PAGE: Final = re.compile(
    r"\A(?:(?:http\s*|error\s*+(?:code)?+:?+\s*+)?[45]\d\d\b[\s\-–—:|.,(]{0,5}(?:error[\s:]*)?(?:page )?"
    r"(?:not found|forbidden|unauthori[sz]ed|bad (?:gateway|request)|gateway time-?out|(?:http )?service "
    r"(?:temporarily )?unavailable|internal server error|too many requests|access denied)"
    r"|(?:error[\s:\-]*)?(?:page not found|access (?:to this page has been )?denied|internal server error|bad gateway|"
    r"gateway time-?out|service (?:temporarily )?unavailable|too many requests)[\s.!]*(?:$|\n)"
    r"|just a moment\.\.\.|attention required! \||checking your browser before"
    r"|verify(?:ing)? (?:that )?you are (?:a )?human"
    r"|(?:please )?enable javascript (?:and cookies )?to (?:continue|view|run)|(?:the |this )?site is (?:temporarily )?"
    r"(?:down|under) (?:for )?maintenance|traceback \(most recent call last\):|fatal error: uncaught"
    r"|(?:抱歉[,，]?\s*)?(?:您访问的)?(?:页面不存在|页面未找到|找不到(?:该)?页面|页面走丢了)|服务器(?:内部)?错误|访问被拒绝"
    r"|(?:系统|网站)(?:正在)?维护中?[。!！\s]*(?:$|\n)|请求过于频繁|请(?:先)?(?:开启|启用) ?javascript)",
    re.IGNORECASE,
)
_ERROR_PAGE_CHARS: Final = 1500


def is_empty(text: str) -> bool:
    """Return whether the text has no letter and no digit of any script."""
    return not any(character.isalnum() for character in text)


def noise_share(text: str) -> float:
    """Share (0..1) of a text that is encoded data or symbols; 1 for a repetition, 0 for a short text."""
    if len(text) < _SHORT:
        return 0.0
    sample = sampled(text)
    runs = sum(len(run) for run in _LONG_RUN.findall(sample)) / len(sample)
    symbols = 1 - len(_READABLE.findall(sample)) / len(sample)
    return max(runs, symbols, 1.0 if _is_repetition(sample) else 0.0)


def mojibake_share(text: str) -> float:
    """Share (0..1) of characters in sequences typical of a wrong decoding; 0 for fewer than six of them."""
    sample = sampled(text)
    found = sum(map(len, _MOJIBAKE.findall(sample)))
    return found / len(sample) if found >= 6 else 0.0


def is_error_page(text: str, title: str) -> bool:
    """Return whether a short text or its title begins like the error page of a server."""
    if len(text) > _ERROR_PAGE_CHARS:
        return False
    begin = text.lstrip("# \t\r\n")
    return _ERROR_PAGE.match(begin) is not None or _ERROR_PAGE.match(title.strip()) is not None


def sampled(text: str) -> str:
    """The text, or its beginning, middle and end."""
    if len(text) <= SAMPLE_CHARS:
        return text
    part, middle = SAMPLE_CHARS // 3, len(text) // 2
    return text[:part] + text[middle : middle + part] + text[-part:]


def _is_repetition(sample: str) -> bool:
    if len(sample) < _REPEATED_CHARS:
        return False
    raw = sample.encode("utf-8", "replace")
    return len(raw) > _REPEATED_RATIO * len(zlib.compress(raw, 6))


FLAG_PREFIX = "quality:"


def uncertainty(confidence: str | None) -> float:
    """1 minus what a parser says of recognized text (`ocr_confidence`), 0 for text that was text before."""
    try:
        value = float(confidence or 1)
    except ValueError:
        return 0.0
    return 1 - value if 0 <= value <= 1 else 0.0


_VALUES: dict[str, Callable[[str, str], float]] = {
    "empty_text": lambda text, title: float(is_empty(text)),
    "error_page": lambda text, title: float(is_error_page(text, title)),
    "mojibake": lambda text, title: mojibake_share(text),
    "garbage_text": lambda text, title: noise_share(text),
}


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """A rule that fired, with the value it fired at."""

    rule: QualityRule
    value: float
    limit: float

    @property
    def flag(self) -> str:
        """The flag a document gets when the rule only warns."""
        return f"{FLAG_PREFIX}{self.rule.name}"

    @property
    def message(self) -> str:
        """The message for the quarantine."""
        measured = "" if self.limit == 0 else f" ({self.value:.2f} > {self.limit:g})"
        return f"{self.rule.name}: {self.rule.meaning}{measured}"


def assess_text(
    text: str, title: str, policy: QualityPolicy, *, confidence: str | None = None
) -> tuple[RuleFinding | None, list[RuleFinding]]:
    """The first finding that quarantines the document, if any, and the findings that only warn.

    `confidence` is the mean of what character recognition read, from 0 to 1 as text.
    """
    warnings: list[RuleFinding] = []
    for name in (*_VALUES, "ocr_uncertainty"):
        rule = RULES[name]
        severity, limit = policy.severity(rule), policy.limit(rule)
        if severity == "ignore":
            continue
        value = _VALUES[name](text, title) if name in _VALUES else uncertainty(confidence)
        if value <= limit:
            continue
        found = RuleFinding(rule, value, limit)
        if severity == "error":
            return found, warnings
        warnings.append(found)
    return None, warnings
