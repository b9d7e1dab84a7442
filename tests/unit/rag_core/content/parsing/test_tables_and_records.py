from __future__ import annotations

import pytest

from rag_core.content.parsing import BlockKind
from rag_core.errors import Reason
from tests.unit.rag_core.content.parsing.conftest import Read, Refusal


def test_csv_is_one_table_with_its_header_first(read: Read) -> None:
    document = read('name;note\n"a;b";"two\nlines"\n张三;价格\n', "a.csv")
    assert document.text == "name | note\na;b | two lines\n张三 | 价格"
    assert [block.kind for block in document.blocks] == [BlockKind.TABLE]
    assert document.metadata == {"rows": "3"}


@pytest.mark.catalogue("B36")
def test_ragged_rows_are_set_aside_with_their_line_numbers(read: Read) -> None:
    document = read("a,b\n1,2\n1,2,3\n\n5\n6,7\n", "a.csv")
    assert document.text == "a | b\n1 | 2\n6 | 7"
    assert document.flags == {"rows_skipped"}
    assert document.metadata["rows_skipped"] == "2"
    assert document.metadata["rows_skipped_detail"] == "line 3: 3 cells, expected 2; line 5: 1 cells, expected 2"


@pytest.mark.catalogue("B36")
def test_a_quote_that_is_never_closed_costs_one_row(read: Read) -> None:
    document = read('a,b\n1,2\n"open,4\n' + "5,6\n" * 1000, "a.csv")
    assert document.metadata["rows"] == "1002"
    assert document.metadata["rows_skipped_detail"].startswith("line 3:")


@pytest.mark.catalogue("B36")
def test_a_cell_of_ten_megabytes_costs_one_row(read: Read) -> None:
    document = read("a,b\n1,2\n3," + "x" * 10_000_000 + "\n5,6\n", "a.csv")
    assert document.text == "a | b\n1 | 2\n5 | 6"
    assert document.metadata["rows_skipped_detail"].startswith("line 3:")


@pytest.mark.catalogue("B36")
def test_byte_order_mark_and_formulas(read: Read) -> None:
    document = read("\ufeffname,value\n=cmd()|' /C calc'!A0,@SUM(1)\n", "a.csv")
    assert document.text == "name | value\n=cmd()|' /C calc'!A0 | @SUM(1)"


@pytest.mark.catalogue("B36")
def test_a_file_that_is_no_table_is_refused_or_kept_whole(read: Read, refusal: Refusal) -> None:
    assert refusal("a,b\n" + '1,"x\n' * 5000, "a.csv") is Reason.PARSE_FAILED
    assert read("one\na,b\nc,d,e\nf,g,h,i\n", "a.csv").text.count("\n") == 3


def test_json_objects_give_a_block_per_key_and_arrays_one_per_element(read: Read) -> None:
    document = read(
        '{"title": "Report", "author": {"name": "Li"}, "tags": ["a", "b"], "n": 1.50, "ok": true}', "a.json"
    )
    assert document.title == "Report"
    assert document.text.split("\n\n") == ["title: Report", "author.name: Li", "tags: a, b", "n: 1.50", "ok: true"]
    assert read('[{"a": 1}, {"a": 2, "b": null}]', "a.json").text == "a: 1\n\na: 2\nb: null"


def test_json_numbers_and_repeated_keys_are_kept_as_written(read: Read) -> None:
    digits = "9" * 10_000
    assert read(f'{{"a": {digits}, "b": 1e400, "a": NaN}}', "a.json").text == f"a: {digits}\n\nb: 1e400\n\na: NaN"


def test_json_that_is_broken_or_too_deep_is_refused(refusal: Refusal) -> None:
    assert refusal('{"a": ', "a.json") is Reason.PARSE_FAILED
    assert refusal("{}\n{}", "a.json") is Reason.PARSE_FAILED
    assert refusal("[" * 200_000, "a.json") is Reason.NESTING_TOO_DEEP
    assert refusal("[" * 450 + "1" + "]" * 450, "a.json") is Reason.NESTING_TOO_DEEP


def test_json_with_long_keys_cannot_grow_without_bound(refusal: Refusal) -> None:
    content = '{"x": {"' + "k" * 1000 + '": [' + ",".join(['{"a": 1}'] * 5000) + "]}}"
    assert refusal(content, "a.json", max_text_chars=500_000) is Reason.TEXT_TOO_LARGE


def test_jsonl_gives_a_block_per_line_and_sets_bad_lines_aside(read: Read, refusal: Refusal) -> None:
    document = read('{"a": 1}\n\nnot json\n{"a": 2}\n', "a.jsonl")
    assert document.text == "a: 1\n\na: 2"
    assert document.flags == {"rows_skipped"}
    assert document.metadata["rows_skipped_detail"].startswith("line 3: not valid JSON")
    assert refusal("not json\nat all\n", "a.jsonl") is Reason.PARSE_FAILED


def test_package_metadata_gives_title_summary_and_description(read: Read) -> None:
    headers = "Metadata-Version: 2.1\nName: demo\nVersion: 1.2\nSummary: A demo.\nLicense: MIT\nClassifier: x\n"
    markdown = read(headers + "Description-Content-Type: text/markdown\n\n# Use\n\nCall **it**.\n", "demo/METADATA")
    assert markdown.title == "demo 1.2"
    assert markdown.text == "demo 1.2\n\nA demo.\n\nLicence: MIT\n\nUse\n\nCall it."
    assert markdown.metadata["license"] == "MIT"
    plain = read(headers + "\nUsage\n=====\n\nCall **it**.\n", "PKG-INFO")
    assert [block.kind for block in plain.blocks] == [
        BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.LIST, BlockKind.HEADING, BlockKind.PARAGRAPH,
    ]  # fmt: skip
    assert plain.text.endswith("Call it.")


def test_plain_text_keeps_its_lines_and_knows_underlined_headings(read: Read) -> None:
    document = read(
        "====\nTop\n====\n\nIntro line\n  indented\r\n\r\nPart\n----\nbody\n\n- item\n- item\n", "README.rst"
    )
    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        (BlockKind.HEADING, "Top"),
        (BlockKind.DEFINITIONS, "Intro line\n  indented"),
        (BlockKind.HEADING, "Part"),
        (BlockKind.PARAGRAPH, "body"),
        (BlockKind.LIST, "- item\n- item"),
    ]
    assert document.title == "Top"


def test_a_ruled_line_far_longer_than_the_text_above_is_no_heading(read: Read) -> None:
    assert all(block.kind is BlockKind.PARAGRAPH for block in read(f"a\n{'-' * 70}\nb", "a.txt").blocks)
