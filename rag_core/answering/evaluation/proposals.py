"""Questions that feedback and headings propose. Nothing is asked of them before an operator accepts one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Row

from rag_core.answering.evaluation import feedback_store, question_store
from rag_core.answering.evaluation.feedback_store import Judgement
from rag_core.answering.evaluation.question_store import Origin, StoredQuestion

GENERATED = "generated"
"""The tag of a question that nobody asked: it is made from a heading."""
_SCANNED = 20_000
"""Headings that are read for one call."""
_LEAST, _MOST = 8, 120
"""Width of a heading that says what its section is about; a Chinese character counts twice."""
_CJK_START = "\u2e80"


def propose_from_rating(connection: Connection, tenant: str, rating: int, judgement: Judgement) -> int:
    """Propose the rated question; returns how many are new.

    The right document is where the answer is; else, of a helpful answer, the first cited ones. With neither, the
    operator who accepts the question says what its answer is.
    """
    chosen = judgement.answer_doc_ids
    known = feedback_store.places(connection, tenant, chosen)
    question = StoredQuestion(
        judgement.question.strip(),
        sources=tuple(known[doc_id] for doc_id in chosen if doc_id in known),
        origin=Origin.FEEDBACK,
        note=judgement.comment,
        rating=rating,
        doc_ids=judgement.doc_ids,
    )
    return question_store.propose(connection, tenant, [question])


def propose_from_headings(connection: Connection, tenant: str, *, limit: int, source: str = "") -> int:
    """Propose up to `limit` questions from headings of stored documents, at most two a document; returns how many.

    Only headings that one document alone has are taken, and no titles: "Introduction" asks nothing. Documents come in
    an order that has nothing to do with their names, so that a few proposals are of many places.
    """
    rows = question_store.headings(connection, tenant, source=source, limit=_SCANNED)
    added = 0
    for question in _questions(rows):
        if added >= limit:
            break
        added += question_store.propose(connection, tenant, [question])
    return added


def _questions(rows: Sequence[Row[tuple[object, ...]]]) -> Iterable[StoredQuestion]:
    headings = Counter(_cleaned(row.heading) for row in rows)
    taken: Counter[object] = Counter()
    for row in rows:
        heading = _cleaned(row.heading)
        if headings[heading] == 1 and _LEAST <= _width(heading) <= _MOST and taken[row.doc_id] < 2:
            taken[row.doc_id] += 1
            tags = tuple(filter(None, (GENERATED, row.language)))
            yield StoredQuestion(
                as_question(heading), sources=(row.place,), tags=tags, origin=Origin.HEADING, doc_ids=(row.doc_id,)
            )


def _cleaned(heading: str) -> str:
    return " ".join(heading.replace("\0", "").strip("#*_` \t\n").split())


def _width(text: str) -> int:
    return sum(2 if char >= _CJK_START else 1 for char in text)


def as_question(heading: str) -> str:
    """A heading as somebody would ask for its section."""
    if heading.endswith(("?", "？")):
        return heading
    chinese = any(char >= _CJK_START for char in heading)
    if chinese:
        asks = heading.startswith(("如何", "怎样", "怎么", "为什么", "什么"))
        return f"{heading}？" if asks else f"关于“{heading}”，文档怎么说？"
    first, _, rest = heading.partition(" ")
    if first.casefold() == "how" and rest.casefold().startswith("to "):
        return f"How do I {rest[3:]}?"
    if first.casefold() in {"how", "why", "what", "when", "where", "which", "who"}:
        return f"{heading}?"
    return f"What do the documents say about {heading}?"
