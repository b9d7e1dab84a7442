"""Chunks keep blocks whole where they can, and say what a cut took from them."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from rag_core.content.chunking import Chunk, Chunker
from rag_core.content.chunking.chunker import ChunkSettings
from rag_core.content.parsing import ParsedDocument
from tests.unit.rag_core.content.chunking.test_chunker import require_sound
from tests.unit.rag_core.content.parsing.conftest import WordCounter

Read = Callable[..., ParsedDocument]


def chunks_of(document: ParsedDocument, tokens: int = 40) -> list[Chunk]:
    chunks = Chunker(ChunkSettings(tokens), WordCounter()).chunk(uuid.UUID(int=7), document)
    require_sound(document, chunks, tokens)
    return chunks


def words(count: int, word: str = "word") -> str:
    return " ".join([word] * count)


def test_code_as_long_as_a_chunk_is_not_cut_for_its_context(read: Read) -> None:
    code = "\n".join(f"call {n}" for n in range(18))
    headings = f"# Guide of many words for all\n\n## Install it on every machine\n\n{words(20)}\n\n### Linux"
    document = read(f"---\ntitle: A title of some words\n---\n{headings}\n\n```\n{code}\n```\n\n{words(60)}", "a.md")
    whole = [chunk for chunk in chunks_of(document) if code in chunk.text]
    assert len(whole) == 1
    assert whole[0].text.startswith("Linux")  # its heading is with it


def test_longer_code_is_cut_between_lines(read: Read) -> None:
    code = "\n".join(f"call number {n} of many" for n in range(60))
    chunks = chunks_of(read(f"# Guide\n\n```\n{code}\n```", "a.md"))
    assert len(chunks) > 5
    assert all(chunk.text.removeprefix("Guide\n\n").startswith("call number") for chunk in chunks)


def test_a_term_is_never_parted_from_its_description(read: Read) -> None:
    entries = "".join(f"<dt>term {n} of it</dt><dd>{words(9)} end{n}.</dd>" for n in range(30))
    chunks = chunks_of(read(f"<dl>{entries}</dl>", "a.html"))
    assert len(chunks) > 6
    for chunk in chunks:
        assert chunk.text.startswith("- term")
        assert chunk.text.count("term") == chunk.text.count("end")


def test_the_rest_of_a_long_description_names_its_term_in_context_and_structure(read: Read) -> None:
    described = "".join(f"<dd>{words(20)} {n}.</dd>" for n in range(8))
    page = f"<dl><dt>short</dt><dd>one.</dd><dt>the term</dt>{described}</dl>"
    document = read(page, "a.html")
    chunks = chunks_of(document)
    rest = [chunk for chunk in chunks if "the term" not in chunk.text and "short" not in chunk.text]
    assert rest
    for chunk in rest:
        assert "- the term\n\n" in chunk.embed_text
        assert chunk.blocks[0].header == "- the term"
        assert chunk.text == document.text[chunk.start : chunk.end]
    assert all(not chunk.text.rstrip().endswith("the term") for chunk in chunks)


@pytest.mark.parametrize("length", range(28, 41))
def test_a_description_as_long_as_a_chunk_leaves_no_room_for_its_term(read: Read, length: int) -> None:
    described = "".join(f"<dd>{words(length)} {n}.</dd>" for n in range(3))
    chunks = chunks_of(read(f"<h1>All of it</h1><dl><dt>the term of it</dt>{described}</dl>", "a.html"))
    assert len(chunks) >= 3


def test_nested_definitions_are_cut_between_the_inner_entries(read: Read) -> None:
    inner = "".join(f"<dt>method {n}</dt><dd>{words(12)}.</dd>" for n in range(10))
    chunks = chunks_of(read(f"<dl><dt>class Thing</dt><dd><p>About it.</p><dl>{inner}</dl></dd></dl>", "a.html"))
    assert all(chunk.text.startswith(("- class Thing", "- method")) for chunk in chunks)


def test_an_item_keeps_its_code_and_what_is_indented_below_it(read: Read) -> None:
    item = "1. Step {n} of them\n\n   ```\n   run {n}\n   then {n}\n   ```\n   - inner {n}\n"
    chunks = chunks_of(read("\n".join(item.format(n=n) for n in range(20)), "a.md"))
    assert len(chunks) > 4
    for chunk in chunks:
        assert (
            chunk.text.count("Step") == chunk.text.count("run") == chunk.text.count("then") == chunk.text.count("inner")
        )


@pytest.mark.parametrize("columns", [3, 12])
def test_a_table_of_ten_thousand_rows_repeats_its_header_outside_of_the_text(read: Read, columns: int) -> None:
    header = " | ".join(f"column{n}" for n in range(columns))
    body = "\n".join(f"row{n},{n},x" + ",y" * (columns - 3) for n in range(10_000 if columns == 3 else 200))
    document = read(header.replace(" | ", ",") + "\n" + body, "t.csv")
    chunks = chunks_of(document)
    for chunk in chunks[1:]:
        assert chunk.blocks[0].header == header[:500]
        assert "\ncolumn0" in chunk.embed_text  # as much of it as a quarter of a chunk holds
        assert "column0" not in chunk.text


def test_rows_of_a_table_without_a_header_repeat_none(read: Read) -> None:
    document = read(
        "<table>" + "".join(f"<tr><th>name{n}</th><td>{words(4)}</td></tr>" for n in range(40)) + "</table>", "a.html"
    )
    chunks = chunks_of(document)
    assert len(chunks) > 4
    assert {chunk.blocks[0].header for chunk in chunks} == {""}


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("<dl><dt>t</dt>" + "<dd>word</dd>" * 8_000 + "</dl>", "a.html"),
        ("<dl>" + "<dt>t</dt>" * 8_000 + f"<dd>{words(8_000)}</dd></dl>", "a.html"),
        ("- a\n" * 8_000, "a.md"),
    ],
    ids=["descriptions", "terms", "items"],
)
def test_entries_without_end_are_cut_all_the_same(read: Read, page: str, name: str) -> None:
    assert len(chunks_of(read(page, name), tokens=200)) > 40


def test_structure_of_chinese_and_arabic_text_is_kept_too(read: Read) -> None:
    for term, text in (("分块", "一个跨度。"), ("كتلة", "قطعة من النص.")):
        page = "<dl>" + f"<dt>{term}</dt><dd>{text}</dd>" * 40 + "</dl>"
        for chunk in chunks_of(read(page, "a.html")):
            assert chunk.text.startswith(f"- {term}")
            assert chunk.text.count(term) == chunk.text.count(text)
