"""Candidates for golden questions: ratings given in the console, which an operator may accept into a set.

A thumbs-up says that the cited documents answer the question. A thumbs-down says only that they do not, so the operator
who accepts it names the document that does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from rag_core.database import Store
from rag_core.errors import InvalidInput, NotFound, Reason

_HEADER = "query-id\tcorpus-id\tscore\n"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rated answer. `documents` are the cited ones that are still stored, as `source/locator`."""

    id: int
    at: datetime
    actor: str
    tenant: str
    question: str
    good: bool
    comment: str
    documents: tuple[str, ...]


_RATINGS = text("""
SELECT r.id, r.at, r.actor, r.tenant, r.question, r.good, r.comment,
       (SELECT array_agg(DISTINCT d.source || '/' || d.locator) FROM rag.documents d
        WHERE d.tenant = r.tenant AND d.deleted_at IS NULL
          AND d.doc_id::text IN (SELECT c->>'doc_id' FROM jsonb_array_elements(r.citations) c)) AS documents
FROM rag.ratings r WHERE CAST(:id AS bigint) IS NULL OR r.id = :id ORDER BY r.id DESC LIMIT :limit
""")


def candidates(store: Store, limit: int = 100) -> list[Candidate]:
    """The newest ratings of all tenants."""
    with store.engine.connect() as connection:
        return _read(connection, id=None, limit=limit)


def accept(store: Store, folder: Path, rating: int, documents: Sequence[str] = ()) -> bool:
    """Add a rating to the set in `folder`, which is created if missing; returns whether it was added.

    `documents` (`source/locator`) replace the cited ones. Raises `NotFound` (`RATING_NOT_FOUND`), and `InvalidInput`
    (`GOLDEN_INVALID`) when there is no document, named or cited, or one of them is not stored.
    """
    with store.engine.connect() as connection:
        found = _read(connection, id=rating, limit=1)
        if not found:
            raise NotFound(Reason.RATING_NOT_FOUND, f"there is no rating {rating}")
        chosen = tuple(documents) or (found[0].documents if found[0].good else ())
        if not chosen:
            why = (
                "none of its documents is here any more"
                if found[0].good
                else "it says what is wrong, not what is right"
            )
            raise InvalidInput(Reason.GOLDEN_INVALID, f"rating {rating}: {why}; name a document as source/locator")
        _require_documents(connection, found[0].tenant, chosen)
    return _append(folder, f"rating-{rating}", found[0].question, chosen)


def _read(connection: Connection, **params: Any) -> list[Candidate]:
    rows = connection.execute(_RATINGS, params)
    return [Candidate(**{**row._mapping, "documents": tuple(row.documents or ())}) for row in rows]


_DOCUMENTS_EXIST = text("""
SELECT source || '/' || locator AS id FROM rag.documents
WHERE tenant = :tenant AND deleted_at IS NULL AND source || '/' || locator = ANY(:ids)
""")


def _require_documents(connection: Connection, tenant: str, documents: Sequence[str]) -> None:
    here = set(connection.scalars(_DOCUMENTS_EXIST, {"tenant": tenant, "ids": list(documents)}))
    missing = sorted(set(documents) - here)
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
