from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_core.content.chunking import Chunk, Chunker
from rag_core.content.chunking.chunker import ChunkSettings
from rag_core.content.parsing import Block, BlockKind, ParsedDocument
from rag_core.errors import InvalidInput, Reason
from rag_core.ids import text_hash
from tests.unit.rag_core.content.parsing.conftest import WordCounter

Read = Callable[..., ParsedDocument]
DOC = uuid.UUID(int=7)
COUNTER = WordCounter()


def chunker(tokens: int = 40, overlap: int = 0, max_chunks: int = 20_000, *, context: bool = True) -> Chunker:
    return Chunker(ChunkSettings(tokens, overlap, max_chunks, context=context), COUNTER)


def plain(text: str, title: str = "") -> ParsedDocument:
    return ParsedDocument(text=text, media_type="text/plain", title=title)


def require_sound(document: ParsedDocument, chunks: list[Chunk], limit: int) -> None:
    """Offsets, order, coverage, sizes and ids of the chunks of one document."""
    covered = 0
    for ordinal, chunk in enumerate(chunks):
        assert chunk.ordinal == ordinal
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert chunk.embed_text.endswith(chunk.text)
        assert chunk.text_hash == text_hash(chunk.embed_text)
        assert chunk.tokens == COUNTER.count(chunk.embed_text)
        assert chunk.tokens <= limit or len(chunk.text) == 1
        assert not document.text[covered : chunk.start].strip()
        covered = max(covered, chunk.end)
    assert not document.text[covered:].strip()
    assert [chunk.start for chunk in chunks] == sorted({chunk.start for chunk in chunks})
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)


WORDS = st.sampled_from(
    [
        "word",
        "另一句话。",
        "Sentence ends. ",
        "e.g. this",
        "、",
        "\n",
        "，中文",
        "A" * 90,
        " ",
        "！",
        "long-compound/word",
        "。」",
        "U.S. ",
    ]
)
BLOCK_TEXT = st.lists(WORDS, min_size=1, max_size=60).map(" ".join)
BLOCKS = st.lists(st.tuples(st.sampled_from(list(BlockKind)), BLOCK_TEXT, st.integers(1, 6)), max_size=12)


