"""Manual pages as `man` prints them: sections, synopsis and examples as code, options with their descriptions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import BlockKind, PartKind
from rag_core.content.parsing.builder import Piece, TextBuilder

_HEADER: Final = re.compile(
    r"\A\s{0,500}([\w.:+@\[-]{1,60}+)\((\d[\w.]{0,8}+)\)[ ]{2}[^\n]{0,200}?\1\(\2\)[ \t]{0,20}(?:\n|\Z)"
)
_PAGE_EDGE: Final = re.compile(
    r"\A\s{0,200}(?:\S.{0,200}[ ]{2})?[\w.:+@\[-]{1,60}+\(\d[\w.]{0,8}+\)\Z|\A\S+[ ]{3}.{0,200}[ ]{3}\S+\Z"
)
"""The header and the footer of a page, which a printed one repeats."""
_OVERSTRUCK: Final = re.compile(r"[^\n]\x08")
_NAMED: Final = re.compile(r"\A\s*+([\w.:+@\[-]++)")
_TAGGED: Final = re.compile(r"\A([ ]{1,60}+)(\S(?:[^ \n]|[ ](?![ ])){0,30})([ ]{2,30}+)\S")
_HYPHEN: Final = "\u2010"
_SYNOPSIS: Final = frozenset({"SYNOPSIS", "SYNTAX"})
_FILLED: Final = 0.75
"""Share of the page's width; the lines of running text are longer."""
_MANY_WORDS: Final = 6
_DESCRIPTION_INDENT: Final = " " * 4


def is_man_page(text: str) -> bool:
    """Return whether text begins with the header line of a manual page, `TAR(1) … TAR(1)`."""
    return _HEADER.match(_plain(text[:2_000])) is not None


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """Read a page; its title is its name with its section, `tar(1)`."""
    text = _plain(text)
    header = _HEADER.match(text)
    name, section = (header[1], header[2]) if header is not None else ("", "")
    builder = TextBuilder(limits)
    page = _Page(builder, text[header.end() if header is not None else 0 :].split("\n"))
    page.write()
    own = page.name if page.name.lower() == name.lower() else name.lower()
    return builder.finish(media_type, title=f"{own}({section})")


def _plain(text: str) -> str:
    """Text without the bold and underlined letters of a printer, which are struck twice."""
    return _OVERSTRUCK.sub("", text) if "\x08" in text else text


