"""Sentences as tokens that carry their meaning: words by stem, numbers by value, negations and limits by class.

Function words make no token. They stand in the `gap` before the next token, where `entailment` reads the structure of
the sentence from them. Chinese has a token for each character that is not one of these words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from rag_core.answering.numerals import CHINESE_NUMBER, NUMBER_WORD, chinese_value, digits_value, words_value
from rag_core.retrieval.search import STOPWORDS, encode_query

Key = str | int


class Kind(Enum):
    """Role of a token in a claim."""

    WORD = auto()
    CHARACTER = auto()
    """A Chinese character: a word only together with its neighbours."""
    NUMBER = auto()
    NAME = auto()
    """An address, an identifier or an acronym: exact, letter by letter."""
    RELATION = auto()
    MODAL = auto()
    LIMIT = auto()
    """Narrows what follows it, such as "at most": leaving it out changes the claim."""
    NEGATION = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A meaning and what stands between it and the token before it. Tokens of one key mean the same."""

    kind: Kind
    key: Key
    gap: str


# --------------------------------------------------------------------------------------------------------------------
# Words that decide whether a sentence is true, by class. Longer expressions come first.

_CLASSES: Final = (
    (
        Kind.LIMIT, "at most",
        r"at most|up to|(?:no|not) (?:more|later|longer) than|a maximum of|最多|至多|不超过|不得超过|不多于",
    ),
    (Kind.LIMIT, "at least", r"at least|(?:no|not) (?:less|fewer|earlier) than|a minimum of|最少|至少|不少于|不低于"),
    (Kind.LIMIT, "more", r"more than|greater than|above|over|超过|高于|多于|以上"),
    (Kind.LIMIT, "less", r"less than|fewer than|below|under|低于|少于|不足|以下"),
    (Kind.LIMIT, "about", r"approximately|roughly|nearly|almost|大约|大概|将近"),
    (Kind.LIMIT, "unless", r"unless|except|除非|除了?"),
    (Kind.LIMIT, "only", r"only|solely|exclusively|仅|只"),
    (
        Kind.NEGATION, "exempt",
        r"need not|(?:do|does|did)(?: not|n't) (?:have|need) to|not (?:required|necessary|mandatory)"
        r"|不必|无需|无须|不需要",
    ),
    (
        Kind.NEGATION, "forbidden",
        r"(?:may|must|can|could|shall|should) not|(?:must|can|could|sha|should)n't|can't|cannot"
        r"|(?:not|(?:is|are|was|were)n't) (?:allowed|permitted)|forbidden|prohibited"
        r"|不得|不可以|不可|不能|不许|不允许|不应|禁止|严禁",
    ),
    (Kind.NEGATION, "never", r"never|从不|绝不|从未|永不"),
    (Kind.NEGATION, "without", r"without"),
    (Kind.NEGATION, "none", r"no|none|nobody|nothing|nowhere|neither|nor"),
    (
        Kind.NEGATION, "not",
        r"not|unable|[a-z]{1,12}n't|不(?![仅但过管论断同久])|没有?|未(?!来)|无(?![线论])|非(?!常)|勿",
    ),
    (
        Kind.MODAL, "must",
        r"must|shall|(?:has|have|had|needs?) to|required|mandatory|obliged|必须|务必|须|应当|应该|应|需要",
    ),
    (Kind.MODAL, "should", r"should|ought to|recommended|建议"),
    (Kind.MODAL, "may", r"may|might|can|could|allowed|permitted|able to|可以|可(?![靠])|能够|允许"),
    (Kind.RELATION, "before", r"before|prior to|之前|以前|前"),
    (Kind.RELATION, "after", r"after|之后|以后|后"),
    (Kind.RELATION, "until", r"until|till|直到"),
    (Kind.RELATION, "every", r"every|each|每"),
    (Kind.RELATION, "all", r"all|所有|全部"),
    (Kind.RELATION, "passive", r"by|被"),
)  # fmt: skip
_DECIDING_WORDS: Final = """
within during since between any both either some most few same again once more less against down up out
off over have has had having own
"""
_DECIDING: Final = frozenset(_DECIDING_WORDS.split())
"""Stop words of a search that change what a sentence claims."""
_LIGHT_WORDS: Final = """
also therefore thus however additionally furthermore moreover overall specifically namely well us per like via let upon
whose
"""
_LIGHT: Final = frozenset(_LIGHT_WORDS.split())
"""Words beside the stop words of a search that claim nothing."""
_FREE: Final = (STOPWORDS - _DECIDING) | _LIGHT
_SOURCE: Final = r"(?:provided )?(?:documents?|documentation|handbook|passages?|sections?|sources?|text|page)"
REPORTED: Final = re.compile(
    rf"(?:according to|as (?:stated|described) in) (?:the |this |these )?{_SOURCE},?\s*"
    rf"|(?:the |this ){_SOURCE} (?:states?|says?|mentions?|explains?|specif(?:y|ies)) that\s"
    r"|(?:根据|按照|依据)(?:该|本|这些)?(?:文件|文档|手册|资料|规定)[,，]?"
    r"|(?:文件|文档|手册)(?:中)?(?:说|规定|指出|表明)[,，:：]?",
    re.IGNORECASE,
)
"""Beginning of a sentence that reports what a document says."""
_FREE_CHINESE: Final = (
    "其中|此外|另外|因此|而且|并且|以及|[的了是在有由和与與及对對从從到以为為其该該这這那些之于於所者而且并並也都会會将將把给給向让"
    "则則即就还還又再很等个個吗嗎呢您你我们們它他她或但中上时時]"
)
_CJK: Final = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_SAME_WORDS: Final = """
get gets got receive receives received obtain obtains obtained
begin begins began start starts started
end ends ended finish finishes finished
use uses used
staff employees employee
firm company
percent percentage
send sends sent submit submits submitted
keep keeps kept retain retains retained
buy buys bought purchase purchases purchased
write writes wrote written
pay pays paid
take takes took taken
give gives gave given
hold holds held
lose loses lost
leave leaves left
"""
_SAME: Final = {word: line.split()[0] for line in _SAME_WORDS.strip().splitlines() for word in line.split()}
"""Words that stand for each other, and forms that the stemmer does not bring together."""
_UNITS: Final = {"%": "percent", "$": "dollar", "€": "euro", "£": "pound", "¥": "yuan", "百分之": "percent"}

