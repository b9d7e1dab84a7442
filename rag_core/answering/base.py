"""The answerer interface. Implementations: `extractive` (default), `openai_http`.

An answer is text with markers `[n]`, n from 1, and one citation for each number. What a citation quotes is always a
span of a retrieved passage: `document.text[start:end] == quote`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rag_core.embedding import Vectors
from rag_core.errors import RagError, Reason
from rag_core.index import Hit

EmbedPassages = Callable[[Sequence[str]], Awaitable[Vectors]]


class Outcome(StrEnum):
    """How sure an answer is."""

    ANSWERED = "ANSWERED"
    """The question is answered."""
    CLOSEST_PASSAGES = "CLOSEST_PASSAGES"
    """Not sure: the nearest places are shown instead of an answer."""
    NOT_FOUND = "NOT_FOUND"
    """There is no answer: `Abstained`."""


class Abstention(StrEnum):
    """Why there is no answer."""

    NO_RESULTS = "NO_RESULTS"
    """Nothing that the caller may see matched."""
    NOT_SUPPORTED = "NOT_SUPPORTED"
    """Passages were found, none answers."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to answer, and from what: hits in descending relevance, and the query's vector (shape [dimensions]).

    `contrast` are the hits after them. They are never quoted; they show what an unrelated passage scores, without which
    a question for one passage could not be judged. `embed` makes passage vectors with the model of `vector`.
    """

    text: str
    hits: tuple[Hit, ...]
    vector: Vectors | None = None
    contrast: tuple[Hit, ...] = ()
    embed: EmbedPassages | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """The evidence of marker `[number]`: `[start, end)` in the text of the document of `hits[rank]`."""

    number: int
    rank: int
    start: int
    end: int
    quote: str


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a model read and wrote, as its endpoint counts."""

    prompt: int
    completion: int


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A readable piece of one document. `markdown` and `text` hold the markers of `citations`, without the headings.

    `page` is 0 where the format has no pages.
    """

    title: str
    locator: str
    heading_path: tuple[str, ...]
    page: int
    markdown: str
    text: str
    citations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """The end of an answer: what each marker refers to, in order of number, without gaps.

    `markdown` is the text of the deltas as Markdown, and `read_as` the question when a word of it was corrected.
    """

    citations: tuple[Citation, ...]
    tokens: Tokens | None = None
    outcome: Outcome = Outcome.ANSWERED
    markdown: str = ""
    excerpts: tuple[Excerpt, ...] = ()
    read_as: str = ""


@dataclass(frozen=True, slots=True)
class Abstained:
    """The end without an answer. No delta came before it that a client may use. Tokens may have been spent on it."""

    reason: Abstention
    tokens: Tokens | None = None


AnswerEvent = Delta | Answered | Abstained


class Answerer(Protocol):
    """Writes an answer from passages."""

    def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        """Deltas, then exactly one `Answered` or `Abstained`.

        Raises `Unavailable` (`ANSWERER_UNAVAILABLE`) when a remote model fails, `DeadlineExceeded` when it takes longer
        than its own limit.
        """
        ...

    async def close(self) -> None: ...


def cite(hit: Hit, *, number: int, rank: int, start: int, end: int) -> Citation:
    """A citation of `hit.payload.text[start:end]`, moved to the coordinates of the document.

    Raises `ValueError` when the span is empty or leaves the passage: a bug of the answerer, never bad input.
    """
    payload = hit.payload
    if not 0 <= start < end <= len(payload.text):
        raise ValueError(f"span [{start}, {end}) is not within the passage")
    return Citation(number, rank, payload.start + start, payload.start + end, payload.text[start:end])


# --------------------------------------------------------------------------------------------------------------------
# The last check on an answer before its citations leave: each must be a span of what was retrieved.


def check_citations(citations: Sequence[Citation], hits: Sequence[Hit]) -> None:
    """Raise `RagError` (`CITATION_INVALID`) unless the numbers run from 1 and every quote is its span's own text."""
    for expected, citation in enumerate(citations, start=1):
        if citation.number != expected or not 0 <= citation.rank < len(hits) or not _holds(citation, hits):
            raise RagError(Reason.CITATION_INVALID, "the answer cited what was not retrieved; ask again")


def _holds(citation: Citation, hits: Sequence[Hit]) -> bool:
    payload = hits[citation.rank].payload
    start, end = citation.start - payload.start, citation.end - payload.start
    return 0 <= start < end <= len(payload.text) and payload.text[start:end] == citation.quote
