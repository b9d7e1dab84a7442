"""Hits for answerers."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from rag_core.retrieval.index import Payload, SearchHit


def hit(text: str, *, start: int = 0, score: float = 1.0, dense: float | None = None, title: str = "") -> SearchHit:
    payload = Payload(
        tenant="acme",
        source="s",
        doc_id=uuid.uuid4(),
        version=1,
        locator="l",
        title=title,
        acl=("everyone",),
        ordinal=0,
        start=start,
        end=start + len(text),
        text=text,
        headings=(),
        language="en",
        media_type="text/plain",
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return SearchHit(uuid.uuid4(), score, payload, dense=dense)
