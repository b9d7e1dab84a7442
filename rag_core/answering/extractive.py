"""Answers made of the sources' own text: retrieve, correct, read around, choose, decide, show.

A question is understood by its form (`asking`), its words are matched with those of the passages (`terms`), the
passages and what stands around them are read as typed units (`passages`, `units`), the best of which are compared by
words, headings and meaning (`choosing`). Whether the best one answers is a calibrated rule with three outcomes
(`decision`), and what is shown of its section depends on the kind of block (`excerpts`, `rendering`). Where the words
say nothing, because question and documents are in different languages, `across` compares meanings instead. Figures
and method are in docs/retrieval-answers.md.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from rag_core.answering import across
from rag_core.answering.asking import Wants, understand
from rag_core.answering.base import (
    Abstained,
    Abstention,
    Answered,
    AnswerEvent,
    Delta,
    Message,
    Outcome,
    Question,
    SearchAgain,
    StandaloneQuestion,
)
from rag_core.answering.block_pieces import Piece, PieceKind
from rag_core.answering.choosing import POOL, Choice, choose
from rag_core.answering.citations import Citation, cite
from rag_core.answering.composing import in_thread
from rag_core.answering.conversation import carry_over
from rag_core.answering.decision import judge
from rag_core.answering.excerpts import Extract, extracts_of, suits
from rag_core.answering.pages import page_kind
from rag_core.answering.passages import Passage, nearest, passage_of, read
from rag_core.answering.rendering import CLOSEST, CLOSEST_ZH, Span, render, to_markdown, to_plain
from rag_core.answering.retrieval import place_around
from rag_core.answering.terms import bags, content_words, corrected, question_terms, vocabulary
from rag_core.answering.units import is_chinese
from rag_core.content.embedding import Vectors
from rag_core.retrieval.index import SearchHit

AROUND: Final = 6
"""Hits whose neighbours are read."""
AROUND_CHARS: Final = 40_000
"""Characters read around all hits, some 10,000 tokens of English; chunks of the default size stay below."""
ENTRIES: Final = 4
_ENTRIES: Final = (
    "README", "index", "tutorial", "quickstart", "getting-started", "overview", "introduction", "install", "INSTALL",
    "faq", "FAQ", "changelog", "CHANGELOG",
)  # fmt: skip
ENTRY_NAMES: Final = tuple(
    f"{folder}{name}{ending}"
    for folder, name, ending in product(("", "docs/"), _ENTRIES, (".md", ".rst", ".txt", ".html", ""))
)
"""Pages that introduce a corpus, read for a question that names nothing."""
_POINTS: Final = re.compile(r"\b(?:it|its|it's|this|that|these|they|everything|here)\b", re.IGNORECASE)


class ExtractiveAnswerer:
    """Quotes; needs no model but the one that embedded the question. Safe for concurrent use."""

    def __init__(self, threshold: float = 0.0) -> None:
        """`threshold` is taken from the log odds that the evidence answers; higher answers less often."""
        self._threshold = threshold

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        outcome = await decide(question, self._threshold)
        if isinstance(outcome, Answered):
            for part in to_plain(outcome.excerpts, _lead(question, outcome.outcome)):
                yield Delta(part)
        yield outcome

    async def standalone(self, question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
        """By the words of the questions before it."""
        return carry_over(question, earlier)

    async def close(self) -> None:
        return


@dataclass(slots=True)
class Found:
    """What a question is answered from: passages in the order in which they were retrieved, then those around them."""

    text: str
    hits: list[SearchHit]
    around: tuple[SearchHit, ...] = ()
    entries: frozenset[int] = frozenset()

    @property
    def all(self) -> list[SearchHit]:
        return [*self.hits, *self.around]


@dataclass(frozen=True, slots=True)
class Weighed:
    """A question with the units that could answer it, in falling order. `vague`: it names nothing to look for."""

    choice: Choice
    found: Found
    vague: bool


async def weigh(question: Question, *, pool_size: int = POOL) -> Weighed:
    """Retrieve, read around, and rank the units. Raises what the question's functions raise."""
    vague = names_nothing(question.text)
    found, vector = await _retrieved(question)
    if vague and question.search is not None:
        await _add_entries(question.search, found)
    await _read_around(question, found)
    passages = [passage_of(hit) for hit in found.all]
    asked = understand(question.text)
    terms = await in_thread(question_terms, found.text, bags(map(_seen, passages[: len(found.hits)])))
    if vague and not has_content(found.text):
        terms = []
    choice = await choose(
        found.text, asked, terms, read(passages), hits=len(found.hits), vector=vector, embed=question.embed,
        entries=found.entries, pool_size=pool_size,
    )  # fmt: skip
    return Weighed(choice, found, vague)


async def decide(question: Question, threshold: float = 0.0) -> Answered | Abstained:
    """The whole answer. Raises what the question's functions raise."""
    if not question.hits:
        return Abstained(Abstention.NO_RESULTS)
    weighed = await weigh(question)
    choice, found = weighed.choice, weighed.found
    outcome = judge(choice, vague=weighed.vague, threshold=threshold).outcome
    if _unknown(choice):
        if outcome is Outcome.ANSWERED:  # by meaning alone, which is not enough
            outcome = Outcome.CLOSEST_PASSAGES
        texts = [hit.payload.text for hit in question.hits[: across.MAX_PASSAGES]]
        foreign = across.other_language(question.text, texts)
        if foreign and (quoted := await across.compose(question, threshold)):
            return _answered(question, list(question.hits), _quoted(question, quoted.citations), quoted.outcome, "")
    extracts = await in_thread(shown, choice, outcome)
    if outcome is Outcome.ANSWERED and not suits(choice, extracts[0]):
        outcome = Outcome.CLOSEST_PASSAGES
        extracts = await in_thread(shown, choice, outcome)
    if not extracts:
        return Abstained(Abstention.NOT_SUPPORTED)
    read_as = found.text if found.text != question.text else ""
    return _answered(question, found.all, extracts, outcome, read_as)


