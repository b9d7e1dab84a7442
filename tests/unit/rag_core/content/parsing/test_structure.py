"""Front matter, images, spans and headers of tables, and definitions, and what is broken in them. What parsers keep of
structure: parts of lists and definitions, languages of code, and the compact form."""

from __future__ import annotations

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
from tests.unit.rag_core.content.parsing.conftest import Read, blocks


def parts(document: ParsedDocument, block: Block) -> list[tuple[PartKind, str]]:
    own = document.text[block.start : block.end]
    return [(part.kind, document.text[part.start : part.end]) for part in parts_of(block, own)]


# Front matter -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "---\ntitle: T\ntags: [a, b]\ndate: 2024-01-02\nweight: 3\ndescription: About it\n---\nBody.",
        '+++\ntitle = "T"\ntags = ["a", "b"]\ndate = 2024-01-02\nweight = 3\ndescription = "About it"\n+++\nBody.',
    ],
    ids=["YAML", "TOML"],
)
def test_front_matter_is_metadata_and_never_text(read: Read, source: str) -> None:
    document = read(source, "a.md")
    assert document.title == "T"
    assert document.metadata == {
        "title": "T", "tags": "a, b", "date": "2024-01-02", "weight": "3", "description": "About it",
    }  # fmt: skip
    assert document.text == "Body."


@pytest.mark.parametrize("name", ["a.md", "a.mdx", "a.html"])
def test_a_page_without_a_body_is_its_description(read: Read, name: str) -> None:
    document = read("---\r\ntitle: Benefits\r\ndescription: All about leave.\r\n---\r\n", name)
    assert (document.title, document.text) == ("Benefits", "All about leave.")


def test_damaged_front_matter_gives_what_can_be_read_and_never_body_text(read: Read) -> None:
    document = read("---\ntitle: A: B\ntags: [a, b\n  - x\nauthor: Me\n---\nBody.", "a.md")
    assert document.title == "A: B"
    assert document.metadata["author"] == "Me"
    assert document.flags == {"front_matter_damaged"}
    assert document.text == "Body."


@pytest.mark.parametrize(
    "source",
    ["---\n\nSome text.\n\n---\n\nMore.", "---\nonly words, no fields\n---\nMore.", "+++\nnot: toml\n+++ x\nMore."],
)
def test_rules_around_text_are_no_front_matter(read: Read, source: str) -> None:
    document = read(source, "a.md")
    assert document.metadata == {}
    assert "More." in document.text


@pytest.mark.parametrize(
    "source",
    [
        "---\n" + "[" * 15_000 + "\n---\nBody.",
        "---\na: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\nBody.",
        "---\n---\nBody.",
    ],
    ids=["nested", "aliases", "empty"],
)
def test_hostile_and_empty_front_matter_leaves_the_body(read: Read, source: str) -> None:
    assert read(source, "a.md").text.endswith("Body.")


# Images -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("Text.\n\n![How data flows to the index](flow.png)", "a.md"),
        ("<p>Text. <img src=flow.png alt='How data flows to the index'></p>", "a.html"),
    ],
)
def test_an_image_is_what_it_is_said_to_show(read: Read, source: str, name: str) -> None:
    assert blocks(read(source, name)) == [
        (BlockKind.PARAGRAPH, "Text."),
        (BlockKind.IMAGE, "How data flows to the index"),
    ]


@pytest.mark.parametrize(
    "image",
    [
        "![logo](a.png)",
        "![Build status](https://img.shields.io/x)",
        "![my picture.png](x)",
        "![](x.png)",
        "![图](x.png)",
    ],
)
def test_badges_names_and_single_words_are_no_descriptions(read: Read, image: str) -> None:
    assert read(f"Text.\n\n{image}", "a.md").text == "Text."


def test_a_chinese_description_needs_no_spaces(read: Read) -> None:
    assert (BlockKind.IMAGE, "数据流向索引") in blocks(read("正文。\n\n![数据流向索引](x.png)", "a.md"))


def test_an_image_does_not_cut_the_sentence_it_stands_in(read: Read) -> None:
    page = "<p>Press <img src=x.png alt='the green button'> to start.</p>"
    assert blocks(read(page, "a.html"))[0] == (BlockKind.PARAGRAPH, "Press to start.")


# Tables -------------------------------------------------------------------------------------------------------------


def test_cells_over_several_rows_or_columns_stand_in_each_row_under_their_header(read: Read) -> None:
    page = (
        "<table><tr><th>Kind</th><th>Name</th><th>Size</th></tr>"
        "<tr><td rowspan=2>fruit</td><td>apple</td><td>1</td></tr><tr><td>pear</td><td>2</td></tr>"
        "<tr><td colspan=2>together</td><td>3</td></tr></table>"
    )
    (block,) = (document := read(page, "a.html")).blocks
    assert document.text.split("\n") == [
        "Kind | Name | Size",
        "fruit | apple | 1",
        "fruit | pear | 2",
        "together |  | 3",
    ]
    assert parts(document, block)[0] == (PartKind.HEADER, "Kind | Name | Size")


