"""Excerpts as a person would write them, in Markdown and in plain text, from the same pieces."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from rag_core.answering.base import Excerpt
from rag_core.answering.block_pieces import Piece, PieceKind
from rag_core.answering.display import display, escaped
from rag_core.answering.excerpts import Extract
from rag_core.answering.units import BOX

CLOSEST: Final = "Not sure that this is answered. The closest places:"
CLOSEST_ZH: Final = "不能确定有明确的答案，最接近的内容如下："
_CELL: Final = re.compile(r"(?:(?<=\s)|^)\|(?=\s|$)")
"""Between the cells of a row; the first and the last may be empty."""
_ITEM: Final = re.compile(r"\A\s*+(?:[-*+•·]|\d{1,3}[.)、])\s++")
_BOX_TITLES: Final = frozenset({"Commands", "Parameters", "Arguments", "Options"})
_FENCE: Final = re.compile(r"`{3,}")
_CHINESE_STOPS: Final = "。！？；」』”）"


Span = tuple[int, int, int]
"""(passage, start, end), in the offsets of the document."""


def render(extracts: Sequence[Extract]) -> tuple[list[Excerpt], list[Span]]:
    """Each place in both forms with its markers, and the span of each marker in their order."""
    rendered: list[Excerpt] = []
    cited: list[Span] = []
    for extract in extracts:
        first = len(cited)
        cited += spans(extract)
        rendered.append(
            Excerpt(
                extract.title,
                extract.locator,
                extract.path,
                extract.page,
                _body(extract.pieces, first, _markdown),
                _body(extract.pieces, first, _plain),
                tuple(range(first + 1, len(cited) + 1)),
                extract.page_kind,
            )
        )
    return rendered, cited


def to_markdown(excerpts: Sequence[Excerpt], lead: str = "") -> str:
    """The whole answer in Markdown: fenced code, tables with their header, lists, terms in bold."""
    blocks = [lead] if lead else []
    for excerpt in excerpts:
        blocks += [f"**{escaped(named)}**"] if (named := heading(excerpt)) else []
        blocks.append(excerpt.markdown)
    return "\n\n".join(blocks)


def to_plain(excerpts: Sequence[Excerpt], lead: str = "") -> list[str]:
    """The pieces of the answer in plain text, one for each excerpt; joined they are the whole."""
    parts = [f"{lead}\n\n" if lead else ""]
    for number, excerpt in enumerate(excerpts):
        named = heading(excerpt)
        gap = "\n\n" if number else ""
        parts.append(f"{gap}{named}\n\n{excerpt.text}" if named else f"{gap}{excerpt.text}")
    return [part for part in parts if part]


def trail(title: str, headings: Sequence[str]) -> list[str]:
    """Title and headings, each once. The title of a page often is its first heading with the name of the site."""
    path = list(dict.fromkeys(headings))
    after = title.removeprefix(path[0]) if path else title
    if after != title and not after[:1].isalnum():
        path = path[1:]
    return list(dict.fromkeys([title, *path]))


def heading(excerpt: Excerpt) -> str:
    """Title and headings above a place, and its page; empty for text without either."""
    if not excerpt.heading_path and not excerpt.page:
        return ""
    parts = trail(excerpt.title, excerpt.heading_path)
    parts = [*parts[:1], *parts[1:][-1:]]
    named = " > ".join(dict.fromkeys(display(part) for part in parts if part))
    return f"{named} ({excerpt.page_kind} {excerpt.page})" if excerpt.page else named


def _body(pieces: Sequence[Piece], number: int, write: Callable[[Piece], str]) -> str:
    blocks: list[str] = []
    whole, marker = None, ""
    for position, piece in enumerate(pieces):
        if position == 0 or not _adjacent(pieces[position - 1], piece):
            number += 1
        after = pieces[position + 1] if position + 1 < len(pieces) else None
        if after is None or not _adjacent(piece, after):
            marker += f"[{number}]"
        whole = piece if whole is None else _joined(whole, piece)
        if after is not None and _continues(piece, after):
            continue
        text = write(whole)
        # The marker of Chinese stands without a space; a fence must end its line, and what follows a table without an
        # empty line would be a row of it.
        fenced, table = "\n" in text and text.endswith("```"), "\n" in text and text.startswith("|")
        space = "\n\n" if table else "\n" if fenced else "" if text[-1:] in _CHINESE_STOPS else " "
        blocks.append(f"{text}{space}{marker}" if marker else text)
        whole, marker = None, ""
    return "\n\n".join(blocks)


def _continues(one: Piece, other: Piece) -> bool:
    """Whether a piece is the rest of code or of a list that was cut between passages."""
    return one.kind is other.kind and other.cut and one.passage != other.passage


def _joined(one: Piece, rest: Piece) -> Piece:
    """A piece with the rest of it."""
    gap = "\n" if rest.start > one.end else ""
    return replace(one, end=rest.end, text=f"{one.text}{gap}{rest.text}")


def _adjacent(one: Piece, other: Piece) -> bool:
    """Whether two pieces are cited as one span."""
    return one.passage == other.passage and 0 <= other.start - one.end <= 2


def spans(extract: Extract) -> list[Span]:
    """The span of each citation; neighbouring pieces share one."""
    found: list[Span] = []
    for position, piece in enumerate(extract.pieces):
        if position and _adjacent(extract.pieces[position - 1], piece):
            passage, start, _ = found[-1]
            found[-1] = (passage, start, piece.end)
        else:
            found.append((piece.passage, piece.start, piece.end))
    return found


def _markdown(piece: Piece) -> str:
    match piece.kind:
        case PieceKind.CODE:
            fence = max((match.group() for match in _FENCE.finditer(piece.text)), key=len, default="``") + "`"
            return f"{fence}{piece.language}\n{_code(piece)}\n{fence}"
        case PieceKind.USAGE:
            return f"```text\n{_usage(piece.text)}\n```"
        case PieceKind.TABLE:
            return _table(piece)
        case PieceKind.LIST:
            return escaped(_dedented(piece.text))
        case PieceKind.DEFINITION:
            return "\n\n".join(map(_definition, _definitions(_with_terms(piece))))
        case _:
            return escaped(display(piece.text))


def _definition(pair: tuple[str, str]) -> str:
    term, text = map(escaped, pair)
    return f"**{term}**{_colon(term)} {text}" if text else term


def _colon(term: str) -> str:
    """Between a term and its description; a question has its own mark."""
    return "" if term.endswith(("?", "？", ":", "：", "!")) else ":"


def _plain(piece: Piece) -> str:
    match piece.kind:
        case PieceKind.CODE:
            return textwrap.indent(_code(piece), "    ")
        case PieceKind.USAGE:
            return textwrap.indent(_usage(piece.text), "    ")
        case PieceKind.TABLE:
            head, rows = _grid(piece)
            return "\n".join(_row(head, row) for row in rows)
        case PieceKind.LIST:
            return _dedented(piece.text)
        case PieceKind.DEFINITION:
            terms = _definitions(_with_terms(piece))
            return "\n".join(f"{term}{_colon(term)} {text}" if text else term for term, text in terms)
        case _:
            return display(piece.text)


def _code(piece: Piece) -> str:
    """Code without the indentation that all its lines share; the first line of a cut one has lost its own."""
    first, *others = piece.text.split("\n")
    if piece.cut and not first[:1].isspace():
        indents = [len(line) - len(line.lstrip()) for line in others if line.strip()]
        return _dedented("\n".join((" " * min(indents, default=0) + first, *others)))
    return _dedented(piece.text)


def _dedented(text: str) -> str:
    return textwrap.dedent(_harmless(text)).strip("\n")


def _harmless(text: str) -> str:
    """Lines kept; control and direction characters go."""
    return "\n".join("".join(char for char in line if char.isprintable() or char == "\t") for line in text.split("\n"))


def _usage(text: str) -> str:
    """A help text without its boxes, up to its first box."""
    kept: list[str] = []
    for line in _harmless(text).split("\n"):
        plain = BOX.sub("", line).strip() if BOX.search(line) else line.rstrip()
        if BOX.search(line) and not plain.strip():
            continue
        if plain.strip() in _BOX_TITLES and BOX.search(line):
            kept.append(plain.strip() + ":")
            continue
        if plain or (kept and kept[-1]):
            kept.append(("  " if BOX.search(line) else "") + plain)
    return "\n".join(kept[:24]).strip()


def _table(piece: Piece) -> str:
    head, rows = _grid(piece)
    if len(head) < 2 and not any(head):
        return "\n\n".join(escaped(display(cell)) for row in rows for cell in row)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _grid(piece: Piece) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a table, of equal width, without columns and rows that say nothing: tables are also
    used to draw a box around a note."""
    rows = [_cells(row) for row in piece.text.split("\n") if row]
    head = _cells(piece.header) if piece.header else []
    width = max([len(head), *map(len, rows)])
    head, *rows = [row + [""] * (width - len(row)) for row in (head, *rows)]
    used = [at for at in range(width) if any(row[at] for row in (head, *rows))]
    return [head[at] for at in used], [[row[at] for at in used] for row in rows if any(row)]


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in _CELL.split(row)]


