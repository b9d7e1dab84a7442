"""Small to big: the sections that a model reads are found passages with what stands around them, within a size."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

from rag_core.answering.base import Question
from rag_core.answering.model.sections import Sections, estimate, read_sections
from rag_core.retrieval.index import ChunkRange, SearchHit
from tests.support.hits import hit

DOC, OTHER = uuid.uuid4(), uuid.uuid4()


def chunk(ordinal: int, doc: uuid.UUID = DOC, headings: tuple[str, ...] = ("Leave",), words: int = 20) -> SearchHit:
    text = " ".join(f"{ordinal}.{word}" for word in range(words))
    made = hit(text, start=ordinal * 1000, title="Handbook")
    payload = replace(made.payload, doc_id=doc, ordinal=ordinal, headings=headings)
    return SearchHit(uuid.uuid5(doc, str(ordinal)), 1.0, payload)


DOCUMENT = [chunk(number, headings=("Leave",) if number < 6 else ("Pay",)) for number in range(10)]


async def around(places: Sequence[ChunkRange]) -> tuple[SearchHit, ...]:
    wanted = {at for place in places if place.doc_id == DOC for at in range(place.first, place.last + 1)}
    return tuple(DOCUMENT[at] for at in sorted(wanted) if at < len(DOCUMENT))


def asked(*hits: SearchHit) -> Question:
    return Question("How long?", hits, around=around)


async def sections_of(question: Question, *, limit: int, tokens: int) -> Sections:
    return await read_sections(question, question.hits, limit=limit, tokens=tokens)


async def test_a_hit_brings_its_neighbours_of_the_same_section_in_reading_order() -> None:
    found = await sections_of(asked(DOCUMENT[5]), limit=8, tokens=3000)
    (section,) = found.sections
    assert section.heading == "Handbook > Leave"
    texts = [found.passages[at].payload.ordinal for at in section.members]
    assert texts == [3, 4, 5]  # 6 and 7 stand under another heading
    assert section.text.index("3.0") < section.text.index("4.0") < section.text.index("5.0")


async def test_hits_keep_their_ranks_and_neighbours_follow_them() -> None:
    hits = (chunk(0, OTHER), DOCUMENT[1])
    found = await sections_of(asked(*hits), limit=8, tokens=3000)
    assert found.passages[:2] == hits
    assert [found.passages[section.members[0]].payload.doc_id for section in found.sections] == [OTHER, DOC]


async def test_adjacent_hits_are_one_section_without_their_overlap() -> None:
    first, second = DOCUMENT[0], DOCUMENT[1]
    overlapping = replace(second, payload=replace(second.payload, start=first.payload.start + 10))
    found = await sections_of(replace(asked(first, overlapping), around=None), limit=8, tokens=3000)
    (section,) = found.sections
    cut = len(first.payload.text) - 10
    assert section.text == first.payload.text + overlapping.payload.text[cut:]


async def test_the_size_is_bounded_and_the_best_hit_is_always_there() -> None:
    hits = [chunk(0, uuid.uuid4(), words=200) for _ in range(8)]
    for tokens in (200, 600, 2000):
        found = await sections_of(asked(*hits), limit=8, tokens=tokens)
        assert found.sections[0].members[0] == 0
        assert sum(estimate(section.text) for section in found.sections) <= tokens + len(found.sections)
    assert len((await sections_of(asked(*hits), limit=3, tokens=100_000)).sections) == 3