@given(BLOCKS, st.integers(16, 60), st.booleans(), st.sampled_from(["", "Title", "标题 of the document " * 5]))
@settings(deadline=None, max_examples=150)
def test_every_document_is_covered_in_order_within_the_limit(
    parts: list[tuple[BlockKind, str, int]], limit: int, overlapping: bool, title: str
) -> None:
    text, blocks = "", []
    for kind, content, level in parts:
        start = len(text)
        text += content
        blocks.append(Block(kind, start, len(text), level if kind is BlockKind.HEADING else 0))
        text += "\n\n"
    document = ParsedDocument(text=text, media_type="text/plain", title=title, blocks=tuple(blocks))
    made = chunker(limit, limit // 3 if overlapping else 0)
    chunks = made.chunk(DOC, document)
    require_sound(document, chunks, limit)
    assert chunks == made.chunk(DOC, document)


@given(st.text(max_size=500), st.integers(16, 40))
@settings(deadline=None)
def test_text_without_blocks_is_covered_too(text: str, limit: int) -> None:
    document = plain(text)
    require_sound(document, chunker(limit).chunk(DOC, document), limit)


def texts(document: ParsedDocument, **options: int) -> list[str]:
    return [chunk.text for chunk in chunker(**options).chunk(DOC, document)]


def test_a_heading_begins_a_chunk_and_its_path_is_context(read: Read) -> None:
    body = "word " * 15
    document = read(f"# Guide\n\n{body}\n\n## Install\n\n{body}\n\n### Linux\n\n{body}\n\n## Use\n\n{body}", "a.md")
    chunks = chunker().chunk(DOC, document)
    assert [chunk.headings for chunk in chunks] == [
        ("Guide",), ("Guide", "Install"), ("Guide", "Install", "Linux"), ("Guide", "Use"),
    ]  # fmt: skip
    assert chunks[2].embed_text == f"Guide > Install\n\nLinux\n\n{body.strip()}"


def test_title_is_context_unless_the_headings_show_it(read: Read) -> None:
    with_title = read("---\ntitle: Manual\n---\n# Start\n\ntext", "a.md")
    assert chunker().chunk(DOC, with_title)[0].embed_text == "Manual\n\nStart\n\ntext"
    without = read("# Start\n\ntext", "a.md")
    assert chunker().chunk(DOC, without)[0].embed_text == "Start\n\ntext"


def test_without_context_the_text_alone_is_embedded_and_its_headings_are_still_known(read: Read) -> None:
    document = read("---\ntitle: Manual\n---\n# Guide\n\n" + "word " * 90, "a.md")
    with_context, bare = (chunker(context=context).chunk(DOC, document) for context in (True, False))
    assert with_context[-1].embed_text.startswith("Manual > Guide\n\n")
    assert all(chunk.embed_text == chunk.text for chunk in bare)
    assert {chunk.headings for chunk in bare} == {("Guide",)}
    require_sound(document, bare, 40)


def test_small_blocks_of_a_section_are_merged_up_to_the_target(read: Read) -> None:
    document = read("\n\n".join(f"short paragraph number {number}" for number in range(30)), "a.txt")
    chunks = chunker().chunk(DOC, document)
    assert len(chunks) <= 6
    assert all(chunk.text.startswith("short") for chunk in chunks)


def test_tiny_sections_share_a_chunk_and_its_common_path(read: Read) -> None:
    document = read("# Log\n\n" + "\n\n".join(f"## Version {n}\n\nfixed it" for n in range(6)), "a.md")
    chunks = chunker().chunk(DOC, document)
    assert len(chunks) == 1
    assert chunks[0].headings == ("Log",)


@pytest.mark.parametrize(
    ("source", "begin"),
    [
        (f"# A\n\n{'word ' * 20}\n\n# B\n\ntiny\n\n# C\n\n{'word ' * 20}", ["A", "B", "C"]),
        (f"# Empty\n\n# Full\n\n{'word ' * 30}", ["Empty"]),
        (f"# Guide\n\na tiny introduction\n\n## Install\n\n{'word ' * 37}", ["Guide", "Install"]),
    ],
    ids=["full sections are not merged", "a bare heading goes with a sibling", "a heading stays with its text"],
)
def test_chunks_begin_at_the_headings_of_their_texts(read: Read, source: str, begin: list[str]) -> None:
    assert [text.split("\n")[0] for text in texts(read(source, "a.md"))] == begin


def test_a_bare_heading_goes_with_what_follows(read: Read) -> None:
    document = read(f"# Part\n\n## Chapter\n\n{'word ' * 70}", "a.md")
    found = texts(document)
    assert found[0].startswith("Part\n\nChapter\n\nword")
    assert len(found) > 1


def test_tables_and_code_that_fit_are_not_torn(read: Read) -> None:
    table = "\n".join(["| a | b |", "|---|---|", *[f"| {n} | x |" for n in range(6)]])
    code = "```\n" + "\n".join(f"line {n}" for n in range(10)) + "\n```"
    document = read(f"{'word ' * 25}\n\n{table}\n\n{'word ' * 25}\n\n{code}\n\n{'word ' * 25}", "a.md")
    found = texts(document)
    for block in document.blocks:
        if block.kind in (BlockKind.TABLE, BlockKind.CODE):
            assert any(document.text[block.start : block.end] in text for text in found)


def test_a_long_table_is_cut_between_rows_with_its_header_as_context(read: Read) -> None:
    document = read("name,price,note\n" + "\n".join(f"row{n},{n},some words here" for n in range(40)), "t.csv")
    chunks = chunker().chunk(DOC, document)
    assert len(chunks) > 5
    for chunk in chunks[1:]:
        assert chunk.text.startswith("row")
        assert chunk.embed_text.startswith("t.csv\nname | price | note\n\nrow")
    require_sound(document, chunks, 40)


def test_long_code_is_cut_at_empty_lines_before_others(read: Read) -> None:
    functions = "\n\n".join(f"def f{n}(a, b):\n    c = a + b\n    return c * {n}" for n in range(20))
    found = texts(read(f"```\n{functions}\n```", "a.md"))
    assert all(text.startswith(("def", "a.md")) for text in found)


@pytest.mark.parametrize(
    ("sentence", "ends"),
    [
        ("一个比较长的中文句子在这里结束。", "。"),
        ("他说：“这是真的！”", "”"),
        ("An English sentence ends here. ", "."),
        ("问题是什么？", "？"),
    ],
)
def test_long_paragraphs_are_cut_between_sentences(sentence: str, ends: str) -> None:
    found = texts(plain(sentence * 40))
    assert len(found) > 3
    assert all(text.endswith(ends) for text in found)


def test_abbreviations_do_not_end_sentences() -> None:
    text = "Dr. Smith, e.g. of the U.S. office, met Mr. J. Doe vs. others in Fig. 3 today. " * 12
    assert all(text.startswith("Dr. Smith") for text in texts(plain(text)))


def test_overlap_repeats_whole_sentences_of_the_chunk_before() -> None:
    document = plain(" ".join(f"Sentence number {n} has seven words." for n in range(40)))
    chunks = chunker(40, 13).chunk(DOC, document)
    require_sound(document, chunks, 40)
    for before, chunk in pairwise(chunks):
        assert before.start < chunk.start < before.end
        assert chunk.text.startswith("Sentence")
        assert COUNTER.count(document.text[chunk.start : before.end]) <= 13


def test_long_context_leaves_most_of_the_chunk_to_the_text(read: Read) -> None:
    headings = "\n\n".join(f"{'#' * level} {'heading ' * 10}{level}" for level in range(1, 6))
    document = read(f"---\ntitle: {'title ' * 30}\n---\n{headings}\n\n{'word ' * 200}", "a.md")
    chunks = chunker().chunk(DOC, document)
    require_sound(document, chunks, 40)
    assert all(COUNTER.count(chunk.text) >= 8 for chunk in chunks[:-1])


def test_an_edit_changes_only_the_chunks_around_it() -> None:
    sentences = [f"This is sentence {n} of the text and it says {n * 7919 % 1000}." for n in range(3000)]
    edited = [*sentences[:500], "A new sentence was put in at this place.", *sentences[500:]]
    before = {chunk.text_hash for chunk in chunker().chunk(DOC, plain(" ".join(sentences)))}
    after = {chunk.text_hash for chunk in chunker().chunk(DOC, plain(" ".join(edited)))}
    assert len(before) > 500
    assert len(after - before) <= 0.03 * len(after)


def test_an_edit_in_a_document_with_headings_stays_in_its_section(read: Read) -> None:
    sections = [f"## Section {n}\n\n" + f"The words of section {n} are many. " * 12 for n in range(40)]
    before = {c.text_hash for c in chunker().chunk(DOC, read("# Book\n\n" + "\n\n".join(sections), "a.md"))}
    sections[20] += "One more sentence."
    after = {c.text_hash for c in chunker().chunk(DOC, read("# Book\n\n" + "\n\n".join(sections), "a.md"))}
    assert 1 <= len(after - before) <= 4


def test_the_same_text_twice_has_different_ids_that_survive_an_insertion(read: Read) -> None:
    part, front = "same words " * 15, "---\ntitle: Book\n---\n"
    one = chunker().chunk(DOC, read(f"{front}# A\n\n{part}\n\n# A\n\n{part}", "a.md"))
    two = chunker().chunk(DOC, read(f"{front}# New\n\n{'word ' * 20}\n\n# A\n\n{part}\n\n# A\n\n{part}", "a.md"))
    assert len({chunk.chunk_id for chunk in one}) == len(one) == 2
    assert {chunk.chunk_id for chunk in one} == {chunk.chunk_id for chunk in two[1:]}


@pytest.mark.catalogue("B34")
@pytest.mark.parametrize(
    "text", ["word " * 200_000, "a" * 1_000_000, "中" * 500_000, "a,b," * 250_000, "。" * 300_000, "\ufdfa" * 100_000],
    ids=["words", "letters", "han", "commas", "stops", "ligature"],
)  # fmt: skip
def test_one_long_line_is_chunked_in_linear_time(text: str) -> None:
    document = plain(text)
    started = time.process_time()
    chunks = chunker(200).chunk(DOC, document)
    assert time.process_time() - started < 30  # a fraction of a second on an idle machine; quadratic would take hours
    assert max(len(chunk.text) for chunk in chunks) <= 20_000
    assert "".join(chunk.text for chunk in chunks).count(text[0]) == text.count(text[0])


@pytest.mark.catalogue("B34")
def test_too_many_chunks_is_refused_at_the_cap() -> None:
    with pytest.raises(InvalidInput) as raised:
        chunker(40, max_chunks=100).chunk(DOC, plain("word " * 50_000))
    assert raised.value.reason is Reason.TOO_MANY_CHUNKS


@pytest.mark.catalogue("B34")
def test_thousands_of_headings_are_merged_not_multiplied() -> None:
    blocks = tuple(Block(BlockKind.HEADING, 4 * n, 4 * n + 2, 1 + n % 6) for n in range(30_000))
    document = ParsedDocument(text="ab\n\n" * 30_000, media_type="text/plain", blocks=blocks)
    chunks = chunker(200).chunk(DOC, document)
    assert len(chunks) < 600
    require_sound(document, chunks, 200)


def test_blank_text_gives_no_chunks() -> None:
    assert chunker().chunk(DOC, plain(" \n ")) == []


class SwallowingCounter(WordCounter):
    """Counts wrongly: far too little for parts, so that sums promise more room than there is."""

    fingerprint = "swallowing"

    def count(self, text: str) -> int:
        words = super().count(text)
        return 1 if words < 30 else words


def test_chunks_hold_the_limit_even_when_counts_do_not_add_up() -> None:
    counter = SwallowingCounter()
    document = plain("word " * 3000)
    chunks = Chunker(ChunkSettings(40), counter).chunk(DOC, document)
    assert max(counter.count(chunk.embed_text) for chunk in chunks) <= 40
    assert sum(chunk.text.count("word") for chunk in chunks) == 3000


def test_fingerprint_follows_sizes_and_tokenizer_but_not_the_cap() -> None:
    assert chunker().fingerprint == chunker(max_chunks=5).fingerprint
    others = {
        chunker(41).fingerprint,
        chunker(40, 5).fingerprint,
        chunker(context=False).fingerprint,
        Chunker(ChunkSettings(40), SwallowingCounter()).fingerprint,
    }
    assert len(others | {chunker().fingerprint}) == 5
