"""Tables, columns, lists and pages of PDFs."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from reportlab.pdfgen import canvas

from rag_core.content.parsing import Block, BlockKind, ParsedDocument, PartKind, parts_of
from tests.support.hostile import processor_seconds
from tests.unit.rag_core.content.parsing import builders
from tests.unit.rag_core.content.parsing.conftest import Read


@pytest.fixture
def tables(read: Read) -> ParsedDocument:
    return read(builders.tables_pdf(), "a.pdf")


def drawn(
    *lines: tuple[float, float, str],
    font: str = "Helvetica",
    height: int = 842,
    rules: Sequence[tuple[float, float, float, float]] = (),
    turned: bool = False,
) -> bytes:
    """A page with each text at its place, and rules; `turned` as landscape on a page that is not."""
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, pagesize=(595, height), invariant=1)
    if turned:
        page.translate(595, 0)
        page.rotate(90)
    page.setFont(font, 10)
    for x, y, text in lines:
        page.drawString(x, y, text)
    for rule in rules:
        page.line(*rule)
    page.showPage()
    page.save()
    return buffer.getvalue()


def rows(document: ParsedDocument, block: Block) -> list[str]:
    return document.text[block.start : block.end].split("\n")


def of_kind(document: ParsedDocument, kind: BlockKind) -> list[Block]:
    return [block for block in document.blocks if block.kind is kind]


def test_a_ruled_table_keeps_its_rows_its_empty_cells_and_its_wrapped_ones(tables: ParsedDocument) -> None:
    ruled = of_kind(tables, BlockKind.TABLE)[0]
    assert rows(tables, ruled) == [
        "Setting | Default | Meaning",
        "RAG_PORT | 8080 | The port of the gateway, which is bound on the loopback address only",
        "RAG_HOME |  | Where data lies",
    ]
    assert parts_of(ruled, "\n".join(rows(tables, ruled)))[0].kind is PartKind.HEADER
    assert "Prose before the tables." in tables.text.split("\n\n")
    assert "Prose between the tables." in tables.text.split("\n\n")


def test_aligned_columns_are_a_table_whose_header_is_seen_by_the_numbers_below(tables: ParsedDocument) -> None:
    prices = of_kind(tables, BlockKind.TABLE)[1]
    assert rows(tables, prices) == ["Name | Price", "apple | 3", "pear | 12", "cherry | 100"]
    assert prices.parts == ()  # the first line is the header


def test_a_table_whose_first_row_is_like_the_others_has_no_header(tables: ParsedDocument) -> None:
    keys = of_kind(tables, BlockKind.TABLE)[2]
    assert rows(tables, keys)[0] == "C-a | move to the start"
    assert {part.kind for part in keys.parts} == {PartKind.ROW}


def test_a_table_over_two_pages_begins_on_each_with_its_header(tables: ParsedDocument) -> None:
    first, rest = of_kind(tables, BlockKind.TABLE)[3:]
    assert (first.page, rest.page) == (1, 2)
    assert rows(tables, first)[0] == rows(tables, rest)[0] == "Number | Square"
    numbers = [row.split(" | ")[0] for row in rows(tables, first)[1:] + rows(tables, rest)[1:]]
    assert numbers == [str(number) for number in range(60)]


def test_columns_are_read_one_after_the_other_whatever_the_order_in_the_file(read: Read) -> None:
    text = read(builders.columns_pdf(), "a.pdf").text
    assert text.startswith("A title over both columns\n\nleft column line a")
    assert text.index("left column line l") < text.index("right column line a")
    assert "continues left column line b" in text


def test_blocks_know_their_page(read: Read) -> None:
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, invariant=1)
    for number in range(1, 4):
        page.drawString(72, 700, f"What stands on page {('one', 'two', 'three')[number - 1]}.")
        page.showPage()
    page.save()
    document = read(buffer.getvalue(), "a.pdf")
    assert [block.page for block in document.blocks] == [1, 2, 3]


def test_items_that_follow_each_other_are_one_list_with_levels(read: Read) -> None:
    lines = [(72, 700, "- one"), (90, 686, "- inner"), (72, 672, "- two")]
    (listed,) = of_kind(read(drawn(*lines), "a.pdf"), BlockKind.LIST)
    assert [(part.kind, part.level) for part in listed.parts] == [
        (PartKind.ITEM, 0), (PartKind.ITEM, 1), (PartKind.ITEM, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right", "font"),
    [
        (["1", "2", "3", "4"], ["x = {", "  a", "}", "y"], "Courier"),
        (["1 Begin", "2 Middle", "3 End", "4 Index"], ["1", "4", "9", "12"], "Helvetica"),
        (["a + b = c", "d + e = f", "g + h = i", "j = k"], ["(1)", "(2)", "(3)", "(4)"], "Helvetica"),
        (["•", "•", "•", "•"], ["an item", "another item", "a third", "a fourth"], "Helvetica"),
    ],
    ids=["code with line numbers", "contents", "equations", "list"],
)
def test_what_is_aligned_for_other_reasons_is_no_table(
    read: Read, left: list[str], right: list[str], font: str
) -> None:
    lines = [place for n in range(4) for place in ((72, 700 - 14 * n, left[n]), (250, 700 - 14 * n, right[n]))]
    assert of_kind(read(drawn(*lines, font=font), "a.pdf"), BlockKind.TABLE) == []


NUMBERS = [
    ("", "2001", "2002", "2003"),
    ("Schools", "15 455", "13 951", "12 068"),
    ("Colleges", "35 190", "44 307", "60"),
]


def placed(cells: Sequence[Sequence[str]], *, top: int = 700, pitch: int = 20) -> list[tuple[float, float, str]]:
    return [
        (72 + 120 * column, top - pitch * row, text)
        for row, texts in enumerate(cells)
        for column, text in enumerate(texts)
        if text
    ]


@pytest.mark.parametrize("turned", [False, True], ids=["upright", "turned"])
@pytest.mark.parametrize(
    "uprights",
    [(188, 308, 428), (188, 191, 308, 311, 428, 431), (70, 188, 308, 428, 550)],
    ids=["open sides", "twice drawn", "closed"],
)
def test_a_grid_is_as_wide_as_its_rules_and_has_no_column_where_nothing_stands(
    read: Read, uprights: tuple[int, ...], *, turned: bool
) -> None:
    rules = [(70, y, 550, y) for y in (715, 695, 675, 655)] + [(x, 655, x, 715) for x in uprights]
    document = read(drawn(*placed(NUMBERS), rules=rules, turned=turned), "a.pdf")
    (table,) = of_kind(document, BlockKind.TABLE)
    assert rows(document, table) == [" | ".join(cells) for cells in NUMBERS]


def test_a_box_with_a_line_to_another_is_no_table(read: Read) -> None:
    rules = [(70, 690, 200, 690), (70, 715, 200, 715), (70, 690, 70, 715), (200, 690, 200, 715), (200, 702, 300, 702)]
    texts = [(80, 703, "The board of"), (80, 693, "education"), (210, 704, "decides")]
    assert of_kind(read(drawn(*texts, rules=rules), "a.pdf"), BlockKind.TABLE) == []


def test_columns_of_prose_with_a_rule_between_are_no_table(read: Read) -> None:
    places = [(x, 700 - 14 * n, f"this is line {n} of column {x} of the text") for n in range(8) for x in (72, 320)]
    rules = [(60, 715, 560, 715), (60, 590, 560, 590), (310, 590, 310, 715)]
    document = read(drawn(*places, rules=rules), "a.pdf")
    assert of_kind(document, BlockKind.TABLE) == []
    assert document.text.index("line 7 of column 72") < document.text.index("line 0 of column 320")


def test_rows_that_share_a_cell_are_rows_and_a_cell_of_two_shades_is_one(read: Read) -> None:
    cells = [("Kind", "Limit"), ("Air", "10"), ("Water", "200"), ("Compounds", ""), ("(as HCl)", "5")]
    ends = (715, 695, 655, 635, 615)
    rules = [(70, y, 310, y) for y in ends] + [(x, 615, x, 715) for x in (70, 190, 310)]
    (table,) = of_kind(document := read(drawn(*placed(cells), rules=rules), "a.pdf"), BlockKind.TABLE)
    assert rows(document, table) == ["Kind | Limit", "Air | 10", "Water | 200", "Compounds (as HCl) | 5"]


@pytest.mark.parametrize("pitch", [12, 20], ids=["tight", "wide"])
def test_aligned_rows_may_have_headings_among_them_and_wrapped_names(read: Read, pitch: int) -> None:
    lines = placed(
        [("Name", "2001", "2002"), ("Effect",), ("Work", "40", "41"), ("Further studies", "", "")], pitch=pitch
    )
    below = 700 - 3 * pitch - 12
    lines += placed([("education", "15", "16"), ("Process",), ("Dropping out", "17", "18")], top=below, pitch=pitch)
    lines.append((72, below - 2 * pitch - 40, "Prose that follows."))
    (table,) = of_kind(document := read(drawn(*lines), "a.pdf"), BlockKind.TABLE)
    assert rows(document, table)[:3] == ["Name | 2001 | 2002", "Effect", "Work | 40 | 41"]
    assert rows(document, table)[3:] == ["Further studies education | 15 | 16", "Process", "Dropping out | 17 | 18"]


def test_fixed_width_text_with_a_column_of_numbers_is_a_table_and_code_is_not(read: Read) -> None:
    table = ["State         People  Share", "Alabama      4,779.7   1.5%", "Alaska         710.2   0.2%"]
    code = ["def f(x):      # 12", "    return x   # 13", "y = f(3)       # 14"]
    found, kept = (
        read(drawn(*((72, 700 - 12 * n, line) for n, line in enumerate(lines * 2)), font="Courier"), "a.pdf")
        for lines in (table, code)
    )
    assert rows(found, *of_kind(found, BlockKind.TABLE))[:2] == ["State | People | Share", "Alabama | 4,779.7 | 1.5%"]
    assert [block.kind for block in kept.blocks] == [BlockKind.CODE]


@pytest.mark.parametrize(
    ("font", "mark", "is_bullet"),
    [
        ("Times-Roman", "Ê", True),
        ("Times-Roman", "¢", True),
        ("ZapfDingbats", "n", True),
        ("Symbol", "χ", False),
    ],
)
def test_marks_of_other_fonts_begin_items_and_letters_of_formulas_do_not(
    read: Read, font: str, mark: str, *, is_bullet: bool
) -> None:
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, invariant=1)
    for number in range(4):
        page.setFont(font, 10)
        page.drawString(72, 700 - 14 * number, mark)
        page.setFont("Helvetica", 10)
        page.drawString(100, 700 - 14 * number, f"An item of the list {number}")
    page.save()
    document = read(buffer.getvalue(), "a.pdf")
    assert (document.blocks[0].kind is BlockKind.LIST) is is_bullet
    assert document.text.startswith("• An item of the list 0") is is_bullet


def test_a_ligature_that_no_gap_follows_is_joined_and_a_word_that_ends_so_is_not(read: Read) -> None:
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, invariant=1)
    text = page.beginText(72, 680)
    text.setFont("Helvetica", 10)
    text.setWordSpace(-2.7)
    text.textOut("défi nir")
    text.setWordSpace(0)
    text.textOut(" les plans, staff are off in fine")
    page.drawText(text)
    page.save()
    assert read(buffer.getvalue(), "a.pdf").text == "définir les plans, staff are off in fine"


GRID = [(x, 90, x, 130) for x in (60, 160, 260)] + [(60, y, 260, y) for y in (90, 110, 130)]
HATCH = [(3 * n, 0, 3 * n, 840) for n in range(201)] + [(0, 3 * n, 600, 3 * n) for n in range(281)]


@pytest.mark.parametrize(
    ("rules", "tables"),
    [(GRID, 1), (GRID * 1400, 0), (HATCH, 0)],
    ids=["a table", "8,400 strokes over each other", "482 rules"],
)
def test_a_drawing_of_very_many_strokes_is_read_as_text(
    read: Read, rules: list[tuple[float, float, float, float]], tables: int
) -> None:
    texts = [(70, 117, "RAG_PORT"), (170, 117, "8080"), (70, 97, "RAG_HOME"), (170, 97, ".rag")]
    document = read(drawn(*texts, rules=rules), "a.pdf")
    assert "RAG_HOME" in document.text
    assert len(of_kind(document, BlockKind.TABLE)) == tables


@pytest.mark.parametrize("ruled", [False, True])
def test_a_page_of_aligned_rows_without_end_is_read_in_linear_time(read: Read, ruled: bool) -> None:
    def seconds(count: int) -> float:
        height = 14 * count + 100
        heights = range(height - 20, height - 20 - 14 * count, -14)
        places = [place for y in heights for place in ((72, y, "•"), (250, y, "item"))]
        rules = [(x, 10, x, height - 10) for x in (50, 200, 400)] + [(50, y, 400, y) for y in (10, height - 10)]
        content = drawn(*places, height=height, rules=rules if ruled else [])
        return processor_seconds(lambda: read(content, "a.pdf"), 30)

    # Quadratic work would take sixteen times as long. What seems slow is measured again.
    assert any(seconds(4000) <= 0.2 + 8 * seconds(1000) for _ in range(3))