_TOKEN: Final = re.compile(
    r"(?P<name>https?://[^\s<>()\[\]（）]*[\w/]|(?<![\w.+-])[\w.+-]{1,64}+@[\w-]{1,63}+(?:\.[\w-]{1,63}+){1,8}+"
    r"|(?<![A-Za-z0-9])(?<![A-Za-z0-9][_./:-])[A-Za-z][A-Za-z0-9]*+(?:-[A-Za-z0-9]++)*+"
    r"[_./:][A-Za-z0-9]++(?:[_./:-][A-Za-z0-9]++)*+"
    r"|(?<![A-Za-z0-9])(?<![A-Z0-9]-)(?=(?:[0-9]|-(?=[0-9A-Z]))*[A-Z]-?[A-Z0-9])[A-Z0-9]++(?:-[A-Z0-9]++)*+(?![a-z]))"
    rf"|(?P<percent>百分之)|(?P<ordinal>\d+(?:st|nd|rd|th)\b)|(?P<digits>\d+(?:[.,:]\d+)*(?:\s(?:thousand|million|billion)\b|[百千万亿]+)?)"
    rf"|(?P<number>(?i:{NUMBER_WORD}))|(?P<chinese>{CHINESE_NUMBER})"
    + "".join(
        rf"|(?P<class_{at}>(?<![A-Za-z])(?i:{pattern})(?![A-Za-z]))" for at, (_, _, pattern) in enumerate(_CLASSES)
    )
    + rf"|(?P<free>{_FREE_CHINESE})|(?P<unit>[%$€£¥])|(?P<cjk>[{_CJK}])"
    rf"|(?P<word>[^\W_{_CJK}]+(?:'(?!s\b)[^\W_{_CJK}]+)*)"
)


def tokens(text: str) -> list[Token]:
    """The tokens of one sentence."""
    return list(_tokens(unicodedata.normalize("NFKC", text.replace("’", "'"))))


def _tokens(text: str) -> Iterator[Token]:
    gap_from, pending, position = 0, "", 0
    while match := _TOKEN.search(text, position):
        position = match.end()
        group = match.lastgroup or ""
        if group == "percent" or (group == "unit" and match.group() != "%"):
            pending = match.group()  # stands before its number
            continue
        found = _token(group, match.group(), text[gap_from : match.start()].casefold())
        if found is None:
            continue
        gap_from = position
        yield found
        if pending and found.kind is Kind.NUMBER:
            yield Token(Kind.WORD, _stem(_UNITS[pending]), "")
            pending = ""


def _token(group: str, text: str, gap: str) -> Token | None:
    if group == "free":
        return None
    if group.startswith("class_"):
        kind, key, _ = _CLASSES[int(group.removeprefix("class_"))]
        return Token(kind, key, gap)
    if group == "name":
        return Token(Kind.NAME, text.casefold(), gap)
    if group == "unit":
        return Token(Kind.WORD, _stem(_UNITS[text]), gap)
    if group == "cjk":
        return Token(Kind.CHARACTER, _stem(text), gap)
    if group == "word":
        word = text.casefold()
        return None if word in _FREE or (len(word) == 1 and word.isalpha()) else Token(Kind.WORD, _stem(word), gap)
    if group == "ordinal":
        return Token(Kind.NUMBER, f"{int(text[:-2])}.", gap)
    value = {"digits": digits_value, "number": words_value, "chinese": chinese_value}[group](text)
    return Token(Kind.NUMBER, value, gap)


@lru_cache(maxsize=1 << 14)
def _stem(word: str) -> Key:
    word = _SAME.get(word, word)
    indices = encode_query(word[:64]).indices
    return indices[0] if indices else word
