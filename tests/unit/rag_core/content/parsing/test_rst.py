"""Tables of reStructuredText become table blocks, those in literal text stay examples, and docutils opens nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_core.content.parsing import BlockKind
from tests.unit.rag_core.content.parsing.conftest import Read, blocks

GRID = """\
+------------+------------------+
| Setting    | Default          |
+============+==================+
| ``port``   | 8080             |
+------------+------------------+
| host       | | 127.0.0.1      |
|            | | ::1            |
+------------+------------------+
"""
SIMPLE = """\
=======  ==========
Setting  Default
=======  ==========
port     8080

host     127.0.0.1
         ::1
=======  ==========
"""
LIST = """\
.. list-table::
   :header-rows: 1
   :widths: 20 80

   * - Setting
     - Default
   * - port
     - 8080
   * - host
     - 127.0.0.1

       ::1
"""
CSV = """\
.. csv-table::
   :header: Setting, Default

   port, 8080
   host, "127.0.0.1
   ::1"
"""
WRAPPED = ".. table::\n\n" + "".join(f"   {line}\n" if line else "\n" for line in SIMPLE.split("\n"))


@pytest.mark.parametrize("source", [GRID, SIMPLE, LIST, CSV, WRAPPED], ids=["grid", "simple", "list", "csv", "table"])
def test_every_kind_of_table_is_a_table_block_with_its_header_first(read: Read, source: str) -> None:
    document = read(f"Server\n======\n\nIts settings:\n\n{source}\nThe end.\n", "server.rst")
    assert blocks(document) == [
        (BlockKind.HEADING, "Server"),
        (BlockKind.PARAGRAPH, "Its settings:"),
        (BlockKind.TABLE, "Setting | Default\nport | 8080\nhost | 127.0.0.1 ::1"),
        (BlockKind.PARAGRAPH, "The end."),
    ]
    assert document.blocks[2].parts == ()  # the first line is the header row


def test_a_table_without_header_has_rows_only(read: Read) -> None:
    document = read("===  ===\nA    1\nB    2\n===  ===\n\nText.\n", "a.rst")
    assert blocks(document) == [(BlockKind.TABLE, "A | 1\nB | 2"), (BlockKind.PARAGRAPH, "Text.")]
    assert [part.kind.value for part in document.blocks[0].parts] == ["row", "row"]


def test_the_title_of_a_table_stands_above_it_and_spans_are_filled(read: Read) -> None:
    lines = ("+---+---+", "| A | B |", "+===+===+", "| 1 | 2 |", "|   +---+", "|   | 3 |", "+---+---+")
    source = ".. table:: Sizes\n\n" + "".join(f"   {line}\n" for line in lines)
    assert blocks(read(source, "a.rst")) == [
        (BlockKind.PARAGRAPH, "Sizes"),
        (BlockKind.TABLE, "A | B\n1 | 2\n1 | 3"),
    ]


def test_roles_of_other_tools_are_read_as_their_text(read: Read) -> None:
    source = ".. csv-table::\n\n   :ref:`the port <port>`, :py:class:`~http.Server` listens, |version|\n"
    assert read(source, "a.rst").text == "the port | http.Server listens | version"


def test_a_table_behind_two_colons_is_an_example(read: Read) -> None:
    example = "".join(f"   {line}\n" if line else "\n" for line in f"{GRID}\n{LIST}".split("\n"))
    document = read(f"Write it so::\n\n{example}\nText.\n", "a.rst")
    assert {kind for kind, _ in blocks(document)} == {BlockKind.PARAGRAPH, BlockKind.CODE}


@pytest.mark.parametrize("option", [":file: {}", ":url: file://{}"])
def test_no_file_is_read_that_a_table_names(read: Read, tmp_path: Path, option: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("not, yours\n")
    document = read(f".. csv-table::\n   {option.format(secret)}\n", "a.rst")
    assert "yours" not in document.text
    assert [kind for kind, _ in blocks(document)] == [BlockKind.PARAGRAPH]


@pytest.mark.parametrize(
    "source",
    [
        "+---+\n| a |\n",
        "+---+---+\n| a | b\n+---+---+\n",
        "===  ===\nno   end\n",
        "===  ===\nover the margin  b\n===  ===\n",
        ".. list-table::\n\n   * - a\n   * - b\n     - c\n",
        ".. csv-table::\n   :delim: none such\n\n   a, b\n",
    ],
)
def test_what_docutils_refuses_stays_text(read: Read, source: str) -> None:
    document = read(f"Before.\n\n{source}\nAfter.\n", "a.rst")
    assert BlockKind.TABLE not in {kind for kind, _ in blocks(document)}
    assert document.text.split() == f"Before. {source} After.".split()


def test_a_very_long_table_stays_text(read: Read) -> None:
    rows = "".join(f"   row {number}, {number}\n" for number in range(5_000))
    document = read(f".. csv-table::\n\n{rows}", "a.rst")
    assert "row 4999" in document.text
    assert BlockKind.TABLE not in {kind for kind, _ in blocks(document)}


def test_descriptions_of_packages_have_their_tables(read: Read) -> None:
    document = read(f"Metadata-Version: 2.1\nName: server\nVersion: 1\n\nSettings\n\n{SIMPLE}", "METADATA")
    assert blocks(document)[-1] == (BlockKind.TABLE, "Setting | Default\nport | 8080\nhost | 127.0.0.1 ::1")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (":mod:`tar`, :py:class:`~http.Server`, :ref:`limits <lim>`.", "tar, http.Server, limits."),
        ("See :pep:`8`, ``*.c``, `x`, `a page <http://x>`_, `one`__ [1]_.", "See PEP 8, *.c, x, a page, one [1]."),
        ("An *apt*, **bold** word, 2 * 3 * 4, \\*args, end\\ s.", "An apt, bold word, 2 * 3 * 4, *args, ends."),
        ("* item ``one``\n* item :kbd:`two`", "* item one\n* item two"),
        ("The ``title``\n=============", "The title"),
        (".. note::\n\n   Mind ``this``.", "Note: Mind this."),
        (".. warning:: It burns.\n   Really.", "Warning: It burns.\n   Really."),
        (".. versionchanged:: 3.2\n   Added ``x``.", "Changed in version 3.2: Added x."),
        (".. function:: open(name, mode='r')\n   :noindex:\n\n   Opens.", "open(name, mode='r')\n\nOpens."),
        ("A.\n\n.. _b:\n\n.. toctree::\n   :depth: 2\n\n   intro\n\n.. not\n   read\n\n----\n\nB.", "A.\n\nB."),
        (".. |x| replace:: y\n\n.. [1] The note.", "[1] The note."),
        ("|b| |The C| |d|.\n\n.. |b| image:: b.svg\n   :alt: B\n.. |the c| replace:: C is", "C is |d|."),
        ("#. One.\n#. Two\n   it.\n\n#. Three.\n\nA.\n\n#. B.", "1. One.\n2. Two\n   it.\n\n3. Three.\n\nA.\n\n1. B."),
        ("Unclosed ``code and `text and *mark", "Unclosed ``code and `text and *mark"),
    ],
)  # fmt: skip
def test_roles_marks_and_directives_are_read_as_what_they_render_to(read: Read, source: str, text: str) -> None:
    assert read(source, "a.rst").text == text


def test_code_keeps_its_marks(read: Read) -> None:
    source = "Example::\n\n   ``x`` = :a:`b`\n\n.. code-block:: c\n\n   int *a, *b;\n"
    assert [text for kind, text in blocks(read(source, "a.rst")) if kind is BlockKind.CODE] == [
        "   ``x`` = :a:`b`", "   int *a, *b;",
    ]  # fmt: skip


def test_plain_text_is_not_read_as_markup(read: Read) -> None:
    assert BlockKind.TABLE not in {kind for kind, _ in blocks(read(LIST, "notes.txt"))}
    assert read("Use ``x``.", "notes.txt").text == "Use ``x``."
