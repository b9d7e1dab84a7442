"""Check a written answer against the passages: a sentence that no passage supports is dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rag_core.answering.citations import Citation, cite
from rag_core.answering.display import display, escaped
from rag_core.answering.evidence import coverage, question_units, text_terms
from rag_core.answering.sentences import split_sentences
from rag_core.retrieval.index import SearchHit

MIN_SUPPORT = 0.5
"""Share of a sentence's words that the passage it rests on must contain."""

MAX_PENDING_CHARS = 2000
"""Text without a sentence end that is held back at most; it bounds the work on each piece."""

_MARKERS = re.compile(r"(?<!\s)\s*+\[(\d{1,3}(?:\s*+[,，、]\s*+\d{1,3})*+)\]")
_AFTER_STOP = re.compile(
    r"(?<![.!?。！？；])([.!?。！？；]++[\"'”’」』）)]*+)((?:\s*\[\d{1,3}(?:\s*[,，、]\s*\d{1,3})*\])+)"
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_DENIES = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|nowhere|cannot|without|neither|nor|unable)\b|n['’]t\b|[不没沒無无未非勿别別]",
    re.IGNORECASE,
)


class SupportChecker:
    """Takes the text of a model piece by piece and yields the sentences that the passages support.

    Markers are the model's hint where to look. They are removed and written again, in order of first mention, one for
    each quoted span, so that a marker always has its citation.
    """

    def __init__(self, hits: Sequence[SearchHit], sections: Sequence[Sequence[int]] | None = None) -> None:
        """`sections` are the positions of the hits that a marker's number stands for; unset: each hit is one."""
        self._hits = hits
        self._sections = [[rank] for rank in range(len(hits))] if sections is None else sections
        self._terms = text_terms([hit.payload.text for hit in hits])
        self._buffer = ""
        self._citations: dict[tuple[int, int, int], Citation] = {}
        self._markdown: list[str] = []

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Everything cited so far, in order of number."""
        return tuple(self._citations.values())

    @property
    def markdown(self) -> str:
        """The sentences so far as Markdown."""
        return " ".join(self._markdown)

    def feed(self, text: str) -> Iterator[str]:
        """Supported sentences that are complete with this piece, markers included."""
        self._buffer = _AFTER_STOP.sub(r"\2\1", self._buffer + text)
        spans = split_sentences(self._buffer)
        # The last one may go on, and an opening bracket may be a marker of the one before it.
        if len(spans) < 2 or (self._buffer[spans[-1][0]] == "[" and len(self._buffer) < MAX_PENDING_CHARS):
            return
        complete = self._buffer[: spans[-1][0]]
        self._buffer = self._buffer[spans[-1][0] :]
        yield from self._supported(complete)

    def finish(self) -> Iterator[str]:
        """What is left when the model has ended."""
        rest, self._buffer = self._buffer, ""
        yield from self._supported(rest)

    def _supported(self, text: str) -> Iterator[str]:
        for start, end in split_sentences(text):
            sentence = text[start:end]
            named = [int(number) - 1 for group in _MARKERS.findall(sentence) for number in re.findall(r"\d+", group)]
            plain = display(_MARKERS.sub("", sentence))
            hinted = [rank for at in named if 0 <= at < len(self._sections) for rank in self._sections[at]]
            citation = self._find(plain, hinted)
            if citation is not None:
                # A model's stars are meant as bold; underscores belong to names such as `__init__`.
                self._markdown.append(_with_marker(escaped(plain).replace("_", r"\_"), citation.number))
                yield _with_marker(plain, citation.number)

    def _find(self, sentence: str, hinted: Sequence[int]) -> Citation | None:
        units = question_units(sentence)
        ranks = dict.fromkeys(hinted or [rank for section in self._sections for rank in section])
        ranked = sorted(ranks, key=lambda rank: -coverage(units, self._terms[rank]))
        for rank in ranked:
            if coverage(units, self._terms[rank]) < MIN_SUPPORT:
                return None
            if _numbers_in(sentence) <= _numbers_in(self._hits[rank].payload.text):
                start, end = self._quote(rank, sentence)
                # Words alone do not tell "is paid" from "is not paid".
                if not _DENIES.search(sentence) or _DENIES.search(self._hits[rank].payload.text[start:end]):
                    return self._cite(rank, start, end)
        return None

    def _quote(self, rank: int, sentence: str) -> tuple[int, int]:
        """The sentence of the passage that shares most with the answer's."""
        text = self._hits[rank].payload.text
        spans = split_sentences(text)
        units = question_units(sentence)
        terms = text_terms([text[start:end] for start, end in spans])
        best = max(range(len(spans)), key=lambda position: coverage(units, terms[position]))
        return spans[best]

    def _cite(self, rank: int, start: int, end: int) -> Citation:
        key = (rank, start, end)
        if key not in self._citations:
            self._citations[key] = cite(
                self._hits[rank], number=len(self._citations) + 1, rank=rank, start=start, end=end
            )
        return self._citations[key]


def _with_marker(sentence: str, number: int) -> str:
    """The marker goes before the final stop of English, after that of Chinese: where readers of each expect it."""
    return f"{sentence}[{number}]" if sentence[-1:] in "。！？；」』”）" else f"{sentence} [{number}]"


def _numbers_in(text: str) -> set[str]:
    return {number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text)}
