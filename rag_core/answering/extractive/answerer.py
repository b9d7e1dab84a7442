"""Answers made of the sources' own text: the passage that answers, whole and readable, with what answers marked.

The passages of the hybrid search are put in a better order (`ranking`), whether the first one answers is a calibrated
rule with three outcomes (`decision`), and each is shown with what stands around it, in whole blocks (`windows`,
`highlights`, `rendering`). Figures and method are in docs/retrieval-answers.md.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from rag_core.answering.base import (
    Abstained,
    Abstention,
    Answered,
    AnswerEvent,
    Delta,
    Message,
    Outcome,
    Question,
    StandaloneQuestion,
)
from rag_core.answering.citations import Citation, cite
from rag_core.answering.composing import in_thread
from rag_core.answering.conversation import carry_over, new_subject
from rag_core.answering.evidence import is_chinese
from rag_core.answering.extractive.decision import SHOWN, decide_outcome
from rag_core.answering.extractive.pointers import pointed_to
from rag_core.answering.extractive.question import Asked, understand
from rag_core.answering.extractive.ranking import POOL, Candidate, rank, rerank
from rag_core.answering.extractive.reading import Passage, passage_of
from rag_core.answering.extractive.rendering import CLOSEST, CLOSEST_ZH, Span, to_markdown, to_plain
from rag_core.answering.extractive.selection import select
from rag_core.answering.extractive.terms import NAMED, bag, corrected, naming, question_terms, vocabulary
from rag_core.answering.retrieval import place_around
from rag_core.retrieval.index import ChunkRange, SearchHit

MAX_SECTION_CHARS: Final = 200
"""Characters that are searched for of the first line of an answer, which names the section it is from."""
KEPT: Final = 0.75
"""Share of the question's words in a passage that points, from which the one behind its link replaces it."""
FOLLOWED: Final = 6
"""Passages of the section that the answer before showed, for a follow-up."""


