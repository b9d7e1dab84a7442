"""From the units that answer to what is shown: the best of different sections, each as an excerpt of its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from rag_core.answering.asking import Wants
from rag_core.answering.block_pieces import Piece, PieceKind
from rag_core.answering.choosing import Choice, Scored, alike
from rag_core.answering.pages import PageKind, page_kind
from rag_core.answering.passages import Path
from rag_core.answering.pieces import TEXT_CHARS, PieceMaker
from rag_core.answering.terms import bag
from rag_core.answering.units import Unit, UnitKind, is_chinese

LABEL_WORDS: Final = 3
LABEL_CHARS: Final = 12
TITLE_WORDS: Final = 12
TITLE_CHARS: Final = 24
"""Words, or characters of Chinese, of a label and of a title at most; neither ends as a sentence does."""
_INSTRUCTS: Final = re.compile(
    r"\b(?:(?:you|we)(?:'ll| can| could| may| might| must| should| need| have| will| want)\b|let's\b"
    r"|(?:by|via)\s+\w+ing\b|using\b|with\s+(?:the\s+)?\S+\s+(?:command|option|flag|tool|key|method))"
    r"|(?:^|[.:;,]\s+|\b(?:then|and|please|simply|just|must|should)\s+)(?:use|run|type|enter|add|set|create|install|call"
    r"|select|click|choose|press|open|edit|pass|specify|invoke|start|stop|make|put|configure|enable|disable|do|write|give"
    r"|go|log|copy|remove|delete|change|replace|build|download|execute|check|import|define|turn|switch|append|insert"
    r"|provide|follow|restart|connect|mount|ensure|rename|move|load|save|send|declare|mark|wrap|register|rotate)\b"
    r"|\w\(|(?<![\w-])--?[a-z]"
    r"|[`请用]|运行|执行|输入|[点单双]击|选择|按下|通过|只需|首先|然后|[设改]为|打开",
    re.IGNORECASE,
)
"""Speaks to who does it, or says with what it is done."""
_CALL: Final = re.compile(r"\w\(")
"""A heading of an API reference, which is what to call."""
_ENUMERATES: Final = re.compile(
    r",.+(?:,|\b(?:and|or)\b)|\b(?:both|either)\b|\w\s+(?:and|or)\s+\w|[:：]\s*\S|、|以及|和|及|或|；", re.DOTALL
)
"""Names more than one thing."""


@dataclass(frozen=True, slots=True)
class Extract:
    """What is shown of one place, with the headings above it."""

    title: str
    locator: str
    path: Path
    page: int
    pieces: tuple[Piece, ...]
    page_kind: PageKind = PageKind.PAGE


def extracts_of(choice: Choice, *, limit: int, share: float) -> list[Extract]:
    """Excerpts of the best units of different sections, those that score at least `share` of the best one."""
    made: list[Extract] = []
    used: list[Scored] = []
    covered: set[tuple[int, int]] = set()
    for one in _in_turn(choice):
        if len(made) == limit:
            break
        compared = choice.asked.wants is Wants.COMPARISON
        # Of three places one is in another document: where two of one do not help, another may.
        if len(used) == 2 < limit and not compared and share == 0 and _all_of_one(one, used):
            continue
        if used and (one.score < share * used[0].score or (not compared and any(alike(one, other) for other in used))):
            continue
        key = (one.unit.at, one.unit.start)
        if key in covered or any(same_section(one, other) for other in used):
            continue
        excerpt = excerpt_of(choice, one)
        if not excerpt.pieces or (not compared and any(_repeats(excerpt, before) for before in made)):
            continue
        made.append(excerpt)
        used.append(one)
        covered.add(key)
    return made


def _all_of_one(one: Scored, used: Sequence[Scored]) -> bool:
    return all(other.passage.doc_id == one.passage.doc_id for other in used)


def _in_turn(choice: Choice) -> list[Scored]:
    """The units in falling order; for a comparison the second place goes to what the first does not speak of."""
    ranked = choice.ranked[:40]
    if choice.asked.wants is not Wants.COMPARISON or not ranked:
        return ranked
    spoken = _subject(ranked[0])
    missing = [term for term in choice.terms if spoken.isdisjoint(term.stems)]
    total = sum(term.weight for term in choice.terms) or 1.0
    gain = {
        id(one): one.score + sum(term.weight for term in missing if not _subject(one).isdisjoint(term.stems)) / total
        for one in ranked
    }
    return [ranked[0], *sorted(ranked[1:], key=lambda one: -gain[id(one)])]


def _subject(one: Scored) -> frozenset[int]:
    """What a unit is about: its heading when that has words of the question, else all that it says."""
    return bag(one.unit.path[-1]) if one.unit.path and one.signs["leaf"] else one.found


def same_section(one: Scored, other: Scored) -> bool:
    """Whether two units stand under the same heading; text without headings has no sections, only blocks."""
    if one.passage.doc_id != other.passage.doc_id or one.unit.path != other.unit.path:
        return False
    return bool(one.unit.path) or (
        one.unit.at == other.unit.at and abs(one.unit.start - other.unit.start) < TEXT_CHARS // 2
    )


def _repeats(one: Extract, other: Extract) -> bool:
    words, before = (bag("\n".join(piece.text for piece in excerpt.pieces)) for excerpt in (one, other))
    return len(words & before) > 0.9 * min(len(words), len(before))


def suits(choice: Choice, extract: Extract) -> bool:
    """Whether the place of the best unit has the form that is asked for: steps instruct, a list names several things.

    A sentence with all words of the question may only say that there is a way, or what there is in general. Text
    without headings has sentences alone, so all of it suits.
    """
    unit = choice.ranked[0].unit
    if not unit.path or unit.kind not in (UnitKind.LEAD, UnitKind.SENTENCE):
        return True
    match choice.asked.wants:
        case Wants.STEPS:
            says = f"{unit.text}\n{unit.path[-1]}" if _CALL.search(unit.path[-1]) else unit.text
            return _announces_form(extract, unit) or _INSTRUCTS.search(says) is not None
        case Wants.LIST:
            listed = any(piece.kind is not PieceKind.TEXT for piece in extract.pieces)
            return listed or _ENUMERATES.search(unit.text) is not None
        case _:
            return True


def _announces_form(extract: Extract, unit: Unit) -> bool:
    """Whether a command, list or table follows on the text that holds a unit."""
    for piece, following in pairwise(extract.pieces):
        if piece.passage == unit.place.passage and piece.start <= unit.start < piece.end:
            return following.kind is not PieceKind.TEXT
    return False


def excerpt_of(choice: Choice, one: Scored) -> Extract:
    """What is shown of the place of one unit."""
    maker = PieceMaker(choice, one)
    place = one.unit.place
    pieces = tuple(_finished(list(_joined(list(maker.pieces()))), one.unit))
    kind = page_kind(one.passage.media_type)
    return Extract(one.passage.title, one.passage.locator, place.path, place.block.page, pieces, kind)


def _finished(pieces: list[Piece], unit: Unit) -> list[Piece]:
    """The pieces without a last one that only announces what is not shown: a label, what ends in a colon, or the title
    of a box that follows."""
    while len(pieces) > 1 and pieces[-1].kind is PieceKind.TEXT and announces(pieces[-1], unit):
        pieces.pop()
    return pieces


def announces(piece: Piece, unit: Unit) -> bool:
    """Whether a piece is a label of what follows it. What answers is one only when it is very short."""
    text = piece.text.strip()
    own = piece.passage == unit.place.passage and piece.start <= unit.start < piece.end
    words, chars = (LABEL_WORDS, LABEL_CHARS) if own else (TITLE_WORDS, TITLE_CHARS)
    label = len(text) <= chars if is_chinese(text) else len(text.split()) <= words
    return text.endswith((":", "：")) or (label and not text.endswith(tuple('.!?。！？…)）"”')))


def _joined(pieces: list[Piece]) -> Iterator[Piece]:
    seen: set[tuple[int, int, int]] = set()
    for piece in pieces:
        key = (piece.passage, piece.start, piece.end)
        if key not in seen and piece.text.strip():
            seen.add(key)
            yield piece
