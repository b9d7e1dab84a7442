"""Write windows as a person would, in Markdown and in plain text, from the same pieces.

The spans to highlight travel through the writing as two marks within the text; in Markdown they become bold, in plain
text offsets.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from rag_core.answering.base import AnswerSpan, Excerpt
from rag_core.answering.display import display, escaped
from rag_core.answering.extractive.reading import Passage, Path
from rag_core.answering.extractive.text import ITEM
from rag_core.answering.extractive.windows import Piece, PieceKind
from rag_core.answering.pages import page_kind

CLOSEST: Final = "The best matches:"
CLOSEST_ZH: Final = "最接近的内容："
OPEN, CLOSE = "\ue000", "\ue001"
"""Around what is highlighted; the same characters of a document are dropped before."""
_MARKS: Final = re.compile(f"[{OPEN}{CLOSE}]")
_CELL: Final = re.compile(r"(?:(?<=\s)|^)\|(?=\s|$)")
"""Between the cells of a row; the first and the last may be empty."""
_FENCE: Final = re.compile(r"`{3,}")
_CHINESE_STOPS: Final = "。！？；」』”）"

Span = tuple[int, int, int]
"""(passage, start, end), in the offsets of the document."""


def render(
    passage: Passage, path: Path, page: int, pieces: Sequence[Piece], marked: Iterable[Span], first: int,
    *, further: bool = False,
) -> tuple[Excerpt, list[Span]]:  # fmt: skip
    """Write a window in both forms, with the span of each of its citations, whose numbers begin behind `first`."""
    shown = [_marked(piece, marked) for piece in pieces]
    cited = spans(pieces)
    text, highlights = _without_marks(_body(shown, first, _plain))
    excerpt = Excerpt(
        passage.title,
        passage.locator,
        path,
        page,
        _bold(_body(shown, first, _markdown)),
        text,
        tuple(range(first + 1, first + 1 + len(cited))),
        page_kind(passage.media_type),
        highlights,
        further,
    )
    return excerpt, cited


def to_markdown(excerpts: Sequence[Excerpt], lead: str = "") -> str:
    """Write the whole answer in Markdown: fenced code, tables with their header, lists, terms in bold."""
    blocks = [lead] if lead else []
    for excerpt in excerpts:
        blocks += [f"**{escaped(named)}**"] if (named := heading(excerpt)) else []
        blocks.append(excerpt.markdown)
    return "\n\n".join(blocks)


def to_plain(excerpts: Sequence[Excerpt], lead: str = "") -> list[str]:
    """Write the answer in plain text, one piece for each excerpt; joined they are the whole."""
    written = [f"{lead}\n\n" if lead else ""]
    for number, excerpt in enumerate(excerpts):
        named = heading(excerpt)
        gap = "\n\n" if number else ""
        written.append(f"{gap}{named}\n\n{excerpt.text}" if named else f"{gap}{excerpt.text}")
    return [part for part in written if part]


def trail(title: str, headings: Sequence[str]) -> list[str]:
    """Return title and headings, each once: the title often is the first heading with the name of the site."""
    path = list(dict.fromkeys(headings))
    after = title.removeprefix(path[0]) if path else title
    if after != title and not after[:1].isalnum():
        path = path[1:]
    return list(dict.fromkeys([title, *path]))


def heading(excerpt: Excerpt) -> str:
    """Return title and headings above an excerpt, and its page; empty for text without either."""
    if not excerpt.heading_path and not excerpt.page:
        return ""
    named = " > ".join(dict.fromkeys(display(part) for part in trail(excerpt.title, excerpt.heading_path) if part))
    return f"{named} ({excerpt.page_kind} {excerpt.page})" if excerpt.page else named


def spans(pieces: Sequence[Piece]) -> list[Span]:
    """Return the span of each citation; neighbouring pieces of a passage share one."""
    found: list[Span] = []
    for position, piece in enumerate(pieces):
        if position and _adjacent(pieces[position - 1], piece):
            passage, start, _ = found[-1]
            found[-1] = (passage, start, piece.end)
        else:
            found.append((piece.passage, piece.start, piece.end))
    return found


# --------------------------------------------------------------------------------------------------------------------
# Highlights.


def _marked(piece: Piece, marked: Iterable[Span]) -> Piece:
    """Put marks around what is highlighted of a piece."""
    text = piece.text
    inside = sorted(
        (max(start, piece.start) - piece.start, min(end, piece.end) - piece.start)
        for passage, start, end in marked
        if passage == piece.passage and start < piece.end and end > piece.start
    )
    text = _MARKS.sub(" ", text)
    for start, end in reversed(inside):
        left = len(text[start:end]) - len(text[start:end].lstrip())
        right = len(text[start:end].rstrip())
        if right > left:
            text = f"{text[: start + left]}{OPEN}{text[start + left : start + right]}{CLOSE}{text[start + right :]}"
    return replace(piece, text=text, header=_MARKS.sub(" ", piece.header))


def _without_marks(text: str) -> tuple[str, tuple[AnswerSpan, ...]]:
    """Return the text without marks, and the spans between them."""
    found: list[AnswerSpan] = []
    shown: list[str] = []
    length, opened = 0, None
    for part in re.split(f"([{OPEN}{CLOSE}])", text):
        if part == OPEN:
            opened = length
        elif part == CLOSE:
            if opened is not None and length > opened:
                found.append(AnswerSpan(opened, length))
            opened = None
        else:
            shown.append(part)
            length += len(part)
    return "".join(shown), tuple(found)


def _bold(markdown: str) -> str:
    return markdown.replace(OPEN, "**").replace(CLOSE, "**")


def _unmarked(text: str) -> str:
    return _MARKS.sub("", text)


# --------------------------------------------------------------------------------------------------------------------
# Pieces.


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
        space = "\n\n" if table else "\n" if fenced else "" if _unmarked(text)[-1:] in _CHINESE_STOPS else " "
        blocks.append(f"{text}{space}{marker}" if marker else text)
        whole, marker = None, ""
    return "\n\n".join(blocks)


def _continues(one: Piece, other: Piece) -> bool:
    """Return whether a piece is the rest of a block that was cut, or a further row of the same table."""
    if one.kind is PieceKind.TABLE and other.kind is one.kind and one.header and one.header == other.header:
        return True
    return one.kind is other.kind and other.cut and one.passage != other.passage


def _joined(one: Piece, rest: Piece) -> Piece:
    """Join a piece with the rest of it."""
    words = one.kind is PieceKind.TEXT
    gap = ("\n" if not words else " ") if rest.start > one.end else ""
    return replace(one, end=rest.end, text=f"{one.text}{gap}{rest.text}")


def _adjacent(one: Piece, other: Piece) -> bool:
    """Return whether two pieces are cited as one span."""
    return one.passage == other.passage and 0 <= other.start - one.end <= 2


def _markdown(piece: Piece) -> str:
    match piece.kind:
        case PieceKind.CODE:
            text = _unmarked(_code(piece))
            fence = max((match.group() for match in _FENCE.finditer(text)), key=len, default="``") + "`"
            return f"{fence}{piece.language}\n{text}\n{fence}"
        case PieceKind.TABLE:
            return _table(piece)
        case PieceKind.LIST:
            return escaped(_dedented(piece.text))
        case PieceKind.DEFINITION:
            return "\n\n".join(map(_definition, _definitions(_with_terms(piece))))
        case PieceKind.HEADING:
            return f"**{escaped(display(_unmarked(piece.text)))}**"
        case _:
            return escaped(display(piece.text))


def _definition(pair: tuple[str, str]) -> str:
    term, text = map(escaped, pair)
    term = _unmarked(term)
    return f"**{term}**{_colon(term)} {text}" if text else term


def _colon(term: str) -> str:
    """Between a term and its description; a question has its own mark."""
    return "" if term.endswith(("?", "？", ":", "：", "!")) else ":"


def _plain(piece: Piece) -> str:
    match piece.kind:
        case PieceKind.CODE:
            return textwrap.indent(_code(piece), "    ")
        case PieceKind.TABLE:
            head, rows = _grid(piece)
            return "\n".join(_row(head, row) for row in rows)
        case PieceKind.LIST:
            return _dedented(piece.text)
        case PieceKind.DEFINITION:
            terms = _definitions(_with_terms(piece))
            return "\n".join(f"{term}{_colon(_unmarked(term))} {text}" if text else term for term, text in terms)
        case _:
            return display(piece.text)


def _code(piece: Piece) -> str:
    """Return code without the indentation that all its lines share; the first line of a cut one has lost its own."""
    first, *others = piece.text.split("\n")
    if piece.cut and not first[:1].isspace():
        indents = [len(line) - len(line.lstrip()) for line in others if line.strip()]
        return _dedented("\n".join((" " * min(indents, default=0) + first, *others)))
    return _dedented(piece.text)


def _dedented(text: str) -> str:
    return textwrap.dedent(_harmless(text)).strip("\n")


def _harmless(text: str) -> str:
    """Lines kept; control and direction characters go."""
    return "\n".join(
        "".join(char for char in line if char.isprintable() or char == "\t" or char in (OPEN, CLOSE))
        for line in text.split("\n")
    )


def _table(piece: Piece) -> str:
    head, rows = _grid(piece)
    if len(head) < 2 and not any(head):
        return "\n\n".join(escaped(display(cell)) for row in rows for cell in row)
    lines = [[_cell(cell) for cell in head], ["---"] * len(head), *(_bold_row(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _bold_row(row: Sequence[str]) -> list[str]:
    """The cells of a row; all of them are highlighted when the row is."""
    marked = any(_MARKS.search(cell) for cell in row)
    cells = [_cell(_unmarked(cell)) for cell in row]
    return [f"{OPEN}{cell}{CLOSE}" if marked and cell else cell for cell in cells]


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
    return escaped(display(text)).replace("|", "\\|")


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
        marked = ITEM.match(_unmarked(line)) and _unmarked(line).lstrip().startswith("- ")
        if not line.strip():
            continue
        if marked or not found or not _unmarked(line)[:1].isspace():
            if found and not found[-1][1]:
                found[-1] = (f"{found[-1][0]}, {display(ITEM.sub('', line, count=1))}", [])
            else:
                found.append((display(ITEM.sub("", line, count=1)), []))
        else:
            found[-1][1].append(line.strip())
    return [(term, display(" ".join(lines))) for term, lines in found]
