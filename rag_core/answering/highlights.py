"""Where the words of a query stand in a text, by the rules of the lexical leg: stems for words, pairs for Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from rag_core.answering.evidence import question_units
from rag_core.index.lexical import encode_query

MAX_HIGHLIGHTS = 100
"""Spans of one text at most."""

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"(?P<cjk>[{_CJK}]+)|[^\W_{_CJK}]+")
Span = tuple[int, int]


def query_terms(query: str) -> frozenset[int]:
    """The terms of a query that are looked for."""
    return frozenset(term for unit in question_units(query) for term in unit.terms)


def highlights(terms: frozenset[int], text: str) -> list[Span]:
    """Spans `[start, end)` of `text`, in order and apart from each other."""
    spans: list[Span] = []
    for start, end in _matches(terms, text):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        elif len(spans) == MAX_HIGHLIGHTS:
            break
        else:
            spans.append((start, end))
    return spans


def _matches(terms: frozenset[int], text: str) -> Iterator[Span]:
    for match in _WORD.finditer(text):
        start, word = match.start(), match.group()
        if not match.lastgroup or len(word) == 1:
            if not terms.isdisjoint(_terms(word)):
                yield match.span()
        else:
            for place in range(len(word) - 1):
                if not terms.isdisjoint(_terms(word[place : place + 2])):
                    yield start + place, start + place + 2


@lru_cache(maxsize=1 << 16)
def _terms(word: str) -> frozenset[int]:
    return frozenset(encode_query(word[:64]).indices)