class ExtractiveAnswerer:
    """Answer with quotes, without a model but the one that embeds. Safe for concurrent use."""

    def __init__(self, threshold: float = 0.0) -> None:
        """`threshold` is taken from the log odds that the evidence answers; higher answers less often."""
        self._threshold = threshold

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        outcome = await decide(question, self._threshold)
        if isinstance(outcome, Answered):
            own = [one for one in outcome.excerpts if not one.further]
            for part in to_plain(own, _lead(question, outcome.outcome)):
                yield Delta(part)
        yield outcome

    async def standalone(self, question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
        """Complete a follow-up with the words of the questions before it."""
        return carry_over(question, earlier)

    async def close(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class Ranking:
    """A question as it was read, with the passages in the order in which they answer."""

    asked: Asked
    hits: tuple[SearchHit, ...]
    passages: list[Passage]
    """Those of the hits."""
    candidates: list[Candidate]


async def rank_passages(question: Question) -> Ranking:
    """Retrieve again where a word was misspelt, compare, and rank. Raises what the question's functions raise."""
    text, hits = await _corrected(question)
    previous = question.previous if question.follow_up else ""
    subject = new_subject(question.follow_up)
    hits = await (_with_subject(question, subject, hits) if subject else _with_previous(question, previous, hits))
    hits = await _with_openings(question, text, hits)
    passages = [passage_of(hit) for hit in hits]
    asked = await in_thread(lambda: understand(text, [bag(one.searched) for one in passages], question.follow_up))
    candidates = await in_thread(rank, passages, asked, previous)
    if question.compare is not None:
        matches = await question.compare(text, [one.passage.text for one in candidates[:POOL]])
        candidates = rerank(candidates, matches)
    candidates.sort(key=lambda one: hits[one.rank].payload.doc_id not in question.pinned)
    return await _followed(question, Ranking(asked, hits, passages, candidates))


async def decide(question: Question, threshold: float = 0.0) -> Answered | Abstained:
    """Rank, decide on the outcome, and write the whole answer. Raises what the question's functions raise."""
    if not question.hits:
        return Abstained(Abstention.NO_RESULTS)
    ranking = await rank_passages(question)
    continued = await _continued(question, ranking)
    ranking = continued or ranking
    outcome = decide_outcome(ranking.asked, ranking.candidates, threshold)
    if outcome is Outcome.NOT_FOUND and question.pinned:
        outcome = Outcome.CLOSEST_PASSAGES
    if outcome is Outcome.NOT_FOUND:
        return Abstained(Abstention.NOT_SUPPORTED)
    around = await _around(question, ranking)
    passages = [*ranking.passages, *map(passage_of, around)]
    selected = await in_thread(select, ranking.asked, ranking.candidates, passages, outcome, SHOWN)
    citations, evidence = _citations(question, [*ranking.hits, *around], selected.cited)
    own = [one for one in selected.excerpts if not one.further]
    return Answered(
        citations,
        outcome=outcome,
        markdown=to_markdown(own, _lead(question, outcome)),
        excerpts=selected.excerpts,
        read_as=ranking.asked.text if ranking.asked.text not in (question.text, question.perhaps) else "",
        continued=continued is not None,
        evidence=evidence,
    )


async def _continued(question: Question, alone: Ranking) -> Ranking | None:
    """Return the ranking of a question with the words of those before it, when these bring its best passage nearer.

    Read with words that it does not mean, no passage is as near to it token by token.
    """
    own = alone.candidates[0].matches
    if not question.perhaps or question.search is None or own is None:
        return None
    hits = await question.search(question.perhaps, ())
    if not hits:
        return None
    joined = replace(question, text=question.perhaps, hits=hits, contrast=(), follow_up=question.text)
    ranking = await rank_passages(joined)
    theirs = ranking.candidates[0].matches
    return ranking if theirs is not None and theirs.whole() > own.whole() else None


async def _corrected(question: Question) -> tuple[str, tuple[SearchHit, ...]]:
    """Return the text and its hits, retrieved again when a word of the question had to be corrected."""
    hits = (*question.hits, *question.contrast)
    if question.search is None:
        return question.text, hits
    known = await in_thread(lambda: vocabulary(passage_of(hit).searched for hit in hits))
    text = await in_thread(corrected, question.text, known)
    if text == question.text:
        return text, hits
    return text, await question.search(text, ()) or hits


async def _with_subject(question: Question, subject: str, hits: tuple[SearchHit, ...]) -> tuple[SearchHit, ...]:
    """Add the hits for what a follow-up names instead of the subject before it, in turn with those for both.

    Cosines with another text cannot be compared with theirs.
    """
    if question.search is None:
        return hits
    found = await question.search(subject, ())
    known = {hit.chunk_id for hit in found}
    others = (replace(hit, dense=None) for hit in hits if hit.chunk_id not in known)
    return tuple(hit for pair in zip_longest(found, others) for hit in pair if hit is not None)


async def _with_previous(question: Question, previous: str, hits: tuple[SearchHit, ...]) -> tuple[SearchHit, ...]:
    """Add the hits for a follow-up within the section that the answer before it showed first."""
    lines = (line for line in previous.splitlines() if line.strip() and line not in (CLOSEST, CLOSEST_ZH))
    section = next(lines, "")[:MAX_SECTION_CHARS]
    if not section or question.search is None:
        return hits
    known = {hit.chunk_id for hit in hits}
    found = await question.search(f"{question.follow_up} {section}", ())
    return (*hits, *(hit for hit in found[:FOLLOWED] if hit.chunk_id not in known))


async def _with_openings(question: Question, text: str, hits: tuple[SearchHit, ...]) -> tuple[SearchHit, ...]:
    """Add the opening of the first page of the name that was asked for, behind the hit of that page."""
    terms = question_terms(text, [])
    page = next((hit for hit in hits if naming(terms, hit.payload.title) >= NAMED), None)
    if page is None or question.around is None:
        return hits
    known = {hit.chunk_id for hit in hits}
    read = await question.around([ChunkRange(page.payload.doc_id, page.payload.version, 0, 1)])
    at = hits.index(page) + 1
    return (*hits[:at], *(hit for hit in read if hit.chunk_id not in known), *hits[at:])


async def _followed(question: Question, ranking: Ranking) -> Ranking:
    """Put the best passages of the document that the best one only points to in its place, one step far."""
    best = ranking.candidates[0]
    named = await in_thread(pointed_to, ranking.asked, best)
    if not named or question.search is None:
        return ranking
    own = ranking.hits[best.rank].payload
    found = await question.search(ranking.asked.text, named)
    behind = [hit for hit in found if hit.payload.source == own.source and hit.payload.doc_id != own.doc_id][:POOL]
    passages = [passage_of(hit) for hit in behind]
    followed = await in_thread(rank, passages, ranking.asked)
    if not followed or followed[0].features["words"] < KEPT * best.features["words"]:
        return ranking  # not indexed or not visible, in another language, or about something else
    if question.compare is not None:
        followed = rerank(followed, await question.compare(ranking.asked.text, [one.passage.text for one in followed]))
    for one in followed:
        one.rank += len(ranking.hits)
    return Ranking(
        ranking.asked,
        (*ranking.hits, *behind),
        [*ranking.passages, *passages],
        [*followed[:1], *ranking.candidates[1:], *followed[1:]],
    )


async def _around(question: Question, ranking: Ranking) -> tuple[SearchHit, ...]:
    """Read the chunks before and behind those that are shown."""
    if question.around is None:
        return ()
    known = {hit.chunk_id for hit in ranking.hits}
    places = [place_around(ranking.hits[one.rank]) for one in ranking.candidates[:SHOWN]]
    return tuple(hit for hit in await question.around(places) if hit.chunk_id not in known)


def _citations(
    question: Question, hits: Sequence[SearchHit], cited: Sequence[Span]
) -> tuple[tuple[Citation, ...], tuple[SearchHit, ...]]:
    """Make a citation of each span, and list the cited passages that are no hits of the question."""
    ranks = {hit.chunk_id: rank for rank, hit in enumerate(question.hits)}
    evidence: list[SearchHit] = []
    citations = []
    for number, (at, start, end) in enumerate(cited, start=1):
        hit = hits[at]
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
