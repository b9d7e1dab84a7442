"""A small manual as hits, a comparison of tokens with chosen results, and the answer to a question."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rag_core.answering import Answered, Question, TokenMatches, check_citations
from rag_core.answering.extractive import decide
from rag_core.content.chunking.chunker import Chunker, ChunkSettings
from rag_core.content.parsing import ParseLimits, links_to_rows, links_within
from rag_core.content.parsing.parse import parse
from rag_core.retrieval.index import SearchHit
from tests.support.hits import hit
from tests.unit.rag_core.content.parsing.conftest import WordCounter

GUIDE = """# Operating

## Stop everything

Run one command to stop the services:

```sh
rag down
```

## Ports

| setting | default | meaning |
|---|---|---|
| RAG_CONSOLE_PORT | 8501 | Port of the console |
| RAG_GATEWAY_PORT | 8080 | Port of the gateway |

## Quarantine

The quarantine holds inputs that could not be used. Each has a reason code.

## Formats

Several formats are read:

- Markdown
- HTML
- plain text

## Rotate a key

Rotating a key makes a new one.

## Retire a key

Retiring a key ends the old one.
"""
GLOSSARY = (
    "<h1>Glossary</h1><dl><dt>chunk</dt><dd>A span of a document.</dd><dt>alias</dt><dd>What readers follow.</dd></dl>"
)


def corpus(source: str = GUIDE, name: str = "operations.md", *, tokens: int = 60) -> tuple[SearchHit, ...]:
    """Every chunk of a document as hits, in reading order, all as near as e5 finds related texts."""
    document = parse(source.encode(), name=name, media_type=None, limits=ParseLimits())
    doc_id = uuid.uuid5(uuid.NAMESPACE_URL, name)
    chunks = Chunker(ChunkSettings(tokens, 0), WordCounter()).chunk(doc_id, document)
    plain = hit("x").payload
    return tuple(
        SearchHit(
            chunk.chunk_id,
            1 - 0.1 * chunk.ordinal,
            replace(
                plain, doc_id=doc_id, title=document.title, locator=name, ordinal=chunk.ordinal, start=chunk.start,
                end=chunk.end, text=chunk.text, headings=chunk.headings, blocks=chunk.blocks,
                links=links_within(links_to_rows(document.links), chunk.start, chunk.end),
            ),
            dense=0.84,
        )
        for chunk in chunks
    )  # fmt: skip


class Compares:
    """Compares tokens: those of the named texts lie near every token of the question, the others do not."""

    def __init__(self, *near: str, others: float = 0.78) -> None:
        self._near = near
        self._others = others

    async def __call__(self, question: str, passages: Sequence[str]) -> list[TokenMatches]:
        return [self._matches(passage) for passage in passages]

    def _matches(self, passage: str) -> TokenMatches:
        spans = [match.span() for match in re.finditer(r"\w+|[^\w\s]", passage)] or [(0, 1)]
        near = [match.span() for text in self._near for match in re.finditer(re.escape(text), passage)]
        cosines = [
            0.95 if any(start < end and after > first for first, end in near) else self._others
            for start, after in spans
        ]
        return TokenMatches(np.array([cosines] * 3, np.float32), np.array(spans, np.int32))


async def answered(asked: str, *near: str, hits: tuple[SearchHit, ...] | None = None) -> Answered:
    hits = hits or corpus()
    outcome = await decide(Question(asked, hits, compare=Compares(*near)))
    assert isinstance(outcome, Answered)
    check_citations(outcome.citations, [*hits, *outcome.evidence])
    return outcome


def highlighted(outcome: Answered) -> list[str]:
    first = outcome.excerpts[0]
    return [first.text[one.start : one.end] for one in first.highlights]
