"""Candidates for golden questions: users' ratings, which an operator may accept into a set.

A golden set measures retrieval alone. The same ratings are proposed as own questions, which measure answers too
(`rag_core.answering.evaluation.proposals`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from rag_core.answering.evaluation import Rating, feedback_store
from rag_core.database import Store
from rag_core.errors import InvalidInput, Reason
from rag_core.ingestion.promotion import store as rows

_HEADER = "query-id\tcorpus-id\tscore\n"


@dataclass(frozen=True, slots=True)
class RatedAnswer:
    """A rated answer. `documents` are stored ones that have the answer, as far as it says, as `source/locator`."""

    id: int
    at: datetime
    actor: str
    tenant: str
    question: str
    good: bool
    comment: str
    documents: tuple[str, ...]


def candidates(store: Store, limit: int = 100) -> list[RatedAnswer]:
    """The newest ratings of all tenants."""
    with store.engine.connect() as connection:
        return [_candidate(connection, one) for one in feedback_store.newest(connection, None, limit)]


def accept(store: Store, folder: Path, rating: int, documents: Sequence[str] = ()) -> bool:
    """Add a rating to the set in `folder`, which is created if missing; returns whether it was added.

    `documents` (`source/locator`) replace its own. Raises `NotFound` (`RATING_NOT_FOUND`), and `InvalidInput`
    (`GOLDEN_INVALID`) when there is no document, named or of the rating, or one of them is not stored.
    """
    with store.engine.connect() as connection:
        rated = feedback_store.get(connection, rating)
        chosen = tuple(documents) or _candidate(connection, rated).documents
        if not chosen:
            known = bool(rated.judgement.answer_doc_ids)
            why = "none of its documents is here any more" if known else "it does not say where the answer is"
            raise InvalidInput(Reason.GOLDEN_INVALID, f"rating {rating}: {why}; name a document as source/locator")
        _require_documents(connection, rated.tenant, chosen)
    return _append(folder, f"rating-{rating}", rated.judgement.question, chosen)


def _candidate(connection: Connection, rating: Rating) -> RatedAnswer:
    said = rating.judgement
    places = feedback_store.places(connection, rating.tenant, said.answer_doc_ids)
    documents = tuple(sorted(places.values()))
    return RatedAnswer(
        rating.id, rating.at, rating.actor, rating.tenant, said.question, said.good, said.comment, documents
    )


def _require_documents(connection: Connection, tenant: str, documents: Sequence[str]) -> None:
    tenants = rows.tenants_of(connection, documents)
    missing = sorted(document for document in set(documents) if tenant not in tenants.get(document, []))
    if missing:
        raise InvalidInput(Reason.GOLDEN_INVALID, f"no such document of this tenant: {', '.join(missing)}")


def _append(folder: Path, query: str, question: str, documents: Iterable[str]) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    corpus, queries, judged = (folder / name for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv"))
    if query in _ids(queries):
        return False
    known = _ids(corpus)
    new = [document for document in documents if document not in known]
    _add(corpus, "".join(_line({"_id": document}) for document in new))
    head = "" if judged.exists() else _HEADER
    _add(judged, head + "".join(f"{query}\t{document}\t1\n" for document in documents))
    _add(queries, _line({"_id": query, "text": question}))  # last: relevance without a question is ignored
    return True


def _ids(path: Path) -> set[str]:
    if not path.exists():
        return set()
    return {str(json.loads(line)["_id"]) for line in path.read_text("utf-8").splitlines() if line.strip()}


def _line(row: Mapping[str, str]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _add(path: Path, content: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(content)
