"""Passages and citations say their structure, page and headings. The text around a passage is of its own version,
without gaps, and for a bounded number of passages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interfaces.citations import from_citation, from_passage
from interfaces.openai import shapes
from query_server.converters.query_v2 import from_event, from_page
from query_server.handlers.query.answer import Retrieved
from query_server.handlers.query.search import ResultPage
from query_server.handlers.query.surroundings import MAX_PASSAGES, ContextSize, places_around, surroundings
from rag_core.answering import Answered, Citation, Excerpt, StandaloneQuestion, page_kind
from rag_core.answering.extractive.rendering import to_plain
from rag_core.content.parsing import Block, BlockKind, Part, PartKind
from rag_core.content.parsing.detect import Kind
from rag_core.retrieval.index import SearchHit, SearchResult
from ragproto.query.v2 import query_pb2 as pb
from tests.support.hits import hit
from tests.support.index_points import document

(_, POINT) = document("a", ["first", "Setup\n\nport | 8080\n\n- one\n- two"]).points
START = POINT.payload.start
BLOCKS = (
    Block(BlockKind.HEADING, START, START + 5, level=2, page=3, path=("Top", "Setup")),
    Block(BlockKind.TABLE, START + 7, START + 18, page=3, header="name | value", path=("Top", "Setup")),
    Block(
        BlockKind.LIST,
        START + 20,
        START + 31,
        page=4,
        parts=(Part(PartKind.ITEM, START + 20, START + 25), Part(PartKind.ITEM, START + 26, START + 31, 1)),
        path=("Top", "Setup", "Steps"),
    ),
)
HIT = SearchHit(POINT.chunk_id, 0.5, replace(POINT.payload, blocks=BLOCKS, page=3))
RESULT = SearchResult("g", (HIT,))


def test_a_passage_has_its_blocks_with_parts_and_the_header_that_a_cut_took() -> None:
    (passage,) = from_page(ResultPage(RESULT, "", None)).passages
    heading, table, listed = passage.blocks
    assert (heading.kind, heading.level, heading.page) == (pb.Block.KIND_HEADING, 2, 3)
    assert (table.header, list(table.heading_path)) == ("name | value", ["Top", "Setup"])
    assert passage.text[table.start - passage.start : table.end - passage.start] == "port | 8080"
    assert [part.role for part in table.parts] == [pb.Block.Part.ROLE_ROW]
    assert [(part.role, part.level) for part in listed.parts] == [
        (pb.Block.Part.ROLE_ITEM, 0), (pb.Block.Part.ROLE_ITEM, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(("continued", "shown"), [(True, ("how? (leave)", "words")), (False, ("", ""))])
def test_an_answer_says_as_what_a_question_was_read_that_may_continue_another(
    continued: bool, shown: tuple[str, str]
) -> None:
    asked = StandaloneQuestion("how?", perhaps="how? (leave)")
    final = from_event(Answered((), continued=continued), Retrieved(RESULT, None, 0.0, asked)).final
    assert (final.standalone_question, final.standalone_by) == shown


def test_a_citation_names_the_page_and_headings_of_what_it_quotes() -> None:
    cited = Citation(1, 0, START + 26, START + 31, "- two")
    final = from_event(Answered((cited,)), Retrieved(RESULT, None, 0.0, StandaloneQuestion("how?"))).final
    (citation,) = final.answered.citations
    assert (citation.page, list(citation.heading_path)) == (4, ["Top", "Setup", "Steps"])
    assert [block.kind for block in citation.blocks] == [pb.Block.KIND_LIST]


@pytest.mark.parametrize(("kind", "page", "word"), [
    (Kind.PDF, pb.PAGE_KIND_PAGE, "page"), (Kind.PPTX, pb.PAGE_KIND_SLIDE, "slide"),
    (Kind.XLSX, pb.PAGE_KIND_SHEET, "sheet"),
])  # fmt: skip
def test_slides_and_sheets_are_called_so_in_passages_citations_excerpts_and_words(
    kind: Kind, page: pb.PageKind, word: str
) -> None:
    hit = replace(HIT, payload=replace(HIT.payload, media_type=str(kind)))
    found = Retrieved(SearchResult("g", (hit,)), None, 0.0, StandaloneQuestion("how?"))
    excerpt = Excerpt("Pumps", "pumps", ("Oil",), 4, "use oil [1]", "use oil [1]", (1,), page_kind(str(kind)))
    cited = Citation(1, 0, START + 26, START + 31, "- two")
    final = from_event(Answered((cited,), excerpts=(excerpt,)), found).final
    (passage,) = from_page(ResultPage(found.result, "", None)).passages
    shown = (passage, final.answered.citations[0], final.excerpts[0])
    assert [item.page_kind for item in shown] == [page] * 3
    assert to_plain([excerpt]) == [f"Pumps > Oil ({word} 4)\n\nuse oil [1]"]
    assert from_passage(1, passage)["page_kind"] == from_citation(shown[1])["page_kind"] == word
    assert shapes.result(passage)["attributes"]["page_kind"] == word


def test_a_passage_of_an_old_generation_has_none() -> None:
    old = replace(HIT, payload=POINT.payload)
    (passage,) = from_page(ResultPage(SearchResult("g", (old,)), "", None)).passages
    assert (list(passage.blocks), passage.page, passage.page_kind) == ([], 0, pb.PAGE_KIND_UNSPECIFIED)


def test_every_kind_has_its_name_in_the_interface() -> None:
    assert {f"KIND_{kind.name}" for kind in BlockKind} == set(pb.Block.Kind.keys()) - {"KIND_UNSPECIFIED"}
    assert {f"ROLE_{kind.name}" for kind in PartKind} == set(pb.Block.Part.Role.keys()) - {"ROLE_UNSPECIFIED"}


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
