"""Markdown (CommonMark with tables): blocks by markdown-it, inline marks removed."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.deflist import deflist_plugin

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import BlockKind, PartKind
from rag_core.content.parsing.builder import Piece, TextBuilder, row_line
from rag_core.content.parsing.clean import join_lines
from rag_core.content.parsing.formats.front_matter import FrontMatter, front_matter
from rag_core.content.parsing.formats.html import add_html
from rag_core.content.parsing.formats.plain import clean_line_ends
from rag_core.content.parsing.formats.site_templates import without_templates
from rag_core.content.parsing.links import NamedTarget
from rag_core.errors import InvalidInput, Reason

_REFERENCE: Final = re.compile(r"^ {0,3}\[[^\]\n]{1,500}\]:[^\n]*$", re.MULTILINE)
_HEADING_LINE: Final = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
_SPACES: Final = re.compile(r"  +")
_FENCE_LINE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
# Tokens cost a hundred times their text, so long documents are parsed in pieces that begin at a heading.
_PIECE_CHARS: Final = 64_000
# Inline parsing is quadratic on hostile input; a longer run of text keeps its marks instead.
_MAX_INLINE_CHARS: Final = 20_000
# What a title of an admonition is not written into.
_NO_PROSE: Final = frozenset(
    "heading_open fence code_block html_block bullet_list_open ordered_list_open dl_open table_open".split()  # noqa: SIM905
)
_LISTS: Final = frozenset({"ul", "ol", "dl"})
_TITLE_FOLLOWS: Final = "\x00"
# A list in a list is two levels. The parser recurses, and Python allows a thousand frames.
_MAX_NESTING: Final = 100


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """Read a document; front matter gives title and metadata, and templates are read as what they render to."""
    builder = TextBuilder(limits)
    matter, body = front_matter(clean_line_ends(text))
    matter = matter or FrontMatter()
    builder.flags |= matter.flags
    rendered = without_templates(body, matter.metadata)
    add_markdown(builder, rendered.text, mdx=rendered.mdx)
    if builder.empty:
        builder.paragraph(matter.description)
    return builder.finish(media_type, title=matter.metadata.get("title", ""), metadata=matter.metadata)


def add_markdown(builder: TextBuilder, text: str, *, mdx: bool = False) -> None:
    """Append Markdown to a document."""
    body = clean_line_ends(text)
    parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable("table")
    parser.use(deflist_plugin).use(admon_plugin)
    if mdx:
        parser.disable("code")
    # Inline text is parsed by us, per block and within a limit.
    parser.core.ruler.disable(["inline", "text_join"])
    env: MutableMapping[str, Any] = {}
    references = "\n".join(_REFERENCE.findall(body)[:10_000])
    if references:
        parser.parse(references, env)
    for piece in _pieces(body):
        tokens = parser.parse(piece, env)
        # What lies deeper is silently left out by the parser.
        if any(token.level >= _MAX_NESTING - 1 for token in tokens):
            raise InvalidInput(
                Reason.NESTING_TOO_DEEP, f"the Markdown is nested deeper than {_MAX_NESTING} levels; simplify it"
            )
        _Writer(builder, parser, env).write(tokens)


def _pieces(text: str) -> Iterator[str]:
    """The text cut before headings outside of fenced code, so that cutting changes no meaning."""
    if len(text) <= _PIECE_CHARS:
        yield text
        return
    piece: list[str] = []
    size, fence = 0, ""
    for line in text.split("\n"):
        if size >= _PIECE_CHARS and not fence and _HEADING_LINE.match(line):
            yield "\n".join(piece)
            piece, size = [], 0
        if match := _FENCE_LINE.match(line):
            fence = _next_fence(fence, match.group(1))
        piece.append(line)
        size += len(line) + 1
    yield "\n".join(piece)


def _next_fence(current: str, marks: str) -> str:
    if not current:
        return marks
    return "" if marks[0] == current[0] and len(marks) >= len(current) else current


class _Writer:
    """Writes the tokens of one piece to the builder."""

    def __init__(self, builder: TextBuilder, parser: MarkdownIt, env: MutableMapping[str, Any]) -> None:
        self._builder = builder
        self._parser = parser
        self._env = env
        self._heading = 0
        self._lists = 0
        self._quotes = 0
        self._definitions = 0
        self._term = self._continued = ""
        self._part = PartKind.ITEM
        self._bullet = ""
        self._label = ""
        self._items: list[Piece] = []
        self._rows: list[str] = []
        self._row_links: list[NamedTarget] = []
        self._header = True
        self._cells: list[str] | None = None

    def write(self, tokens: list[Token]) -> None:
        for token in tokens:
            if token.type in _NO_PROSE:
                self._end_label()
            match token.type:
                case "heading_open":
                    self._heading = int(token.tag[1])
                case "inline":
                    self._inline(token.content)
                case "fence" | "code_block":
                    self._code(token)
                case "html_block":
                    self._html(token.content)
                case "blockquote_open" | "blockquote_close":
                    self._quotes += token.nesting
                case "list_item_open" | "dt_open" | "dd_open":
                    self._begin_item(token)
                case _ if token.tag in _LISTS:
                    self._lists += token.nesting
                    self._definitions += token.nesting if token.tag == "dl" else 0
                    self._end_list()
                case "admonition_title_open":
                    self._label = _TITLE_FOLLOWS
                case "tr_open" | "tr_close" | "table_close":
                    self._table(token)

    def _table(self, token: Token) -> None:
        if token.type == "tr_open":
            self._cells = []
        elif token.type == "tr_close":
            row = row_line(self._cells or [])
            if not self._rows:
                self._header = bool(row)
            self._rows.append(row)
            self._cells = None
        else:
            self._end_table()

    def _begin_item(self, token: Token) -> None:
        self._part = {"dt_open": PartKind.TERM, "dd_open": PartKind.DESCRIPTION}.get(token.type, PartKind.ITEM)
        mark = f"{token.info}{token.markup} " if token.info else "- "
        self._bullet = "  " if token.type == "dd_open" else mark

    def _inline(self, content: str) -> None:
        text, images, links = self._plain(content)
        if self._label == _TITLE_FOLLOWS:
            self._label = text.rstrip(":： ")
            return
        if self._label and text:
            text, self._label = f"{self._label}: {text}", ""
        if self._cells is not None:
            self._cells.append(text)
            self._row_links += links
        elif self._lists:
            self._item(text, links)
        elif self._heading:
            self._builder.heading(text, self._heading)
        else:
            self._builder.add(BlockKind.QUOTE if self._quotes else BlockKind.PARAGRAPH, text, links=links)
            for image in images:
                self._builder.image(image.content, str(image.attrs.get("src") or ""))
        self._heading = 0

    def _item(self, text: str, links: Sequence[NamedTarget]) -> None:
        """An item begins with its mark; a further paragraph of it is a part of its own, indented."""
        if not text:
            return
        if self._part is PartKind.TERM:
            self._term = text
        level = self._lists - 1
        line = f"{'  ' * level}{self._bullet or '  '}{text}"
        self._items.append(Piece(self._part, line, level, tuple(links)))
        self._bullet = ""

    def _end_label(self) -> None:
        """Write the title of an admonition that no text follows."""
        label, self._label = self._label, ""
        self._builder.paragraph(label)

    def _end_list(self) -> None:
        if not self._lists:
            self._write_items()

    def _write_items(self) -> None:
        """Write the list so far; what is described further behind code has its term as header."""
        items, self._items = self._items, []
        described = bool(items) and items[0].kind is PartKind.DESCRIPTION
        defined = described or any(item.kind is PartKind.TERM for item in items)
        kind = BlockKind.DEFINITIONS if defined else BlockKind.LIST
        self._builder.add_parts(kind, items, header=self._continued if described else "")

    def _end_table(self) -> None:
        rows, self._rows = self._rows, []
        links, self._row_links = self._row_links, []
        if self._lists:
            self._items.extend(Piece(PartKind.ITEM, row, self._lists) for row in rows)
        else:
            self._builder.table(rows, header=self._header, links=links)

    def _code(self, token: Token) -> None:
        if self._definitions:
            self._write_items()
            self._continued = self._term
        if self._lists and not self._definitions:
            indent = "  " * self._lists
            lines = (indent + line for line in token.content.rstrip("\n").split("\n"))
            self._items.append(Piece(PartKind.CODE, "\n".join(lines), self._lists))
        else:
            self._builder.add(BlockKind.CODE, token.content, language=token.info.strip().split(" ")[0])

    def _html(self, content: str) -> None:
        if self._lists:
            fragment = TextBuilder(self._builder.limits)
            add_html(fragment, content, self._builder.limits)
            self._builder.flags |= fragment.flags
            lines = fragment.finish("").text.split("\n")
            self._items.extend(Piece(PartKind.ITEM, line, self._lists) for line in lines)
        else:
            add_html(self._builder, content, self._builder.limits)

    def _plain(self, content: str) -> tuple[str, list[Token], list[NamedTarget]]:
        """Return the text of inline Markdown without marks, link targets and tags, its images and its links."""
        if len(content) > _MAX_INLINE_CHARS:
            return content, [], []
        tokens: list[Token] = []
        self._parser.inline.parse(content, self._parser, self._env, tokens)
        pieces: list[str] = []
        images: list[Token] = []
        links: list[NamedTarget] = []
        target, begin = "", 0
        for token in tokens:
            if token.type in ("text", "text_special", "code_inline"):
                pieces.append(token.content)
            elif token.type == "link_open":
                target, begin = str(token.attrs.get("href") or ""), len(pieces)
            elif token.type == "link_close":
                links.append(("".join(pieces[begin:]), target))
            elif token.type == "image":
                images.append(token)
            elif token.type in ("softbreak", "hardbreak") or token.content in ("<br>", "<br/>", "<br />"):
                pieces.append("\n")
        # Where an image stood, two spaces are left.
        return join_lines(_SPACES.sub(" ", "".join(pieces)).split("\n")), images, links