def test_a_table_in_a_cell_is_text_of_that_cell(read: Read) -> None:
    inner = "<table><tr><td>x</td><td>y</td></tr></table>"
    page = f"<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>{inner}</td></tr></table>"
    assert read(page, "a.html").text == "a | b\n1 | x | y"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("<table><tr><th>Name</th><td>rag</td></tr><tr><th>Size</th><td>3</td></tr></table>", "a.html"),
        ("| | |\n|---|---|\n| Name | rag |\n| Size | 3 |", "a.md"),
        ("Name,rag\nName,3\n", "a.csv"),
    ],
)
def test_rows_without_a_header_are_all_rows(read: Read, source: str, name: str) -> None:
    document = read(source, name)
    assert {kind for kind, _ in parts(document, document.blocks[0])} == {PartKind.ROW}


def test_empty_cells_keep_their_place(read: Read) -> None:
    assert (
        read("| a | b | c |\n|---|---|---|\n| | x | |\n| | | |\n| 1 | | 2 |", "a.md").text
        == "a | b | c\n | x\n1 |  | 2"
    )


def test_spans_beyond_reason_are_bounded(read: Read) -> None:
    cell = "<td rowspan=9999 colspan=9999>xxxxxxxxxx</td>"
    page = f"<table><tr><th>a</th></tr>{('<tr>' + cell * 300 + '</tr>') * 20}{'<tr></tr>' * 2000}</table>"
    assert len(read(page, "a.html").text) < 3_000_000


# Definitions --------------------------------------------------------------------------------------------------------


def test_options_of_a_manual_page_are_terms_with_all_their_paragraphs(read: Read) -> None:
    page = (
        "OPTIONS\n       -a, --all\n              do not ignore entries\n\n       -b, --escape\n"
        "              print escapes\n\n              for all others\n\nEXIT STATUS\n       0      if OK\n"
    )
    document = read(page, "ls.txt")
    assert [kind for kind, _ in blocks(document)] == [
        BlockKind.HEADING, BlockKind.DEFINITIONS, BlockKind.DEFINITIONS, BlockKind.HEADING, BlockKind.PARAGRAPH,
    ]  # fmt: skip
    assert parts(document, document.blocks[2]) == [
        (PartKind.TERM, "-b, --escape"),
        (PartKind.DESCRIPTION, "       print escapes"),
        (PartKind.DESCRIPTION, "       for all others"),
    ]


def test_terms_without_empty_lines_between_are_kept_apart(read: Read) -> None:
    document = read("Words:\n\nchunk\n    A span.\nblock\n    A piece,\n    typed.\n\nEnd.\n", "a.rst")
    assert parts(document, document.blocks[1]) == [
        (PartKind.TERM, "chunk"), (PartKind.DESCRIPTION, "    A span."),
        (PartKind.TERM, "block"), (PartKind.DESCRIPTION, "    A piece,\n    typed."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("<dl><dt>copy<dd><p>Copies:<pre class=lang-sh>cp a\n  b</pre><p>Slow.</p></dd><dt>move</dt></dl>", "a.html"),
        ("copy\n: Copies:\n\n  ```sh\n  cp a\n    b\n  ```\n\n  Slow.\n\nmove\n: Moves.\n", "a.md"),
    ],
)  # fmt: skip
def test_code_in_a_description_is_code_and_the_rest_keeps_its_term(read: Read, source: str, name: str) -> None:
    document = read(source, name)
    assert [kind for kind, _ in blocks(document)] == [BlockKind.DEFINITIONS, BlockKind.CODE, BlockKind.DEFINITIONS]
    assert parts(document, document.blocks[0]) == [
        (PartKind.TERM, "- copy"), (PartKind.DESCRIPTION, "  Copies:"),
    ]  # fmt: skip
    assert (blocks(document)[1][1], document.blocks[1].language) == ("cp a\n  b", "sh")
    assert parts(document, document.blocks[2])[:2] == [(PartKind.DESCRIPTION, "  Slow."), (PartKind.TERM, "- move")]
    (kept,) = Clipper(document.text, document.blocks[2:]).clip(0, len(document.text))
    assert kept.header == "copy"


def test_a_term_with_an_indented_colon_below_is_defined_in_markdown(read: Read) -> None:
    document = read("Words:\n\nApple\n: A *fruit*.\n: A firm.\n\nNot: this.\n", "a.md")
    assert [kind for kind, _ in blocks(document)] == [BlockKind.PARAGRAPH, BlockKind.DEFINITIONS, BlockKind.PARAGRAPH]
    assert parts(document, document.blocks[1]) == [
        (PartKind.TERM, "- Apple"), (PartKind.DESCRIPTION, "  A fruit."), (PartKind.DESCRIPTION, "  A firm."),
    ]  # fmt: skip


def test_option_lists_are_items_with_their_continuation(read: Read) -> None:
    document = read(
        "Usage: x\n\n  -h, --help     show help\n  -v             say more,\n                 much more\n", "a.txt"
    )
    assert [text.split()[0] for _, text in parts(document, document.blocks[1])] == ["-h,", "-v"]


