"""Bytes of a text file to a string."""

from __future__ import annotations

import codecs
import re
from typing import Final

import charset_normalizer

from rag_core.content.parsing.clean import MAX_REPLACEMENT_SHARE, REPLACEMENT
from rag_core.errors import InvalidInput, Reason

_SAMPLE_BYTES: Final = 64 * 1024
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED: Final = re.compile(
    rb"""(?:charset\s*=\s*["']?|<\?xml[^>]{0,100}encoding\s*=\s*["'])([A-Za-z0-9_:.-]{2,32})""", re.IGNORECASE
)
# Codecs a declaration may name. Python also knows "rot13", "zip" and the like, which are no character encodings.
_TRUSTED: Final = re.compile(
    r"utf|ascii|8859|latin|cp1?25|windows|gb|hz|big5|euc|shift|sjis|iso2022|iso-2022|koi8|mac|cp9|cp8|tis"
)
# GB 18030 contains GBK and GB 2312; cp1252 contains the printable part of Latin-1.
_CANDIDATES: Final = [
    "gb18030",
    "big5",
    "shift_jis",
    "euc_jp",
    "euc_kr",
    "cp1252",
    "cp1251",
    "cp1250",
    "latin_1",
    "koi8_r",
]


def decode(content: bytes, media_type: str | None = None) -> str:
    """Decode by byte order mark, UTF-8, declaration (media type, HTML meta, XML), then by statistics.

    Raises `InvalidInput` (`ENCODING_UNKNOWN`) when nothing fits, or more than 5 % of the characters would be lost.
    """
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _lenient(content[len(mark) :], encoding)
    wide = _wide_without_mark(content)
    if wide is not None:
        return _lenient(content, wide)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if _nearly_utf8(content):
        return _lenient(content, "utf-8")
    for encoding in (*_declared(content, media_type), *_guessed(content)):
        try:
            return content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return _lenient(content, "utf-8")


def decode_sample(content: bytes, size: int = 4096) -> str:
    """The beginning of a text file, good enough to look for signatures; never raises."""
    head = content[:size]
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "replace")
    return head.decode(_wide_without_mark(head) or "utf-8", "replace")


def has_text_mark(content: bytes) -> bool:
    """Return whether a mark, or UTF-16 without one, shows text whose NUL bytes do not make it a binary."""
    return any(content.startswith(mark) for mark, _ in _BOMS) or _wide_without_mark(content) is not None


def _lenient(content: bytes, encoding: str) -> str:
    text = content.decode(encoding, "replace")
    if text.count(REPLACEMENT) > MAX_REPLACEMENT_SHARE * len(text):
        raise InvalidInput(
            Reason.ENCODING_UNKNOWN, "the character encoding could not be recognised; save the document as UTF-8"
        )
    return text


def _wide_without_mark(content: bytes) -> str | None:
    """UTF-16 of mostly Latin text shows as a NUL in every second byte."""
    head = content[:_SAMPLE_BYTES]
    if len(head) < 4 or head.count(0) * 5 < len(head) * 2:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > 0.8 * len(head) / 2 and even * 20 < odd:
        return "utf-16-le"
    if even > 0.8 * len(head) / 2 and odd * 20 < even:
        return "utf-16-be"
    return None


def _nearly_utf8(content: bytes) -> bool:
    """UTF-8 with a few damaged bytes: nearly all non-ASCII characters form valid sequences."""
    sample = _cut(content).decode("utf-8", "replace")
    bad = sample.count(REPLACEMENT)
    good = sum(char > "\x7f" for char in sample) - bad
    return good >= 10 * bad and good > 0


def _declared(content: bytes, media_type: str | None) -> list[str]:
    names = [match.group(1).decode("ascii") for match in _DECLARED.finditer(content[:2048])][:2]
    if media_type and (match := _DECLARED.search(media_type.encode("ascii", "ignore"))):
        names.insert(0, match.group(1).decode("ascii"))
    # Pages that say GB 2312 use GBK characters all the time.
    return ["gb18030" if name.lower().startswith("gb") else name for name in names if _TRUSTED.search(name.lower())]


def _guessed(content: bytes) -> list[str]:
    best = charset_normalizer.from_bytes(_cut(content), cp_isolation=_CANDIDATES).best()
    if best is None:
        return []
    # Statistics cannot distinguish the Western code pages on short text; cp1252 is by far the likeliest.
    return ["cp1252", "latin_1"] if best.encoding in {"cp1250", "cp1252", "latin_1"} else [best.encoding]


def _cut(content: bytes) -> bytes:
    """A sample that ends at a line end where there is one, so that no multi-byte character is torn."""
    if len(content) <= _SAMPLE_BYTES:
        return content
    cut = content.rfind(b"\n", _SAMPLE_BYTES // 2, _SAMPLE_BYTES)
    return content[: cut if cut > 0 else _SAMPLE_BYTES]
