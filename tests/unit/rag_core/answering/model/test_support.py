"""A written answer keeps only the sentences that a passage supports, and each marker has its citation. Small to big:
the sections that a model reads are found passages with what stands around them, within a size."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rag_core.answering.base import Question
from rag_core.answering.model.sections import Sections, estimate, read_sections
from rag_core.answering.model.support import SupportChecker
from rag_core.retrieval.index import ChunkRange, SearchHit
from tests.support.hits import hit
from tests.support.support_pairs import PAIRS, pairs, passages

HITS = (
    hit("Parental leave lasts 16 weeks. It is paid in full.", start=50),
    hit("The Lisbon office opens at nine.", start=7),
    hit("年假为每年二十五天。未使用的假期在三月底失效。"),
)


def checked(*pieces: str) -> tuple[list[str], list[str]]:
    checker = SupportChecker(HITS)
    sentences = [sentence for piece in pieces for sentence in checker.feed(piece)]
    sentences += checker.finish()
    return sentences, [citation.quote for citation in checker.citations]


def test_a_supported_sentence_gets_the_marker_of_the_sentence_it_rests_on() -> None:
    sentences, quotes = checked("Parental leave lasts 16 weeks [1]. The office in Lisbon opens at nine [2].")
    assert sentences == ["Parental leave lasts 16 weeks. [1]", "The office in Lisbon opens at nine. [2]"]
    assert quotes == ["Parental leave lasts 16 weeks.", "The Lisbon office opens at nine."]


def test_the_markdown_of_an_answer_makes_no_link_image_or_element() -> None:
    checker = SupportChecker((hit("Call __init__ of <Office>, **never** by ![a picture](http://x.example/p.png)."),))
    (plain,) = [
        *checker.feed("Call __init__ of <Office>, **never** by ![a picture](http://x.example/p.png) [1]."),
        *checker.finish(),
    ]
    assert plain == "Call __init__ of <Office>, **never** by ![a picture](http://x.example/p.png). [1]"
    shown = MarkdownIt("commonmark", {"html": True}).renderInline(checker.markdown)
    assert shown == (
        "Call __init__ of &lt;Office&gt;, <strong>never</strong> by ![a picture](http://x.example/p.png). [1]"
    )


WEEKS = "Parental leave lasts 16 weeks. [1]"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("The canteen serves excellent fish on Fridays [1]. Parental leave lasts 16 weeks [1].", [WEEKS]),
        ("Parental leave lasts 26 weeks [1].", []),
        ("Parental leave is not paid in full [1].", []),
        ("It isn't paid in full.", []),
        ("年假不是每年二十五天。", []),
        ("Parental leave lasts 16 weeks.", [WEEKS]),
        ("Parental leave lasts 16 weeks [2].", [WEEKS]),
        ("Parental leave lasts 16 weeks [99].", []),
        ("Parental leave lasts 16 weeks [1, 99].", [WEEKS]),
        ("年假每年二十五天[3]。食堂周五供应鱼[3]。", ["年假每年二十五天。[1]"]),
        (
            "Parental leave lasts 16 weeks.[1] The office in Lisbon opens at nine. [2]",
            [WEEKS, "The office in Lisbon opens at nine. [2]"],
        ),
    ],
    ids=["an invented sentence", "a wrong number", "a denial", "a denial without a marker", "a denial in Chinese",
         "no marker", "the marker of another section", "a document that was not given", "one given and one not",
         "an invented sentence in Chinese", "markers after the stop"],
)  # fmt: skip
def test_only_what_a_passage_supports_is_kept_and_has_its_marker(said: str, kept: list[str]) -> None:
    sentences, quotes = checked(said)
    assert (sentences, len(quotes)) == (kept, len(kept))


def test_a_denial_that_the_passage_makes_is_kept() -> None:
    checker = SupportChecker((hit("Meals are not refunded. Trains are."),))
    assert [*checker.feed("Meals are not refunded."), *checker.finish()] == ["Meals are not refunded. [1]"]


def test_one_span_has_one_number() -> None:
    sentences, quotes = checked("Parental leave lasts 16 weeks [1]. Leave of parents: 16 weeks, parental [1].")
    assert [re.findall(r"\[\d+\]", sentence) for sentence in sentences] == [["[1]"], ["[1]"]]
    assert len(quotes) == 1


HANDBOOK = hit(
    "The company gives the employee a notice of ten days. Maria Keller is the COO. Work on customer data may not be "
    "done on a personal device. Questions go to the payroll team. Plans:\n\n"
    "| Plan | Storage |\n|---|---|\n| Basic | 10 GB |\n| Team | 50 GB |",
    title="Handbook of Acme",
)


def stands(sentence: str, *hits: SearchHit) -> bool:
    checker = SupportChecker(hits)
    return bool([*checker.feed(sentence), *checker.finish()])


@pytest.mark.parametrize(
    "said",
    [
        "The employee gives the company a notice of ten days [1].",
        "The company gives the employee a notice of thirty days [1].",
        "The company gives the employee a notice of ten weeks [1].",
        "Maria Keller is the CEO [1].",
        "The company gives the employee a notice of ten days and a car [1].",
        "Work on customer data may be done on a personal device [1].",
        "Questions go to the payroll team at payroll@acme.example [1].",
        "The company gives the employee a notice of ten days [9].",
        "The Basic plan has 50 GB [1].",
        "Yes, work on customer data may not be done on a personal device [1].",
    ],
)
@pytest.mark.catalogue("A33")
def test_a_sentence_with_one_thing_changed_is_dropped(said: str) -> None:
    assert not stands(said, HANDBOOK)


@pytest.mark.parametrize(
    "said",
    [
        "The company gives the employee a notice of 10 days [1].",
        "According to the handbook, Maria Keller is the COO [1].",
        "The COO is **Maria Keller** [1].",
        "No, work on customer data may not be done on a personal device [1].",
        "Work on customer data can't be done on a personal device [1].",
        "The COO is Maria Keller, and questions go to the payroll team [1].",
        "- Basic: 10 GB [1].",
    ],
)
def test_a_sentence_that_says_the_same_is_kept(said: str) -> None:
    assert stands(said, HANDBOOK)


@pytest.mark.catalogue("A33")
def test_of_200_false_sentences_at_most_2_percent_pass_and_of_200_true_ones_at_most_5_percent_are_dropped() -> None:
    made = pairs(passages(), PAIRS)
    assert len(made) == PAIRS
    sources = [hit(one.passage.text, title=one.passage.heading) for one in made]
    passed = [one for one, source in zip(made, sources, strict=True) if stands(one.false, source)]
    dropped = [one for one, source in zip(made, sources, strict=True) if not stands(one.true, source)]
    assert len(passed) <= 0.02 * PAIRS, [(one.false_kind, one.false) for one in passed]
    assert len(dropped) <= 0.05 * PAIRS, [(one.true_kind, one.true) for one in dropped]


@settings(deadline=None)  # a busy machine is not a failure
@given(
    st.lists(
        st.sampled_from(
            [
                "Parental leave lasts 16 weeks",
                " [1]",
                "[9]",
                ". ",
                "。",
                "年假每年二十五天",
                "[",
                "1]",
                " Lisbon office opens at nine",
                "\n",
            ]
        ),
        max_size=25,
    )
)
def test_however_the_text_is_cut_markers_and_citations_agree(pieces: list[str]) -> None:
    sentences, quotes = checked(*pieces)
    numbers = [int(number) for sentence in sentences for number in re.findall(r"\[(\d+)\]", sentence)]
    assert set(numbers) == set(range(1, len(quotes) + 1))
    assert all(any(quote in one.payload.text for one in HITS) for quote in quotes)


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
