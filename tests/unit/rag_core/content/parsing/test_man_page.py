"""Manual pages keep their name as title, their synopsis and examples as code, and each option with its description."""

from __future__ import annotations

import pytest

from rag_core.content.parsing import BlockKind, PartKind
from tests.unit.rag_core.content.parsing.conftest import Read, blocks

PAGE = """\
TAR(1)                         GNU TAR Manual                         TAR(1)

NAME
       tar - an archiving utility

SYNOPSIS
   Traditional usage
       tar {A|c|d|r|t|u|x} [ARG...]

       tar -c [-f ARCHIVE] \\
           [FILE...]

DESCRIPTION
       GNU  tar  is  an archiving program designed to store multiple files in a
       single file (an archive), and to manipulate such archives, for exam\u2010
       ple on tapes, with:

           tar cf /dev/st0 etc
             --verify

OPTIONS
   Operation mode
       -A, --catenate, --concatenate
              Append archives to the end of another archive.  The arguments  are
              treated as names.

              They must exist.

       -c     Create a new archive.
       --check-device
              Check device numbers (default).

       -x, --extract
       --get  Extract files from an archive.  Arguments are optional, and  with\u2010
              out them all is extracted.

                     tar x  etc
                     tar xf y

EXIT STATUS
       0      if OK.

BUGS
       Report them.

TAR                              July 11, 2022                          TAR(1)
"""


def test_a_manual_page_is_its_sections_and_options(read: Read) -> None:
    document = read(PAGE, "tar.1.txt")
    assert document.title == "tar(1)"
    assert blocks(document) == [
        (BlockKind.HEADING, "NAME"),
        (BlockKind.PARAGRAPH, "tar - an archiving utility"),
        (BlockKind.HEADING, "SYNOPSIS"),
        (BlockKind.HEADING, "Traditional usage"),
        (BlockKind.CODE, "tar {A|c|d|r|t|u|x} [ARG...]\ntar -c [-f ARCHIVE] \\\n    [FILE...]"),
        (BlockKind.HEADING, "DESCRIPTION"),
        (
            BlockKind.PARAGRAPH,
            "GNU tar is an archiving program designed to store multiple files in a single file (an archive), and to "
            "manipulate such archives, for example on tapes, with:",
        ),
        (BlockKind.CODE, "tar cf /dev/st0 etc\n  --verify"),
        (BlockKind.HEADING, "OPTIONS"),
        (BlockKind.HEADING, "Operation mode"),
        (
            BlockKind.DEFINITIONS,
            "-A, --catenate, --concatenate\n    Append archives to the end of another archive. The arguments are "
            "treated as names.\n    They must exist.",
        ),
        (BlockKind.DEFINITIONS, "-c\n    Create a new archive."),
        (BlockKind.DEFINITIONS, "--check-device\n    Check device numbers (default)."),
        (
            BlockKind.DEFINITIONS,
            "-x, --extract\n--get\n    Extract files from an archive. Arguments are optional, and without them all is "
            "extracted.\n    tar x  etc\n    tar xf y",
        ),
        (BlockKind.HEADING, "EXIT STATUS"),
        (BlockKind.DEFINITIONS, "0\n    if OK."),
        (BlockKind.HEADING, "BUGS"),
        (BlockKind.PARAGRAPH, "Report them."),
    ]  # fmt: skip
    kinds = [[part.kind for part in block.parts] for block in document.blocks if block.kind is BlockKind.DEFINITIONS]
    assert kinds[3] == [PartKind.TERM, PartKind.TERM, PartKind.DESCRIPTION, PartKind.DESCRIPTION]


def test_letters_that_were_struck_twice_are_read_once(read: Read) -> None:
    struck = PAGE.replace("NAME", "N\bNA\bAM\bME\bE").replace("TAR(1) ", "T\bTA\bAR\bR(1) ")
    assert (read(struck).text, read(struck).title) == (read(PAGE).text, "tar(1)")


@pytest.mark.parametrize("head", ["TAR(1)", "TAR(1)  General  CPIO(1)", "Call tar(1) and cpio(1)  for  tar(1)"])
def test_other_text_that_names_pages_is_plain_text(read: Read, head: str) -> None:
    document = read(f"{head}\n\nNAME\n       tar - an archiver\n", "a.txt")
    assert document.title != "tar(1)"


@pytest.mark.parametrize("line", ["       -a", "       -a     b", "A", "    x", " " * 60, "\t", "TAR(1)  x  TAR(1)"])
def test_pages_of_one_line_repeated_are_read(read: Read, line: str) -> None:
    document = read(PAGE.split("\n", 1)[0] + "\n\nNAME\n       tar - x\n" + f"{line}\n" * 20_000, "a.txt")
    assert document.title == "tar(1)"