@pytest.mark.parametrize(
    "source", ["if (x) {\n    run();\n} else {\n    stop();\n", "    for (;;) {\n        run();\n    }\n"]
)
def test_code_is_not_taken_for_definitions(read: Read, source: str) -> None:
    assert BlockKind.DEFINITIONS not in {block.kind for block in read(source, "a.txt").blocks}


# Scripts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "# عنوان\n\n- أول\n  - ثان\n\n| اسم | سعر |\n|---|---|\n| تفاح | ٣ |\n",
        "# 标题\n\n- 一\n  - 二\n\n| 名 | 价 |\n|---|---|\n| 苹果 | 3 |\n",
    ],
    ids=["Arabic", "Chinese"],
)
def test_structure_is_the_same_in_every_script(read: Read, source: str) -> None:
    document = read(source, "a.md")
    assert [kind for kind, _ in blocks(document)] == [BlockKind.HEADING, BlockKind.LIST, BlockKind.TABLE]
    assert [part.level for part in document.blocks[1].parts] == [0, 1]
    assert [kind for kind, _ in parts(document, document.blocks[2])] == [PartKind.HEADER, PartKind.ROW]


# Links --------------------------------------------------------------------------------------------------------------

MARKDOWN_LINKS = """# See [no](title.md)

Read [the backups
page](../ops/backup.md#x) or [x][r], not [mail](mailto:a@b.c) or [below](#below).

- first
- second [two **b**](<b c.md> "t")

| a | b |
|---|---|
| [c1](/c1) | z |

[r]: https://example.com/r
"""
HTML_LINKS = """<main><h1>See <a href="title.md">no</a></h1>
<p>Read <a href="../ops/backup.md#x"><b>the</b> backups
page</a> or <a href="https://example.com/r">x</a>, not <a href="mailto:a@b.c">mail</a> or <a href="#below">below</a>.
<a href="h.md" hidden>hidden</a></p><ul><li>first</li><li>second <a href="b c.md">two b</a></li></ul>
<table><tr><th>a</th><th>b</th></tr><tr><td><a href="/c1">c1</a></td><td>z</td></tr></table></main>"""

RST_LINKS = """See :doc:`no <title.md>`
=========================

Read `the backups
page <../ops/backup.md#x>`__ or x_, not `mail <mailto:a@b.c>`_, :ref:`below <below>`, ``x_``, an_other_ or x_y.

- first
- second :doc:`two b <b c.md>`

=====  ==
a      b
=====  ==
`c1`_  z
=====  ==

.. _x: https://example.com/r
.. _C1: /c1
"""


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("- [Where?](#where)\n  1. [`rag up`](#up)\n\nText.\n\n- [Where?](#where) is first\n- [b](b.md#c)\n", "a.md"),
        (
            "<ul><li><a href=#where>Where?</a><ol><li><a href=#up>rag up</a></ol></ul><p>Text."
            "<ul><li><a href=#where>Where?</a> is first<li><a href=b.md#c>b</a></ul>",
            "a.html",
        ),
    ],
    ids=["md", "html"],
)
def test_a_list_of_the_sections_of_a_page_is_left_out(read: Read, source: str, name: str) -> None:
    assert read(source, name).text == "Text.\n\n- Where? is first\n- b"


@pytest.mark.parametrize(("source", "name"), [(MARKDOWN_LINKS, "a.md"), (HTML_LINKS, "a.html"), (RST_LINKS, "a.rst")])
def test_links_to_documents_are_kept_where_their_labels_stand(read: Read, source: str, name: str) -> None:
    document = read(source, name)
    found = [(" ".join(document.text[one.start : one.end].split()), one.target) for one in document.links]
    assert [(label, target.replace("%20", " ")) for label, target in found] == [
        ("the backups page", "../ops/backup.md#x"),
        ("x", "https://example.com/r"),
        ("two b", "b c.md"),
        ("c1", "/c1"),
    ]


def test_references_of_rst_are_read_as_their_names_and_documents_without_ending_are_files(read: Read) -> None:
    source = "Read :doc:`/ops/backup`, Python_, `a b`_ and an_unknown_ one_.\n\n.. _python: p.html\n.. _A B: d.html\n"
    document = read(source, "a.rst")
    assert document.text == "Read /ops/backup, Python, a b and an_unknown_ one_."
    assert [(document.text[one.start : one.end], one.target) for one in document.links] == [
        ("/ops/backup", "/ops/backup"), ("Python", "p.html"), ("a b", "d.html"),
    ]  # fmt: skip


def test_of_very_many_links_a_bounded_number_is_kept(read: Read) -> None:
    source = "\n\n".join(f"[page {number}](p{number}.md) [long](a{'b' * 400}.md)" for number in range(1500))
    links = read(source, "a.md").links
    assert len(links) == 1000
    assert links[-1].target == "p999.md"


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