async def _retrieved(question: Question) -> tuple[Found, Vectors | None]:
    """The passages; searched for again when a word of the question had to be corrected."""
    hits = [*question.hits, *question.contrast]
    known = await in_thread(lambda: vocabulary(_seen(passage_of(hit)) for hit in hits))
    text = await in_thread(corrected, question.text, known)
    if text == question.text or question.search is None:
        return Found(text, hits), question.vector
    again, vector = await question.search(text, ())
    return Found(text, list(again) or hits), vector


async def _add_entries(search: SearchAgain, found: Found) -> None:
    """Add passages of the pages that introduce a corpus: the best few, and their beginnings."""
    pages, _ = await search(found.text, ENTRY_NAMES)
    openings = [hit for hit in pages if hit.payload.ordinal == 0]
    known = {hit.chunk_id: at for at, hit in enumerate(found.hits)}
    for hit in (*pages[:ENTRIES], *openings[:ENTRIES]):
        if hit.chunk_id not in known:
            known[hit.chunk_id] = len(found.hits)
            found.hits.append(hit)
        found.entries |= {known[hit.chunk_id]}


async def _read_around(question: Question, found: Found) -> None:
    if question.around is None:
        return
    places = [place_around(hit) for hit in found.hits[:AROUND]]
    known = {hit.chunk_id for hit in found.hits}
    near = {hit.chunk_id: hit for hit in await question.around(places) if hit.chunk_id not in known}
    found.around = nearest(near.values(), found.hits[:AROUND], AROUND_CHARS)


def shown(choice: Choice, outcome: Outcome) -> list[Extract]:
    """The places that are shown for an outcome."""
    if outcome is Outcome.NOT_FOUND:
        return []
    if outcome is Outcome.CLOSEST_PASSAGES:
        return extracts_of(choice, limit=3, share=0.0)
    prose = not choice.ranked[0].unit.path
    compared = choice.asked.wants is Wants.COMPARISON
    return extracts_of(choice, limit=3 if prose else 2, share=0.7 if compared else 0.75 if prose else 0.88)


def _unknown(choice: Choice) -> bool:
    """Whether the passages know hardly a word of the question."""
    total = sum(term.weight for term in choice.terms)
    return bool(total) and sum(term.weight for term in choice.terms if term.known) <= across.KNOWN * total


def _quoted(question: Question, citations: Sequence[Citation]) -> list[Extract]:
    extracts = []
    for one in citations:
        payload = question.hits[one.rank].payload
        piece = Piece(PieceKind.TEXT, one.rank, one.start, one.end, one.quote)
        kind = page_kind(payload.media_type)
        extracts.append(Extract(payload.title, payload.locator, payload.headings, payload.page, (piece,), kind))
    return extracts


def _answered(
    question: Question, passages: Sequence[SearchHit], shown: Sequence[Extract], outcome: Outcome, read_as: str
) -> Answered:
    excerpts, cited = render(shown)
    citations, evidence = _citations(question, passages, cited)
    markdown = to_markdown(excerpts, _lead(question, outcome))
    return Answered(
        citations, outcome=outcome, markdown=markdown, excerpts=tuple(excerpts), read_as=read_as, evidence=evidence
    )


def _citations(
    question: Question, passages: Sequence[SearchHit], cited: Sequence[Span]
) -> tuple[tuple[Citation, ...], tuple[SearchHit, ...]]:
    """A citation for each span, and the passages among them that are no hits of the question."""
    ranks = {hit.chunk_id: rank for rank, hit in enumerate(question.hits)}
    evidence: list[SearchHit] = []
    citations = []
    for number, (at, start, end) in enumerate(cited, start=1):
        hit = passages[at]
        if hit.chunk_id not in ranks:
            ranks[hit.chunk_id] = len(question.hits) + len(evidence)
            evidence.append(hit)
        origin = hit.payload.start
        citations.append(cite(hit, number=number, rank=ranks[hit.chunk_id], start=start - origin, end=end - origin))
    return tuple(citations), tuple(evidence)


def _lead(question: Question, outcome: Outcome) -> str:
    if outcome is not Outcome.CLOSEST_PASSAGES:
        return ""
    return CLOSEST_ZH if is_chinese(question.text) else CLOSEST


def names_nothing(question: str) -> bool:
    """Whether a question points at "it" or "this" and has at most one word that could be looked for."""
    if is_chinese(question):
        return False
    words = content_words(question)
    return not words or (_POINTS.search(question) is not None and len(words) <= 1)


def has_content(question: str) -> bool:
    """Whether a question has a word that could be looked for."""
    return is_chinese(question) or bool(content_words(question))


def _seen(passage: Passage) -> str:
    name = re.sub(r"[-_/.]", " ", passage.locator)
    return "\n".join((passage.title, name, *passage.headings, passage.text))
