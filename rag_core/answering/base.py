"""The answerer interface. Implementations: `extractive` (default), `model`.

An answer is text with markers `[n]`, n from 1, and one citation for each number. What a citation quotes is always a
span of a retrieved passage: `document.text[start:end] == quote`.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from rag_core.answering.citations import Citation
from rag_core.answering.late_interaction import Compare
from rag_core.answering.pages import PageKind
from rag_core.errors import Reason
from rag_core.http_client import EgressPolicy
from rag_core.retrieval.index import ChunkRange, SearchHit

SearchAgain = Callable[[str, Sequence[str]], Awaitable[tuple[SearchHit, ...]]]
"""Hits for another text, of documents with one of these locators when any are named."""
ReadAround = Callable[[Sequence[ChunkRange]], Awaitable[tuple[SearchHit, ...]]]
"""The chunks at places of documents, with a score of 0."""


class Outcome(StrEnum):
    """Confidence of an answer."""

    ANSWERED = "ANSWERED"
    """The question is answered."""
    CLOSEST_PASSAGES = "CLOSEST_PASSAGES"
    """The best matches are shown: they may answer, and nobody says that they do."""
    NOT_FOUND = "NOT_FOUND"
    """There is no answer: `Abstained`."""


class Abstention(StrEnum):
    """Reason that there is no answer."""

    NO_RESULTS = "NO_RESULTS"
    """Nothing that the caller may see matched."""
    NOT_SUPPORTED = "NOT_SUPPORTED"
    """Passages were found, none answers."""


class Role(StrEnum):
    """Author of a message."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """An earlier message of a conversation. What an assistant said quotes documents: untrusted, as they are."""

    role: Role
    text: str


class StandaloneBy(StrEnum):
    """The way in which a question came to stand alone."""

    ASKED = "asked"
    """It does so as it was asked."""
    MODEL = "model"
    """A model rewrote it from the conversation."""
    WORDS = "words"
    """The words of the questions before it were added."""


CURATED: Final = "curated"
"""The name of editors as the author of an answer."""
NOTHING_LEAVES: Final = EgressPolicy(frozenset())


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the passages to answer it from, in descending relevance.

    `contrast` are the hits after them, which the caller is not shown as hits. `compare` compares the question with
    passages token by token, where the model can; `search` and `around` read more, within what the caller may see.
    `egress` is the policy of the caller's tenant, which passages for an endpoint must pass. `deadline` is the caller's,
    by `time.monotonic`. Of a follow-up that was completed by the words of questions before it, `follow_up` is what was
    asked, and `previous` the answer that it follows on: untrusted text. `perhaps` is as of `StandaloneQuestion`. With
    `progress` the caller wants `Writing` events. Documents that editors `pinned` are shown first.
    """

    text: str
    hits: tuple[SearchHit, ...]
    contrast: tuple[SearchHit, ...] = ()
    compare: Compare | None = None
    search: SearchAgain | None = None
    around: ReadAround | None = None
    deadline: float | None = None
    egress: EgressPolicy = NOTHING_LEAVES
    progress: bool = False
    follow_up: str = ""
    previous: str = ""
    perhaps: str = ""
    pinned: frozenset[uuid.UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that a model read and wrote, as its endpoint counts them, and their cost at the prices of the settings."""

    prompt: int
    completion: int
    cost: float | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class StandaloneQuestion:
    """A question that can be understood without its conversation. `text` is as asked with `StandaloneBy.ASKED`.

    `perhaps` has the words of the questions before it, where only the passages can tell whether it continues them.
    """

    text: str
    by: StandaloneBy = StandaloneBy.ASKED
    tokens: Tokens | None = None
    perhaps: str = ""


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """The author of an answer. `instead_because` is why it was not the configured model, `None` when it was.

    `first_token` is the time in seconds until the model's first words.
    """

    answerer: str = "extractive"
    model: str = ""
    instead_because: Reason | None = None
    first_token: float | None = None


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """`text[start:end]`, in code points."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A readable piece of one document. `markdown` and `text` hold the markers of `citations`, without the headings.

    `page` is 0 where the format has no pages. `highlights` are the spans of `text` that answer, bold in `markdown`.
    `further`: not part of the answer, shown when the reader asks for more.
    """

    title: str
    locator: str
    heading_path: tuple[str, ...]
    page: int
    markdown: str
    text: str
    citations: tuple[int, ...]
    page_kind: PageKind = PageKind.PAGE
    highlights: tuple[AnswerSpan, ...] = ()
    further: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The end of an answer: what each marker refers to, in order of number, without gaps.

    `markdown` is the whole answer in that form, `read_as` the question as it was corrected (empty: as it was asked),
    and `evidence` the cited passages that are not among the question's hits. `continued`: it was read as its `perhaps`.
    `excerpts` are the places that an answer of quotes is made of; a written one has none.
    """

    citations: tuple[Citation, ...]
    tokens: Tokens | None = None
    outcome: Outcome = Outcome.ANSWERED
    markdown: str = ""
    excerpts: tuple[Excerpt, ...] = ()
    read_as: str = ""
    continued: bool = False
    evidence: tuple[SearchHit, ...] = ()
    answered_by: AnsweredBy = AnsweredBy()


@dataclass(frozen=True, slots=True)
class Abstained:
    """The end without an answer. No delta came before it that a client may use. Tokens may have been spent on it.

    `dropped` says that a model wrote sentences, none of which a passage supports.
    """

    reason: Abstention
    tokens: Tokens | None = None
    answered_by: AnsweredBy = AnsweredBy()
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Writing:
    """A model has written no sentence yet. `quotes` is what an answer without one shows, `None` while there is none."""

    model: str
    quotes: Answered | None = None


AnswerEvent = Writing | Delta | Answered | Abstained


class Answerer(Protocol):
    """Writes an answer from passages."""

    def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        """Deltas, then exactly one `Answered` or `Abstained`.

        Raises `Unavailable` (`ANSWERER_UNAVAILABLE`) when a remote model fails, `DeadlineExceeded` when it takes longer
        than its own limit, and `PermissionDenied` (`EGRESS_FORBIDDEN`) when it may be sent no passage.
        """
        ...

    async def standalone(self, question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
        """The question as it is understood after earlier messages, oldest first. Raises as `answer`.

        Whose conversation it is, `rag_core.http_client.sending` says around the call.
        """
        ...

    async def close(self) -> None: ...