class _Page:
    """Writes the paragraphs of a page."""

    def __init__(self, builder: TextBuilder, lines: list[str]) -> None:
        self._builder = builder
        self._lines = [line.expandtabs().rstrip() for line in lines]
        while self._lines and (not self._lines[-1] or _PAGE_EDGE.match(self._lines[-1])):
            self._lines.pop()
        indented = [line for line in self._lines if line.startswith(" ")]
        self._body = _indent(indented[0]) if indented else 7
        # Some examples and tables are wider than the page.
        self._width = sorted(map(len, indented))[len(indented) * 9 // 10] if indented else 0
        self._section = ""
        self._synopsis: list[str] = []
        self._entry: list[Piece] = []
        self._indent = 0
        self.name = ""

    def write(self) -> None:
        for paragraph in self._paragraphs():
            indent = _indent(paragraph[0])
            if indent < self._body:
                self._end_entry()
                self._heading(paragraph[0], indent)
            elif self._section in _SYNOPSIS:
                self._synopsis += [line[self._body :] for line in paragraph]
            elif self._entry and indent > self._indent:
                self._describe(paragraph)
            else:
                self._end_entry()
                self._paragraph(paragraph, indent)
        self._end_entry()

    def _paragraphs(self) -> Iterator[list[str]]:
        """Lines between empty ones; a heading stands by itself, and so does each option that is not set apart."""
        found: list[str] = []
        for line in self._lines:
            begins = bool(found) and (min(_indent(line), _indent(found[0])) < self._body or _is_next_entry(found, line))
            if found and (not line or begins):
                yield found
                found = []
            if line and not (not line.startswith(" ") and _PAGE_EDGE.match(line)):
                found.append(line)
        if found:
            yield found

    def _heading(self, line: str, indent: int) -> None:
        if indent == 0:
            self._section = line.strip()
        self._builder.heading(line, 2 if indent else 1)

    def _paragraph(self, lines: list[str], indent: int) -> None:
        if self._section == "NAME" and not self.name and (match := _NAMED.match(lines[0])):
            self.name = match[1]
        terms, described = _entry(lines)
        if described:
            self._indent = indent
            self._entry = [Piece(PartKind.TERM, term) for term in terms]
            self._describe(described)
        elif indent > self._body and not self._is_filled(lines):
            self._builder.add(
                BlockKind.CODE, "\n".join(line[indent:] if line[:indent].isspace() else line for line in lines)
            )
        else:
            self._builder.paragraph(_joined(lines))

    def _describe(self, lines: list[str]) -> None:
        """Add a paragraph to the entry: text in one line, what is not filled in its own lines."""
        terms, described = _entry(lines)
        if described and terms[0].startswith("-"):
            self._entry += [Piece(PartKind.TERM, _DESCRIPTION_INDENT + term, 1) for term in terms]
            self._entry.append(Piece(PartKind.DESCRIPTION, _DESCRIPTION_INDENT * 2 + _joined(described), 1))
            return
        left = min(map(_indent, lines))
        kept = [_joined(lines)] if self._is_filled(lines) else [line[left:] for line in lines]
        self._entry.append(Piece(PartKind.DESCRIPTION, "\n".join(_DESCRIPTION_INDENT + line for line in kept)))

    def _end_entry(self) -> None:
        pieces, self._entry = self._entry, []
        self._builder.add_parts(BlockKind.DEFINITIONS, pieces)
        synopsis, self._synopsis = self._synopsis, []
        self._builder.add(BlockKind.CODE, "\n".join(synopsis))

    def _is_filled(self, lines: list[str]) -> bool:
        """Return whether lines are running text: all but the last go to the margin, and begin at one place."""
        if len(lines) == 1:
            return len(lines[0].split()) > _MANY_WORDS or lines[0].endswith(".")
        level = len({_indent(line) for line in lines}) == 1
        return level and all(len(line) > _FILLED * self._width for line in lines[:-1])


def _entry(lines: list[str]) -> tuple[list[str], list[str]]:
    """The terms that lines begin with, and the lines of their description; none when the lines are something else."""
    indent = _indent(lines[0])
    count = next((number for number, line in enumerate(lines) if _indent(line) != indent), len(lines))
    rest = lines[count:]
    if rest and all(_indent(line) > indent + 2 for line in rest):
        tagged = _tagged(lines[count - 1], _indent(rest[0]))
        if tagged is not None:
            return [line.strip() for line in lines[: count - 1]] + [tagged[0]], [tagged[1], *rest]
        return ([line.strip() for line in lines[:count]], rest) if count <= 4 else ([], [])
    if len(lines) == 1 and (tagged := _tagged(lines[0], 0)) is not None:
        return [tagged[0]], [tagged[1]]
    return [], []


def _tagged(line: str, column: int) -> tuple[str, str] | None:
    """A term and the description on its line, which continues at `column` in the next one; 0 when it does not."""
    match = _TAGGED.match(line)
    if match is None:
        return None
    start = match.end() - 1
    if start == column or (column == 0 and (start - len(match[1]) == 7 or match[2].startswith("-"))):
        return match[2], " " * start + line[start:]
    return None


def _is_next_entry(before: list[str], line: str) -> bool:
    """Return whether a line begins an option right below the description of another."""
    described = _indent(before[-1]) > _indent(before[0]) or _tagged(before[-1], 0) is not None
    return described and _indent(line) == _indent(before[0]) and line.lstrip().startswith("-")


def _joined(lines: list[str]) -> str:
    """Filled lines as one, without the spaces of justified text and with the words that a line end had cut."""
    text = ""
    for line in lines:
        text = f"{text[:-1]}{line.strip()}" if text.endswith(_HYPHEN) else f"{text} {line.strip()}"
    return " ".join(text.split())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
