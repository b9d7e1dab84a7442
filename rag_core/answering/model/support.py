"""Check a written answer against the passages: a sentence that no passage supports is dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product

from rag_core.answering.citations import Citation, cite
from rag_core.answering.display import display, escaped
from rag_core.answering.model.claims import REPORTED, Kind, Token, tokens
from rag_core.answering.model.entailment import Evidence
from rag_core.answering.model.prompts import NO_ANSWER
from rag_core.answering.sentences import Span, split_sentences
from rag_core.retrieval.index import SearchHit

MAX_SENTENCES = 3
"""Adjacent sentences of a passage that one sentence of an answer may sum up."""

MAX_COMPARED = 24
"""Spans that one sentence is aligned with; fewer than three in texts that were written to be read."""

MAX_PENDING_CHARS = 2000
"""Text without a sentence end that is held back at most; it bounds the work on each piece."""

_MARKERS = re.compile(r"(?<!\s)\s*+\[(\d{1,3}(?:\s*+[,，、]\s*+\d{1,3})*+)\]")
_AFTER_STOP = re.compile(
    r"(?<![.!?。！？；])([.!?。！？；]++[\"'”’」』）)]*+)((?:\s*\[\d{1,3}(?:\s*[,，、]\s*\d{1,3})*\])+)"
)
_YES_OR_NO = re.compile(r"(?:yes|是的|可以|(?P<no>no|不是|不可以|不))\s*[,，.。:：]\s*", re.IGNORECASE)


class SupportChecker:
    """Takes the text of a model piece by piece and yields the sentences that the passages support.

    Markers are the model's hint where to look. They are removed and written again, in order of first mention, one for
    each quoted span, so that a marker always has its citation.
    """

    def __init__(self, hits: Sequence[SearchHit], sections: Sequence[Sequence[int]] | None = None) -> None:
        """`sections` are the positions of the hits that a marker's number stands for; unset: each hit is one."""
        self._hits = hits
        self._sections = [[rank] for rank in range(len(hits))] if sections is None else sections
        self._passages: dict[int, _Passage] = {}
        self._buffer = ""
        self._citations: dict[tuple[int, int, int], Citation] = {}
        self._markdown: list[str] = []
        self.dropped = False
        """True when a sentence was left out that is more than the word by which a model says that it has no answer."""

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
        """Yield the supported sentences of the rest, when the model has ended."""
        rest, self._buffer = self._buffer, ""
        yield from self._supported(rest)

    def _supported(self, text: str) -> Iterator[str]:
        for start, end in split_sentences(text):
            sentence = text[start:end]
            named = [int(number) - 1 for group in _MARKERS.findall(sentence) for number in re.findall(r"\d+", group)]
            plain = display(_MARKERS.sub("", sentence))
            hinted = [rank for at in named if 0 <= at < len(self._sections) for rank in self._sections[at]]
            # A document that was not given is no source, even if another one says the same.
            citation = None if named and not hinted else self._find(plain, hinted)
            if citation is not None:
                # A model's stars are meant as bold; underscores belong to names such as `__init__`.
                self._markdown.append(_with_marker(escaped(plain).replace("_", r"\_"), citation.number))
                yield _with_marker(plain, citation.number)
            elif NO_ANSWER not in plain:
                self.dropped = True

    def _find(self, sentence: str, hinted: Sequence[int]) -> Citation | None:
        """A citation of the fewest sentences that say it: of the sections that the model names, then of the others."""
        answer = _YES_OR_NO.match(sentence)
        said = sentence[answer.end() :] if answer else sentence
        reported = REPORTED.match(said)
        claim = tokens(said[reported.end() :] if reported else said)
        if answer and bool(answer["no"]) != any(token.kind is Kind.NEGATION for token in claim):
            return None
        others = [rank for section in self._sections for rank in section]
        ranks = list(dict.fromkeys([*hinted, *others]))
        compared = 0
        for some in (ranks[: len(set(hinted))], ranks[len(set(hinted)) :]):
            for length, rank in product(range(1, MAX_SENTENCES + 1), some):
                passage = self._passage(rank)
                for span in passage.spans_with(claim, length):
                    compared += 1
                    if passage.supports(claim, span):
                        return self._cite(rank, *passage.characters(span))
                    if compared == MAX_COMPARED:
                        return None
        return None

    def _passage(self, rank: int) -> _Passage:
        if rank not in self._passages:
            self._passages[rank] = _Passage(self._hits[rank])
        return self._passages[rank]

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


class _Passage:
    """The sentences of a passage as evidence; made when the first claim is compared with it."""

    def __init__(self, hit: SearchHit) -> None:
        payload = hit.payload
        self._spans = split_sentences(payload.text)
        self._tokens = [tokens(display(payload.text[start:end])) for start, end in self._spans]
        headings = " ".join((payload.title, *payload.headings))
        self._context = frozenset(token.key for token in tokens(headings))
        self._keys = [frozenset(token.key for token in sentence) for sentence in self._tokens]
        self._evidence: dict[Span, Evidence] = {}

    def spans_with(self, claim: Sequence[Token], length: int) -> Iterator[Span]:
        """Every span of so many adjacent sentences that has all words of a claim."""
        required = frozenset(token.key for token in claim) - self._context - {"may"}
        for first in range(len(self._spans) - length + 1):
            if required <= frozenset().union(*self._keys[first : first + length]):
                yield first, first + length

    def supports(self, claim: Sequence[Token], span: Span) -> bool:
        if span not in self._evidence:
            self._evidence[span] = Evidence.of(self._tokens[slice(*span)], self._context)
        return self._evidence[span].supports(claim)

    def characters(self, span: Span) -> Span:
        return self._spans[span[0]][0], self._spans[span[1] - 1][1]
