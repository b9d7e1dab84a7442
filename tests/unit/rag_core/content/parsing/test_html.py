from __future__ import annotations

import time

import pytest

from rag_core.content.parsing import BlockKind, ParseLimits
from rag_core.content.parsing.formats.html import read as parse_html_text
from rag_core.errors import Reason
from tests.support.hostile import processor_seconds
from tests.unit.rag_core.content.parsing.conftest import Read, Refusal, blocks

PAGE = """<!DOCTYPE html><html><head><title>Guide — Project</title>
<meta name="description" content="How to"></head><body>
<nav><ul><li>Home</li></ul></nav><header>Site name</header>
<main><h1>Guide<a class="headerlink" href="#guide">¶</a></h1>
<p>First <b>bold</b>,&nbsp;then<br>next line. <img src="x.png" alt="picture"></p>
<ul><li>one<ul><li>inner</li></ul></li><li><p>two</p></li></ul>
<pre>def f():
    return 1</pre>
<table><tr><th>name</th><th>price</th></tr><tr><td>a<br>b</td><td>3</td></tr></table>
<h2>More</h2><dl><dt>term</dt><dd>meaning</dd></dl>
</main><footer>Copyright</footer></body></html>"""


def test_main_text_comes_with_headings_lists_code_and_tables(read: Read) -> None:
    document = read(PAGE, "a.html")
    assert document.title == "Guide — Project"
    assert document.metadata == {"description": "How to"}
    assert blocks(document) == [
        (BlockKind.HEADING, "Guide"),
        (BlockKind.PARAGRAPH, "First bold, then\nnext line."),
        (BlockKind.LIST, "- one\n  - inner\n- two"),
        (BlockKind.CODE, "def f():\n    return 1"),
        (BlockKind.TABLE, "name | price\na b | 3"),
        (BlockKind.HEADING, "More"),
        (BlockKind.DEFINITIONS, "- term\n  meaning"),
    ]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            "<div role=navigation>menu</div><div><p>Text here.</p></div><aside>ads</aside><footer>end</footer>",
            "Text here.",
        ),
        (
            '<div class="navheader"><table><tr><td><a href=a>Prev</a></td><th>Chapter 11</th></tr></table></div>'
            '<div class="sect1"><p>Text here.</p></div><ul class="docnav left"><li><a href=b>Next</a></li></ul>',
            "Text here.",
        ),
        (
            '<div><p>Text here.</p></div><div class="footer-relations"><a href="b.html">borg diff</a></div>'
            '<div class="footer">Copyright</div>',
            "Text here.",
        ),
        (
            '<div class="toc"><p>Table of Contents</p><dl><dt><a href="a.html#b">1.1. Where?</a></dt></dl></div>Text.',
            "Text.",
        ),
        ("<nav><a href=x>only links</a></nav>", "only links"),
        ("<article><p>first one</p></article><article><p>second one</p></article>", "first one\n\nsecond one"),
    ],
    ids=[
        "roles and elements",
        "links of a documentation set",
        "links to other pages and a footer",
        "contents",
        "nothing but navigation",
        "several articles",
    ],
)
def test_a_page_without_a_main_element_loses_its_navigation_only(read: Read, page: str, text: str) -> None:
    assert read(f"<body>{page}</body>", "a.html").text == text


def test_a_teaser_in_main_does_not_replace_the_page(read: Read) -> None:
    page = f"<body><main>short</main><div><p>{'the long text ' * 50}</p></div></body>"
    assert "the long text" in read(page, "a.html").text


def test_layout_tables_of_one_cell_are_text(read: Read) -> None:
    assert blocks(read("<table><tr><td>boxed</td></tr></table>", "a.html")) == [(BlockKind.PARAGRAPH, "boxed")]


@pytest.mark.catalogue("B35")
@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>secret</p>",
        "<p style='display: none'>secret</p>",
        "<p style='color:red;VISIBILITY:hidden'>secret</p>",
        "<span style='font-size:0'>secret</span>",
        "<span style='opacity: 0;'>secret</span>",
        "<div style='position:absolute;left:-9999px'>secret</div>",
        "<div hidden><p>deep <b>secret</b></p></div>",
    ],
)
def test_hidden_text_is_removed_and_flagged(read: Read, hidden: str) -> None:
    document = read(f"<body><p>seen</p>{hidden}<p style='font-size:0.9em;opacity:0.5'>too</p></body>", "a.html")
    assert document.text == "seen\n\ntoo"
    assert document.flags == {"hidden_text"}


@pytest.mark.catalogue("B35")
def test_scripts_styles_and_comments_are_removed_without_a_flag(read: Read) -> None:
    page = (
        "<body><script>alert('x')</script><style>p{}</style><!-- note --><noscript>turn on</noscript>"
        "<template><p>later</p></template><p onclick='evil()'>seen</p><svg><text>drawn</text></svg></body>"
    )
    document = read(page, "a.html")
    assert document.text == "seen"
    assert document.flags == set()


@pytest.mark.catalogue("B35")
def test_a_large_data_uri_costs_nothing(read: Read) -> None:
    page = "<body><p>seen</p><img src='data:image/png;base64," + "A" * 20_000_000 + "'></body>"
    assert read(page, "a.html").text == "seen"


@pytest.mark.catalogue("B35")
@pytest.mark.parametrize("tag", ["div", "b", "blockquote"])
def test_deep_nesting_is_refused_at_once(refusal: Refusal, tag: str) -> None:
    started = time.process_time()
    assert refusal(f"<html><body>{f'<{tag}>' * 100_000}x", "a.html") is Reason.NESTING_TOO_DEEP
    assert time.process_time() - started < 5  # building this tree takes a minute


