"""Documents of the benchmark: unique paragraphs of about one chunk each, and a golden set about them."""

from __future__ import annotations

import json
import random
from pathlib import Path

from benchmarks.stream_texts import document
from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.governance.access import EVERYONE
from rag_core.ingestion.pipeline import Pipeline

TENANT, SOURCE = "bench", "push"
PARAGRAPHS = 10
"""Of a document; with `CHUNK_TOKENS` each is a chunk."""
CHUNK_TOKENS = 64
EDITED = 20
"""Documents that are edited while everything runs; they come first, and no query asks for their text."""
QUESTIONS = 20
_WORDS = 24
_BATCH = 200


def locator(number: int) -> str:
    """Where a document is."""
    return f"{number}.txt"


def text(number: int, edit: int = 0) -> str:
    """The document after so many edits: the first paragraph holds the number."""
    paragraphs = [document(number * PARAGRAPHS + place, _WORDS) for place in range(PARAGRAPHS)]
    return "\n\n".join([marker(number, edit), *paragraphs[1:]])


def marker(number: int, edit: int) -> str:
    """Unique to this state of the document."""
    words = random.Random(f"{number}/{edit}").sample(range(1000, 9999), 6)
    return f"State {edit} of document {number} is sealed with {' '.join(map(str, words))} and nothing else."


def push(pipeline: Pipeline, numbers: range) -> None:
    """Hand documents to the stream worker, as an API call would."""
    for start in range(numbers.start, numbers.stop, _BATCH):
        with pipeline.store.engine.begin() as connection:
            for number in range(start, min(start + _BATCH, numbers.stop)):
                inbox.accept(connection, change(number, text(number)), max_pending=10**6)


def change(number: int, content: str | None) -> PushedChange:
    """A new text, or a deletion."""
    raw = None if content is None else content.encode()
    return PushedChange(
        TENANT, SOURCE, locator(number), "bench", raw, "text/plain", acl=None if raw is None else (EVERYONE,)
    )


def write_golden(folder: Path, documents: int) -> None:
    """Questions that quote a paragraph of documents that are never edited."""
    folder.mkdir(parents=True)
    chosen = random.Random(1).sample(range(EDITED, documents), QUESTIONS)
    asked = {number: document(number * PARAGRAPHS + 1, _WORDS) for number in chosen}
    queries = [{"_id": str(number), "text": question} for number, question in asked.items()]
    corpus = [{"_id": f"{SOURCE}/{locator(number)}"} for number in asked]
    for name, rows in (("queries.jsonl", queries), ("corpus.jsonl", corpus)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    judged = "".join(f"{number}\t{SOURCE}/{locator(number)}\t1\n" for number in asked)
    (folder / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", "utf-8")
