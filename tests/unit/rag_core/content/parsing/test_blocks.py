"""What parsers keep of structure: parts of lists and definitions, languages of code, and the compact form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rag_core.content.parsing import (
    Block,
    BlockKind,
    Clipper,
    ParsedDocument,
    PartKind,
    from_rows,
    parts_of,
    to_rows,
)

Read = Callable[..., ParsedDocument]


def _block(document: ParsedDocument, kind: BlockKind) -> Block:
    return next(block for block in document.blocks if block.kind is kind)


def _parts(document: ParsedDocument, block: Block) -> list[tuple[PartKind, str]]:
    own = document.text[block.start : block.end]
    return [(part.kind, document.text[part.start : part.end]) for part in parts_of(block, own)]


def test_markdown_code_keeps_its_language_and_items_keep_their_code(read: Read) -> None:
    document = read("```sh\nrag up\n```\n\n1. First\n   continues\n\n   ```\n   make up\n   ```\n2. Then\n", "a.md")
    assert _block(document, BlockKind.CODE).language == "sh"
    assert _parts(document, _block(document, BlockKind.LIST)) == [
        (PartKind.ITEM, "1. First continues"),
        (PartKind.CODE, "  make up"),
        (PartKind.ITEM, "2. Then"),
    ]


def test_html_definitions_are_terms_with_descriptions_and_ordered_items_have_numbers(read: Read) -> None:
    page = (
        "<dl><dt>chunk</dt><dd>A span.</dd></dl><ol><li>one</li><li>two</li></ol><pre class='language-yaml'>a: 1</pre>"
    )
    document = read(f"<body>{page}</body>", "a.html")
    assert _parts(document, _block(document, BlockKind.DEFINITIONS)) == [
        (PartKind.TERM, "- chunk"),
        (PartKind.DESCRIPTION, "  A span."),
    ]
    assert _parts(document, _block(document, BlockKind.LIST)) == [(PartKind.ITEM, "1. one"), (PartKind.ITEM, "2. two")]
    assert _block(document, BlockKind.CODE).language == "yaml"


def test_restructured_text_has_literal_blocks_sessions_and_terms(read: Read) -> None:
    source = (
        "Run it::\n\n    make up\n\n.. code-block:: python\n\n    x = 1\n\n$ rag up\n\nchunk\n    A span of text.\n"
    )
    document = read(source, "a.rst")
    code = [(block.language, document.text[block.start : block.end].strip()) for block in document.blocks[1:4]]
    assert code == [("", "make up"), ("python", "x = 1"), ("", "$ rag up")]
    assert _parts(document, _block(document, BlockKind.DEFINITIONS)) == [
        (PartKind.TERM, "chunk"),
        (PartKind.DESCRIPTION, "    A span of text."),
    ]


def test_a_table_that_is_cut_keeps_its_header_row(read: Read) -> None:
    document = read("name,price\napple,1\npear,2\n", "a.csv")
    cut = document.text.index("pear")
    (block,) = Clipper(document.text, document.blocks).clip(cut, len(document.text))
    assert block.header == "name | price"
    assert _parts(document, block) == [(PartKind.ROW, "pear | 2")]


def test_the_compact_form_comes_back_as_it_was(read: Read) -> None:
    document = read("# A\n\n- one\n  - two\n\n```py\nx\n```\n\n| a |\n|---|\n| 1 |\n", "a.md")
    blocks = Clipper(document.text, document.blocks).clip(3, len(document.text))
    assert from_rows(to_rows(blocks, 3), 3) == blocks
    assert from_rows(to_rows(blocks, 3, ("A",)), 3, ("A",)) == blocks  # no heading above, where the chunk has one


@pytest.mark.parametrize(
    "row",
    [
        [99, 0, 1],
        [0, 2, 1],
        [0, -1, 1],
        [0, 0, 1, 7],
        [0, 0, True],
        [0, 0],
        [2, 0, 5, 0, 0, "", [0, 0, 9, 0]],
        [0, 0, 1, 0, 0, 5],
    ],
)
def test_what_is_no_compact_form_is_refused(row: list[object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_rows([row])


def test_an_indented_list_is_kept_and_read_again(read: Read) -> None:
    document = read("Text before it:\n\n  - one\n  - two\n\nText after it.\n", "a.txt")
    indented = [
        replace(block, parts=(replace(block.parts[0], start=block.start - 2), *block.parts[1:]))
        for block in document.blocks
        if block.kind is BlockKind.LIST
    ]
    assert [block.parts[0].start for block in from_rows(to_rows(indented))] == [block.start for block in indented] != []
