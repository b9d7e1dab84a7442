"""Documents and chunks are recomputed only when a version is raised, so a silent change of output must not pass."""

from __future__ import annotations

import uuid

from rag_core.content.chunking import CHUNKER_VERSION, Chunker
from rag_core.content.chunking.chunker import ChunkSettings
from rag_core.content.parsing import PARSER_VERSION, ParseLimits, links_to_rows, to_rows
from rag_core.content.parsing.parse import parse
from rag_core.ids import fingerprint
from tests.unit.rag_core.content.parsing.conftest import WordCounter
from tests.unit.rag_core.content.parsing.test_html import PAGE
from tests.unit.rag_core.content.parsing.test_markdown import SOURCE
from tests.unit.rag_core.content.parsing.test_parse import SAMPLES
from tests.unit.rag_core.content.parsing.test_rst import CSV, GRID, LIST, SIMPLE

DOCUMENTS = {
    **SAMPLES,
    "page.html": PAGE.encode(),
    "long.md": SOURCE.encode() * 5,
    "tables.rst": "\n".join((GRID, SIMPLE, LIST, CSV)).encode(),
    "zh.txt": "一个句子。".encode() * 200,
}
HINT = "the output changed: raise the version beside the code and write the new digest here"


def test_parsed_documents_change_only_with_the_parser_version() -> None:
    seen = []
    for name, content in sorted(DOCUMENTS.items()):
        document = parse(content, name=name, media_type=None, limits=ParseLimits())
        rows = (to_rows(document.blocks), links_to_rows(document.links))
        seen.append((name, document.text, document.title, document.language, rows, sorted(document.metadata.items())))
    assert (PARSER_VERSION, fingerprint(*seen)) == (16, "e6b91e1be851b9df47df481322ab4b40"), HINT


def test_chunks_change_only_with_the_chunker_version() -> None:
    chunker = Chunker(ChunkSettings(40, 10), WordCounter())
    seen = []
    for name, content in sorted(DOCUMENTS.items()):
        document = parse(content, name=name, media_type=None, limits=ParseLimits())
        chunks = chunker.chunk(uuid.UUID(int=1), document)
        seen.append((name, [(chunk.start, chunk.end, chunk.embed_text, chunk.headings) for chunk in chunks]))
    assert (CHUNKER_VERSION, fingerprint(*seen)) == (2, "2e748c97aef95beecfdd8ed7059746f4"), HINT