@pytest.mark.catalogue("B35")
def test_the_depth_limit_is_exact_for_the_tree_that_browsers_build(read: Read, refusal: Refusal) -> None:
    assert read("<body>" + "<div>" * 40 + "x", "a.html", max_nesting=41).text == "x"
    assert refusal("<body>" + "<div>" * 60 + "x", "a.html", max_nesting=41) is Reason.NESTING_TOO_DEEP
    # Paragraphs and list items end by themselves: sloppy pages are not deep.
    assert read("<body>" + "<p>x<li>y" * 1000, "a.html", max_nesting=41).text.count("x") == 1000


def test_the_label_of_an_admonition_begins_its_text(read: Read) -> None:
    page = (
        '<main><h1>Guide</h1><div class="admonition note"><p class="admonition-title">Note</p><p>It is slow.</p></div>'
        '<div class="admonition warning"><p class="admonition-title">Warning</p><pre>rm -r</pre></div>'
        "<p>Go on.</p></main>"
    )
    assert blocks(read(page, "a.html"))[1:] == [
        (BlockKind.PARAGRAPH, "Note: It is slow."),
        (BlockKind.PARAGRAPH, "Warning"),
        (BlockKind.CODE, "rm -r"),
        (BlockKind.PARAGRAPH, "Go on."),
    ]


def test_the_title_of_a_note_or_sidebar_is_no_section(read: Read) -> None:
    """As DocBook and Bootstrap write them; what follows stays in its own section."""
    page = (
        "<h1>Guide</h1><p>First.</p>"
        '<div class="note"><h3 class="title">Note</h3><p>It is slow.</p></div>'
        '<div class="sidebar"><div class="titlepage"><div><div><p class="title"><b>备份</b></p></div></div></div>'
        "<div>磁带。</div></div>"
        '<div class="alert alert-info"><h4 class="alert-heading">Heads up</h4></div><p>Last.</p>'
    )
    assert blocks(read(page, "a.html")) == [
        (BlockKind.HEADING, "Guide"),
        (BlockKind.PARAGRAPH, "First."),
        (BlockKind.PARAGRAPH, "Note: It is slow."),
        (BlockKind.PARAGRAPH, "备份：磁带。"),
        (BlockKind.PARAGRAPH, "Heads up"),
        (BlockKind.PARAGRAPH, "Last."),
    ]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (  # DocBook
            '<div class="note"><table><tr><td rowspan="2"><img alt="[Note]" src="n.png"></td><th>Note</th></tr>'
            "<tr><td><p>It is slow.</p><p>Very.</p></td></tr></table></div>",
            ["Note: It is slow.", "Very."],
        ),
        (  # Asciidoctor
            '<div class="admonitionblock tip"><table><tr><td class="icon"><div class="title">Tip</div></td>'
            '<td class="content">Sharpen it.</td></tr></table></div>',
            ["Tip: Sharpen it."],
        ),
        (
            '<table role="presentation"><tr><td><p>Left.</p><td><table><tr><th>a<th>b<tr><td>1<td>2</table></table>',
            ["Left.", "a | b\n1 | 2"],
        ),
        ('<div class="note"><table><tr><th>a<th>b<tr><td>1<td>2<tr><td>3<td>4</table></div>', ["a | b\n1 | 2\n3 | 4"]),
    ],
)
def test_a_table_that_only_places_text_is_no_data(read: Read, page: str, expected: list[str]) -> None:
    assert [text for _, text in blocks(read(f"<h1>A</h1>{page}", "a.html"))[1:]] == expected


def test_headings_of_a_page_that_calls_itself_a_note_are_its_sections(read: Read) -> None:
    page = '<div class="note"><h1>Meeting</h1><p>One.</p><h2>Decisions</h2><p>Two.</p></div>'
    assert [kind for kind, _ in blocks(read(page, "a.html"))] == [BlockKind.HEADING, BlockKind.PARAGRAPH] * 2


@pytest.mark.parametrize("part", ["<h3>a</h3><p>b</p>", '<div class="note"><table><tr><td>a<tr><td>b</table></div>'])
def test_a_note_of_many_headings_or_notes_is_read_in_linear_time(part: str) -> None:
    def took(count: int) -> float:
        page = f'<h1>A</h1><div class="tip">{"<p>x</p>" * count}{part * count}</div>'
        return min(processor_seconds(lambda: parse_html_text(page, ParseLimits(), "text/html"), 30) for _ in range(2))

    slow = took(16_000)
    assert slow < 0.1 or slow < 8 * took(4_000)


def test_links_that_stand_alone_above_the_first_heading_lead_to_other_pages(read: Read) -> None:
    page = (
        '<div id="banner"><a href="get"><span>Download the book</span></a></div>'
        '<p><a href="/"><img alt="Product site logo" src="a"></a> | <a href="b">Up</a></p>'
        '<ul><li><a href="c">Contents</a></li></ul><p>Edited in <a href="d">May</a>.</p>'
        '<h2>Guide</h2><p><a href="e">Further reading</a></p>'
    )
    assert [text for _, text in blocks(read(page, "a.html"))] == ["Edited in May.", "Guide", "Further reading"]
    # Without a heading, links are what the page says.
    assert "Contents" in read(page.partition("<h2>")[0], "a.html").text
    assert "Contents" in read(page.replace("<h2>", "<nav><h2>").replace("</h2>", "</h2></nav>"), "a.html").text
