"""Text made of one mark is parsed, chunked, judged and split into sentences in time linear in its length."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import partial

import pytest

from rag_core.answering import highlights, query_terms
from rag_core.answering.sentences import split_sentences
from rag_core.content.chunking import Chunker
from rag_core.content.chunking.chunker import ChunkSettings
from rag_core.content.parsing import ParseLimits
from rag_core.content.parsing.parse import parse
from rag_core.content.quality import QualityPolicy, assess_text
from rag_core.errors import InvalidInput
from rag_core.retrieval.search import encode_documents
from tests.support.hostile import RUNS, processor_seconds
from tests.unit.rag_core.content.parsing.conftest import WordCounter

SIZE = 4_000
MARKS = (
    *RUNS, "x. ", "1) ", "- a\n", "> a\n", "# a\n", "|a|\n", "a\n\n", "a\n===\n", "[a](", "**a", "&a", "<a ", "</",
    "<b>", "<!--", "。」", "中。", "[a]: b\n", '"a",', "A.B. ", "...”",
    "a\n: b\n", "!!! a\n    ", "{%a%}\n", "<Ab a={",
)  # fmt: skip


def work_through(content: bytes, name: str, chunkers: Sequence[Chunker], policy: QualityPolicy) -> None:
    """What the documents and chunks stages and the answerer do with a text."""
    try:
        document = parse(content, name=name, media_type=None, limits=ParseLimits())
    except InvalidInput:  # blank when nothing but marks: refused in time too
        return
    assess_text(document.text, document.title, policy)
    for chunker in chunkers:
        chunks = chunker.chunk(uuid.UUID(int=7), document)
    encode_documents([chunk.text for chunk in chunks])
    highlights(query_terms("mark 1 中文"), document.text)
    split_sentences(document.text)


@pytest.mark.parametrize("name", ["a.txt", "a.rst", "a.md", "a.html", "a.csv"])
def test_marks_repeated_four_times_as_often_take_about_four_times_as_long(name: str) -> None:
    chunkers = [Chunker(ChunkSettings(200, overlap), WordCounter()) for overlap in (0, 50)]
    policy = QualityPolicy()

    def seconds(mark: str, size: int) -> float:
        content = (mark * (size // len(mark) + 1))[:size].encode()
        return processor_seconds(partial(work_through, content, name, chunkers, policy), 30)

    def is_slow(mark: str) -> bool:
        """Quadratic work would take sixteen times as long."""
        took = seconds(mark, 4 * SIZE)
        return took > 0.1 and took > 0.1 + 8 * seconds(mark, SIZE)

    # What seems slow is measured again.
    assert [mark for mark in MARKS if all(is_slow(mark) for _ in range(3))] == []