def _cell(text: str) -> str:
    return text if text == "---" else escaped(display(text)).replace("|", "\\|")


def _row(header: Sequence[str], row: Sequence[str]) -> str:
    """`name: value; name: value`, or the cells with a dash when there is no header."""
    cells, names = [display(cell) for cell in row], [display(name) for name in header]
    if any(names) and len(cells) > 1:
        named = zip(names[1:], cells[1:], strict=True)
        return f"{cells[0]} — " + "; ".join(f"{name}: {cell}" if name else cell for name, cell in named if cell)
    return " — ".join(cell for cell in cells if cell)


def _with_terms(piece: Piece) -> str:
    """The text of definitions; before a description that was cut, its terms."""
    return f"{piece.header}\n  {piece.text}" if piece.header else piece.text


def _definitions(text: str) -> list[tuple[str, str]]:
    """Terms with what is said of each; a term's line has a mark or no indentation, and several may share a text."""
    found: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        marked = _ITEM.match(line) and line.lstrip().startswith("- ")
        if not line.strip():
            continue
        if marked or not found or not line[0].isspace():
            if found and not found[-1][1]:
                found[-1] = (f"{found[-1][0]}, {display(_ITEM.sub('', line, count=1))}", [])
            else:
                found.append((display(_ITEM.sub("", line, count=1)), []))
        else:
            found[-1][1].append(line.strip())
    return [(term, display(" ".join(lines))) for term, lines in found]
