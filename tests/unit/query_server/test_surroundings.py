"""The text around a passage is of its own version, without gaps, and for a bounded number of passages."""

from __future__ import annotations

from dataclasses import replace

from query_server.handlers.query.surroundings import MAX_PASSAGES, ContextSize, places_around, surroundings
from rag_core.retrieval.index import SearchHit
from tests.support.hits import hit

FIRST = hit("one two three", start=0)


def piece(ordinal: int, text: str, start: int, *, version: int = 1, headings: tuple[str, ...] = ()) -> SearchHit:
    payload = replace(
        FIRST.payload,
        ordinal=ordinal,
        text=text,
        start=start,
        end=start + len(text),
        version=version,
        headings=headings,
    )
    return replace(FIRST, payload=payload)


def test_pieces_that_overlap_are_joined_once() -> None:
    own, behind = piece(1, "three four", 8), piece(2, "four five", 14)
    (around,) = surroundings([own], [FIRST, own, behind], ContextSize(1, 1))
    assert around.before + own.payload.text + around.after == "one two three four five"
    assert (around.start, around.end) == (0, 23)


def test_another_version_and_what_stands_behind_a_gap_are_left_out() -> None:
    own = piece(3, "own", 30)
    others = [piece(2, "old", 20, version=2), piece(1, "far", 10), piece(5, "beyond", 50)]
    (around,) = surroundings([own], others, ContextSize(3, 3))
    assert (around.before, around.after, around.start, around.end) == ("", "", 30, 33)


def test_a_section_ends_where_another_heading_begins() -> None:
    own = piece(1, "own", 10, headings=("Guide", "Install"))
    same, other = piece(2, "same", 20, headings=("Guide", "Install")), piece(3, "else", 30, headings=("Guide", "Run"))
    (around,) = surroundings([own], [same, other], ContextSize(10, 10, section=True))
    assert around.after.strip() == "same"


def test_only_so_many_passages_are_read_around() -> None:
    hits = [piece(number, "own", 10 * number) for number in range(MAX_PASSAGES + 5)]
    options = ContextSize(1, 1)
    assert len(places_around(hits, options)) == len(surroundings(hits, hits, options)) == MAX_PASSAGES
