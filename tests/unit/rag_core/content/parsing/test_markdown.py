from __future__ import annotations

import pytest

from rag_core.content.parsing import BlockKind
from rag_core.errors import Reason
from tests.unit.rag_core.content.parsing.conftest import Read, Refusal, blocks

SOURCE = """---
title: Front title
tags: [a, b]
draft: false
---
# The *main* heading

Some **bold** text with `code`, a [link](http://x) and
a soft break. ![badge](b.svg) See [ref].

这是第一行
第二行。

- one
- two
  1. inner

```python
x = 1

y = 2
```

| a | b |
|---|---|
| 1 | `2` |

> quoted

<details><summary>More</summary>inside</details>

Setext
------

[ref]: http://y
"""


def test_blocks_keep_structure_and_lose_markup(read: Read) -> None:
    document = read(SOURCE, "a.md")
    assert document.title == "Front title"
    assert document.metadata == {"title": "Front title", "tags": "a, b", "draft": "False"}
    assert blocks(document) == [
        (BlockKind.HEADING, "The main heading"),
        (BlockKind.PARAGRAPH, "Some bold text with code, a link and a soft break. See ref."),
        (BlockKind.PARAGRAPH, "这是第一行第二行。"),
        (BlockKind.LIST, "- one\n- two\n  1. inner"),
        (BlockKind.CODE, "x = 1\n\ny = 2"),
        (BlockKind.TABLE, "a | b\n1 | 2"),
        (BlockKind.QUOTE, "quoted"),
        (BlockKind.PARAGRAPH, "More"),
        (BlockKind.PARAGRAPH, "inside"),
        (BlockKind.HEADING, "Setext"),
    ]
    assert [block.level for block in document.blocks if block.kind is BlockKind.HEADING] == [1, 2]


def test_title_is_the_first_heading_then_the_name(read: Read) -> None:
    assert read("intro\n\n## Second level", "a.md").title == "Second level"
    assert read("just text", "docs/notes.md").title == "notes.md"


def test_hidden_html_in_markdown_is_removed_and_flagged(read: Read) -> None:
    document = read("seen\n\n<p style='display:none'>secret</p>\n\n<!-- note -->\n\nend", "a.md")
    assert document.text == "seen\n\nend"
    assert document.flags == {"hidden_text"}


def test_long_documents_parsed_in_pieces_read_like_short_ones(read: Read) -> None:
    section = "# Heading\n\nText with [a link][ref].\n\n```\n# not a heading\n```\n\n"
    document = read(section * 3000 + "[ref]: http://x\n", "a.md")
    assert len(document.blocks) == 3 * 3000
    assert document.text.count("Text with a link.") == 3000
    assert document.text.count("# not a heading") == 3000


@pytest.mark.catalogue("B34")
@pytest.mark.parametrize(
    "content",
    ["- " * 20_000 + "x", "> " * 100_000 + "x", "\n".join("  " * depth + "- x" for depth in range(300))],
    ids=["line", "quote", "list"],
)
def test_deep_lists_are_refused_not_cut(refusal: Refusal, content: str) -> None:
    assert refusal(content, "a.md") is Reason.NESTING_TOO_DEEP


@pytest.mark.catalogue("B34")
def test_thousands_of_list_items_are_read_completely(read: Read) -> None:
    document = read("".join("  " * (number % 10) + "- item\n" for number in range(5_000)), "a.md")
    assert document.text.count("item") == 5_000


@pytest.mark.catalogue("B34")
def test_headings_beyond_the_cap_are_refused(refusal: Refusal) -> None:
    assert refusal("# a\n" * 20_000, "a.md", max_blocks=5_000) is Reason.TOO_MANY_CHUNKS


@pytest.mark.catalogue("B34")
@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, "*a _b " * 20_000, "a" + "`" * 100_000, "<" * 100_000, "![" * 50_000, "\\" * 100_001 + "["],
)
def test_inline_marks_that_make_parsers_quadratic_are_kept_as_text(read: Read, content: str) -> None:
    assert len(read(content, "a.md").text) > 50_000
