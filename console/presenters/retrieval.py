"""Settings of a search, why its passages are where they are, and two searches compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from console.i18n import N_
from console.presenters.answers import passage_rows, source_filter
from console.presenters.formats import plain
from ragproto.query.v2 import curation_pb2, query_pb2

Sentence = tuple[str, dict[str, object]]
"""A sentence of `SENTENCES` and the values for its braces."""

# --------------------------------------------------------------------------------------------------------------------
# Settings and filters.

MODES = {
    "hybrid": query_pb2.SEARCH_MODE_HYBRID,
    "dense": query_pb2.SEARCH_MODE_DENSE,
    "lexical": query_pb2.SEARCH_MODE_LEXICAL,
}
MODE_NAMES = N_(
    {
        "hybrid": "hybrid: by meaning and by words",
        "dense": "dense: by meaning only",
        "lexical": "lexical: by words only",
    }
)
RERANK = N_({"default": "as the server does", "on": "on", "off": "off"})
AUTOMATIC = "automatic"
SHARES = (AUTOMATIC, *(str(share) for share in range(0, 101, 10)))
"""Choices for the share of the lexical leg, in percent."""


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """Settings of a search. `words` is the share of the lexical leg in percent, or `AUTOMATIC`."""

    mode: str = "hybrid"
    words: str = AUTOMATIC
    generation: str = ""
    rerank: str = "default"
    top_k: int = 10

    def fields(self) -> dict[str, Any]:
        """As fields of a search or answer request."""
        fields: dict[str, Any] = {"mode": MODES[self.mode], "top_k": self.top_k, "generation": self.generation}
        if self.mode == "hybrid" and self.words != AUTOMATIC:
            share = int(self.words) / 100
            fields["weights"] = query_pb2.LegWeights(dense=1 - share, lexical=share)
        if self.rerank != "default":
            fields["rerank"] = self.rerank == "on"
        return fields


def narrowing(
    sources: Sequence[str], language: str, changed_since: date | None, metadata: str
) -> query_pb2.Filter | None:
    """All conditions together, `None` for no narrowing. `metadata` is `field=value` or empty."""
    found = []
    if (chosen := source_filter(sources, language)) is not None:
        found.append(chosen)
    if changed_since is not None:
        time = query_pb2.Filter(time=query_pb2.Filter.TimeRange(field="updated_at"))
        time.time.gte.FromDatetime(datetime(changed_since.year, changed_since.month, changed_since.day, tzinfo=UTC))
        found.append(time)
    name, equals, value = metadata.partition("=")
    if equals and name.strip() and value.strip():
        field = f"metadata.{name.strip().removeprefix('metadata.')}"
        found.append(query_pb2.Filter(eq=query_pb2.Filter.Eq(field=field, value=value.strip())))
    return together(found)


def together(conditions: Sequence[query_pb2.Filter]) -> query_pb2.Filter | None:
    """All conditions as one, `None` for none."""
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return query_pb2.Filter(all=query_pb2.Filter.Group(conditions=conditions))


def is_incomplete(metadata: str) -> bool:
    """Return whether a condition on metadata was begun and is not `field=value`."""
    name, _, value = metadata.partition("=")
    return bool(metadata.strip()) and not (name.strip() and value.strip())


# --------------------------------------------------------------------------------------------------------------------
# Scores in words.

SENTENCES = N_(
    {
        "hybrid_computed": "Hybrid search. By what the legs found for this question, meaning has {dense} of the weight"
        " and words {lexical}.",
        "hybrid_given": "Hybrid search. As you set it, meaning has {dense} of the weight and words {lexical}.",
        "dense": "By meaning only: the score is the cosine of question and passage.",
        "no_words": "The text has no words to look for, so it was searched by meaning only.",
        "lexical": "By words only: the score is BM25.",
        "reranked": "A reranker put the best of them in order.",
        "sum": "Place {rank} of retrieval, score {score} = {dense} by meaning + {lexical} by words.",
        "clipped": "Place {rank} of retrieval, score {score}: {dense} by meaning + {lexical} by words, kept within 0"
        " and 1.",
        "dated": "Newer documents are preferred: it is of {date}, which makes {score}.",
        "undated": "Newer documents are preferred: it has no date, which makes {score}.",
        "curated": "An editor prefers its document: {score} is added.",
        "place": "Place {rank} of retrieval, score {score}.",
        "near": "By meaning: number {rank} among the candidates (cosine {cosine}).",
        "far": "By meaning: not among the candidates (cosine {cosine}).",
        "words": "By words: number {rank} among the candidates (BM25 {score}).",
        "words_found": "By words: number {rank} among the candidates (BM25 {score}), for {words}.",
        "no_match": "By words: not among the candidates.",
        "moved_up": "The reranker moved it up from place {before} to {rank} (its score: {score}).",
        "moved_down": "The reranker moved it down from place {before} to {rank} (its score: {score}).",
        "stayed": "The reranker left it at place {rank} (its score: {score}).",
    }
)


def search_sentences(request: query_pb2.SearchRequest, found: query_pb2.SearchResponse) -> list[Sentence]:
    """Return how the search was done, as sentences."""
    if not found.HasField("explanation") or not found.passages:
        return []
    explained, said = found.explanation, list[Sentence]()
    if explained.HasField("weights"):
        shares = {"dense": f"{explained.weights.dense:.0%}", "lexical": f"{explained.weights.lexical:.0%}"}
        said.append((SENTENCES["hybrid_given" if explained.weights_given else "hybrid_computed"], {**shares}))
    elif explained.mode == query_pb2.SEARCH_MODE_LEXICAL:
        said.append((SENTENCES["lexical"], {}))
    else:
        said.append((SENTENCES["dense" if request.mode == query_pb2.SEARCH_MODE_DENSE else "no_words"], {}))
    if explained.reranked:
        said.append((SENTENCES["reranked"], {}))
    return said


CURATED = N_(
    {
        curation_pb2.CURATION_ACTION_ANSWER: "{owner} wrote this answer to “{question}”.",
        curation_pb2.CURATION_ACTION_PIN: "{owner} put a document first for “{question}”.",
        curation_pb2.CURATION_ACTION_BOOST: "{owner} prefers a document for “{question}”.",
        curation_pb2.CURATION_ACTION_HIDE: "{owner} left a document out for “{question}”.",
    }
)


def passage_sentences(passage: query_pb2.Passage, rank: int) -> list[Sentence]:
    """Return why a passage has its rank, as sentences; empty without an explanation."""
    if not passage.HasField("explanation"):
        return []
    why = passage.explanation
    score = f"{passage.retrieval_score:.3f}"
    fused = why.dense_part or why.lexical_part
    parts: dict[str, object] = {"dense": f"{why.dense_part:.3f}", "lexical": f"{why.lexical_part:.3f}"} if fused else {}
    added = "sum" if 0 <= why.dense_part + why.lexical_part <= 1 else "clipped"
    said: list[Sentence] = [
        (SENTENCES[added if fused else "place"], {"rank": why.retrieval_rank, "score": score} | parts)
    ]
    cosine = f"{passage.dense_score:.3f}"
    if why.HasField("dense_rank"):
        said.append((SENTENCES["near"], {"rank": why.dense_rank, "cosine": cosine}))
    elif fused:
        said.append((SENTENCES["far"], {"cosine": cosine}))
    if why.HasField("lexical_rank"):
        words: dict[str, object] = {"rank": why.lexical_rank, "score": f"{passage.lexical_score:.2f}"}
        marked = ", ".join(found_words(passage))
        said.append((SENTENCES["words_found" if marked else "words"], words | ({"words": marked} if marked else {})))
    elif fused:
        said.append((SENTENCES["no_match"], {}))
    if why.freshness_part:
        date = f"{why.dated_at.ToDatetime():%Y-%m-%d}" if why.HasField("dated_at") else ""
        aged: dict[str, object] = {"score": f"{why.freshness_part:+.3f}", "date": date}
        said.append((SENTENCES["dated" if date else "undated"], aged))
    if why.curated_part:
        said.append((SENTENCES["curated"], {"score": f"{why.curated_part:.3f}"}))
    if passage.HasField("rerank_score"):
        before = why.retrieval_rank
        name = "stayed" if before == rank else "moved_up" if before > rank else "moved_down"
        moved: dict[str, object] = {"rank": rank, "score": f"{passage.rerank_score:.3f}"}
        said.append((SENTENCES[name], moved if name == "stayed" else moved | {"before": before}))
    return said


def found_words(passage: query_pb2.Passage) -> list[str]:
    """The words of the question in a passage, each once, as they stand there."""
    marked = [passage.text[span.start : span.end] for span in passage.highlights]
    return list({plain(word).lower(): plain(word) for word in reversed(marked)}.values())[::-1]


def explained_rows(passages: Sequence[query_pb2.Passage]) -> list[dict[str, Any]]:
    """One row for each passage with the ranks and parts of its score."""
    rows = passage_rows(passages)
    for row, item in zip(rows, passages, strict=True):
        why = item.explanation
        row["dense_rank"] = why.dense_rank if why.HasField("dense_rank") else None
        row["lexical_rank"] = why.lexical_rank if why.HasField("lexical_rank") else None
        row["reranked"] = round(item.rerank_score, 4) if item.HasField("rerank_score") else None
        row["before"] = why.retrieval_rank or None
    return rows


# --------------------------------------------------------------------------------------------------------------------
# Two searches side by side.


@dataclass(frozen=True, slots=True)
class SearchComparison:
    """Passages of two searches: how many are in both, at another place, and in one only."""

    both: int
    moved: int
    only_first: int
    only_second: int


def compare(first: Sequence[query_pb2.Passage], second: Sequence[query_pb2.Passage]) -> SearchComparison:
    """Count what differs between two results."""
    ours, theirs = _places(first, second), _places(second, first)
    both = [(rank, other) for rank, other in enumerate(ours, 1) if other is not None]
    return SearchComparison(len(both), sum(rank != other for rank, other in both), ours.count(None), theirs.count(None))


def compared_rows(ours: Sequence[query_pb2.Passage], theirs: Sequence[query_pb2.Passage]) -> list[dict[str, Any]]:
    """Passages of one side; `moved` says where they are on the other side."""
    rows = passage_rows(ours)
    for row, place in zip(rows, _places(ours, theirs), strict=True):
        row["moved"] = "–" if place is None else _arrow(row["rank"], place)
    return rows


def _arrow(rank: int, other: int) -> str:
    """The place on the other side, and whether this side has it higher or lower."""
    return f"= #{other}" if rank == other else f"▲ #{other}" if rank < other else f"▼ #{other}"


def _places(ours: Sequence[query_pb2.Passage], theirs: Sequence[query_pb2.Passage]) -> list[int | None]:
    """The place of each passage on the other side."""
    there = {(item.doc_id, item.start, item.end): rank for rank, item in reversed(list(enumerate(theirs, 1)))}
    # Another chunker cuts elsewhere: then the best passage that overlaps stands for it.
    return [there.get((item.doc_id, item.start, item.end)) or _overlapping(item, theirs) for item in ours]


def _overlapping(item: query_pb2.Passage, others: Sequence[query_pb2.Passage]) -> int | None:
    for rank, other in enumerate(others, 1):
        if other.doc_id == item.doc_id and other.start < item.end and item.start < other.end:
            return rank
    return None
