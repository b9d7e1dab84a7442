"""The lexical encoder: text to sparse BM25 vectors, the same for every index engine.

Terms are words (lower case, English Snowball stems) in scripts with spaces, and single characters and overlapping pairs
in Chinese, Japanese and Korean, with Traditional characters folded to Simplified. A stored weight is BM25's saturated
term frequency; the engine multiplies by the inverse document frequency at query time (`Modifier.IDF`), over the points
the caller may see. docs/retrieval.md has the measurements behind this choice.

Any change here must change `FINGERPRINT`; an index built with another fingerprint is refused.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import qdrant_edge

from rag_core import ids

# --------------------------------------------------------------------------------------------------------------------
# English stop words. Chinese needs no list: its common characters do not form pairs.


_WORDS = """
a about above after again against all am an and any are as at be because been before being below between both but by
can could did do does doing down during each few for from further had has have having he her here hers herself him
himself his how i if in into is it its itself just me more most my myself no nor not now of off on once only or other
our ours ourselves out over own same she should so some such than that the their theirs them themselves then there
these they this those through to too under until up very was we were what when where which while who whom why will
with would you your yours yourself yourselves
"""
STOPWORDS = frozenset(_WORDS.split())


K1 = 1.2
B = 0.75
AVERAGE_LENGTH = 150.0
"""Length, in words and CJK characters, at which a chunk is neither favoured nor penalised.

Fixed, because a real average would change every stored weight with each added document.
"""
QUERY_K = 8.0
"""Saturation of repeated query terms (BM25's k3)."""
FINGERPRINT = ids.fingerprint("lexical", 1, K1, B, AVERAGE_LENGTH, QUERY_K, "snowball-english", "cjk-1-2", "t2s")

_CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"(?P<cjk>[{_CJK}]+)|[^\W_{_CJK}]+")
_NOTHING = -1
_MAX_TOKEN = 64
"""Longer words (base64, minified code) are cut: nobody types them, and they must not fill the term cache."""


@dataclass(frozen=True, slots=True)
class Sparse:
    """A sparse vector: ascending, distinct `indices` (32-bit term hashes) with their `values`. Empty is allowed."""

    indices: list[int]
    values: list[float]

    def __bool__(self) -> bool:
        return bool(self.indices)


def encode_documents(texts: Sequence[str]) -> list[Sparse]:
    """Sparse vectors of document texts, in order."""
    return [_encode_document(text) for text in texts]


def encode_query(text: str) -> Sparse:
    """The sparse vector of a query; empty when it has no term.

    Stop words are left out unless nothing else remains, so that "to be or not to be" can still be found.
    """
    words, runs = _split(text)
    pairs = [token for run in runs for token in (_pairs(run) or [run])]
    telling = [word for word in words if word not in STOPWORDS]
    terms = _count(telling, pairs) or _count(words, pairs)
    return _sparse({term: count * (QUERY_K + 1) / (count + QUERY_K) for term, count in terms.items()})


def _encode_document(text: str) -> Sparse:
    words, runs = _split(text)
    # Single characters as well, for queries of one character; pairs do not add to the length.
    characters = [character for run in runs for character in run]
    terms = _count(words, characters + [pair for run in runs for pair in _pairs(run)])
    norm = K1 * (1 - B + B * (len(words) + len(characters)) / AVERAGE_LENGTH)
    return _sparse({term: count * (K1 + 1) / (count + norm) for term, count in terms.items()})


def _split(text: str) -> tuple[list[str], list[str]]:
    """Words and runs of CJK characters in reading order, including repetitions."""
    folded = unicodedata.normalize("NFKC", text).lower()
    if not folded.isascii():
        folded = folded.translate(_to_simplified())
    words, runs = [], []
    for match in _TOKEN.finditer(folded):
        if match.lastgroup:
            runs.append(match.group())
        else:
            words.append(match.group()[:_MAX_TOKEN])
    return words, runs


def _pairs(run: str) -> list[str]:
    return [run[start : start + 2] for start in range(len(run) - 1)]


def _count(words: list[str], cjk: list[str]) -> Counter[int]:
    terms = Counter(map(_stem, words))
    terms.pop(_NOTHING, None)
    terms.update(map(_hash, cjk))
    return terms


def _sparse(weights: dict[int, float]) -> Sparse:
    indices = sorted(weights)
    return Sparse(indices, [weights[index] for index in indices])


def stems(text: str) -> frozenset[int]:
    """The terms of a text without their weights: three times as fast as an encoding."""
    words, runs = _split(text)
    found = set(map(_stem, words))
    for run in runs:
        found.update(map(_hash, run))
        found.update(_hash(run[at : at + 2]) for at in range(len(run) - 1))
    found.discard(_NOTHING)
    return frozenset(found)


def _hash(token: str) -> int:
    return zlib.crc32(token.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=1 << 17)
def _stem(word: str) -> int:
    """The hash of a word's stem, `_NOTHING` when it has none. Cached, because the stemmer takes one text per call."""
    indices = _stemmer().embed_query(word).indices
    return indices[0] if indices else _NOTHING


@cache
def _stemmer() -> qdrant_edge.Bm25:
    return qdrant_edge.Bm25(
        qdrant_edge.Bm25Config(
            tokenizer=qdrant_edge.TokenizerType.Whitespace,
            stopwords=qdrant_edge.StopwordsSet(custom=set()),
            stemmer=qdrant_edge.SnowballParams(qdrant_edge.SnowballLanguage.English),
        )
    )


@cache
def _to_simplified() -> dict[int, str]:
    """OpenCC's table of single characters, first choice each.

    Its phrase rules are 50 times slower and only choose between Simplified forms for display, which does not matter
    for matching.
    """
    table = (files("opencc") / "dictionary" / "TSCharacters.txt").read_text(encoding="utf-8")
    pairs = (line.split() for line in table.splitlines())
    return {ord(pair[0]): pair[1] for pair in pairs if len(pair) > 1 and len(pair[0]) == len(pair[1]) == 1}
