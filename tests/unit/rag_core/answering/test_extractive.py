"""The extractive answerer shows the passage that answers, whole, in its own form, with what answers marked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_core.answering import (
    Abstained,
    Abstention,
    Answered,
    Delta,
    Outcome,
    Question,
    TokenMatches,
    check_citations,
    check_evidence,
)
from rag_core.answering.citations import cite
from rag_core.answering.display import display
from rag_core.answering.extractive import ExtractiveAnswerer, decide
from rag_core.answering.extractive.answerer import rank_passages
from rag_core.answering.extractive.reading import MAX_CHARS
from rag_core.answering.extractive.rendering import trail
from rag_core.errors import RagError
from rag_core.retrieval.index import ChunkRange, SearchHit
from tests.support.hits import hit
from tests.unit.rag_core.answering.quoted import GLOSSARY, GUIDE, Compares, answered, corpus, highlighted


async def test_a_how_to_shows_the_section_with_its_command_as_code() -> None:
    outcome = await answered("How do I stop everything?", "rag down", "one command")
    first = outcome.excerpts[0]
    assert outcome.outcome is Outcome.ANSWERED
    assert first.heading_path == ("Operating", "Stop everything")
    assert "```sh\nrag down\n```" in first.markdown
    assert first.text.startswith("Run one command to stop the services:\n\n    rag down")
    assert "**Operating > Stop everything**\n\n" in outcome.markdown


async def test_what_answers_is_marked_where_it_stands() -> None:
    outcome = await answered("What is the quarantine?", "quarantine holds inputs that could not be used")
    assert highlighted(outcome) == ["The quarantine holds inputs that could not be used."]
    assert outcome.excerpts[0].markdown.startswith(
        "**The quarantine holds inputs that could not be used.** Each has a reason code."
    )


async def test_beside_code_which_cannot_be_marked_the_sentence_that_answers_is() -> None:
    guide = "# Valve\n\n## Open\n\nTurn the wheel to the left.\n\n```sh\nvalve open --wheel left\n```\n"
    outcome = await answered("How do I open the valve?", "valve open --wheel left", hits=corpus(guide))
    assert "**Turn the wheel to the left.**" in outcome.excerpts[0].markdown


async def test_a_value_of_a_table_is_marked_in_its_row_under_the_header() -> None:
    outcome = await answered("What is the default of RAG_CONSOLE_PORT?", "RAG_CONSOLE_PORT", "Port of the console")
    first = outcome.excerpts[0]
    assert "| setting | default | meaning |" in first.markdown
    assert "| **RAG_CONSOLE_PORT** | **8501** | **Port of the console** |" in first.markdown
    assert highlighted(outcome) == ["RAG_CONSOLE_PORT — default: 8501; meaning: Port of the console"]


async def test_of_a_table_too_long_to_be_read_only_the_rows_that_answer_are_shown() -> None:
    rows = "".join(f"| option_{number} | {number} | What option number {number} is for |\n" for number in range(80))
    table = f"# Options\n\n| name | default | meaning |\n|---|---|---|\n{rows}"
    outcome = await answered("What is option_33 for?", "option_33", hits=corpus(table, tokens=4000))
    first = outcome.excerpts[0]
    assert first.markdown.startswith("| name | default | meaning |\n| --- | --- | --- |\n| **option_33** |")
    assert "option_34" not in first.markdown


async def test_a_list_is_shown_whole_with_the_sentence_that_introduces_it() -> None:
    outcome = await answered("Which formats are read?", "Markdown", "formats")
    assert outcome.excerpts[0].text.startswith("Several formats are read:\n\n- Markdown\n- HTML\n- plain text")


async def test_of_steps_too_long_to_be_shown_whole_the_first_follow_what_introduces_them() -> None:
    steps = "\n".join(f"{n}. Open valve {n} and wait until the gauge of it stands at zero." for n in range(1, 41))
    guide = f"# Pump\n\n## Drain\n\nWho is trained may drain the pump.\n\n{steps}\n"
    shown = (await answered("How do I drain the pump?", "may drain the pump", hits=corpus(guide))).excerpts[0].text
    assert shown.startswith("Who is trained may drain the pump.")
    assert [line[:2] for line in shown.splitlines() if "valve" in line][:9] == [f"{n}." for n in range(1, 10)]
    assert len(shown) < 1300


async def test_a_term_is_shown_with_its_description() -> None:
    outcome = await answered("What is a chunk?", "A span of", hits=corpus(GLOSSARY, "glossary.html"))
    assert outcome.excerpts[0].markdown.startswith("**chunk**: **A span of a document.**")


@pytest.mark.parametrize("asked", ["Parental leave", "How long is parental leave?"])
async def test_a_page_whose_name_is_what_was_asked_is_never_left_out(asked: str) -> None:
    page = "# Parental leave\n\nSixteen weeks, in full.\n"
    hits = (*corpus(page, "leave.md"), *corpus(GUIDE))
    outcome = await decide(Question(asked, hits, compare=Compares()))
    assert isinstance(outcome, Answered)
    assert outcome.excerpts[0].locator == "leave.md"


async def test_what_a_thing_is_stands_at_the_beginning_of_its_page() -> None:
    page = "# Workspaces\n\nA generic term for many packages in one place.\n\n## Flags\n\nWorkspaces take flags.\n"
    opening, flags = corpus(page, "workspaces.md", tokens=12)

    async def around(places: Sequence[ChunkRange]) -> tuple[SearchHit, ...]:
        return tuple(opening for place in places if place.doc_id == opening.payload.doc_id and place.first == 0)

    hits = (*corpus(GUIDE), flags)
    asked = Question("What are workspaces?", hits, compare=Compares("generic term"), around=around)
    outcome = await decide(asked)
    assert isinstance(outcome, Answered)
    assert outcome.excerpts[0].text.startswith("A generic term for many packages")


async def test_a_passage_of_headings_alone_takes_no_place_from_those_that_can_be_shown() -> None:
    headings, *others = corpus("# Valve manual\n\n## Open the valve\n\n### By hand\n\nTurn the wheel.\n", tokens=8)
    assert "wheel" not in headings.payload.text
    asked = Question("How do I open the valve by hand?", (headings, *others, *corpus()), compare=Compares("wheel"))
    ranked = (await rank_passages(asked)).candidates
    assert ranked[0].passage.text.startswith("Turn the wheel")
    assert ranked[-1].passage.text == headings.payload.text


async def test_the_opening_of_a_page_goes_before_later_mentions_of_its_words() -> None:
    page = (
        "# Boilers\n\nOne valve lets the steam out.\n\n## Care\n\nEach valve has a number, and the valve is listed.\n"
    )
    hits = corpus(page, tokens=16)
    assert len(hits) == 2
    outcome = await answered("What is the valve?", hits=(hits[1], hits[0]))
    assert outcome.excerpts[0].text.startswith("One valve lets the steam out.")


async def test_a_heading_with_the_words_of_the_question_in_another_order_is_another_question() -> None:
    page = (
        "# Answers\n\nWhat many people have asked us here, one after the other, and what we say.\n\n"
        "## How do I convert a number to a string?\n\nTake str.\n\n"
        "## How do I convert a string to a number?\n\nTake int.\n"
    )
    hits = corpus(page, tokens=14)
    outcome = await answered("How do I convert a string to a number?", hits=hits)
    assert outcome.excerpts[0].text.startswith("Take int.")


@pytest.mark.parametrize("number", ["8.7. ", "第 8 章 ", "Chapter 8. "])
async def test_the_number_of_a_section_is_no_word_of_its_heading(number: str) -> None:
    page = f"# Guide\n\nAbout many things.\n\n## Set up the printer queue\n\nFirst.\n\n## {number}Printers\n\nSecond.\n"
    outcome = await answered("printers", hits=corpus(page, tokens=8))
    assert outcome.excerpts[0].text.startswith("Second.")


async def test_a_word_that_stands_in_one_document_shows_it() -> None:
    guide = "# Animals\n\n## Night\n\nThe keeper feeds the kinkajou after dusk.\n\n## Day\n\nThe keeper rests.\n"
    outcome = await decide(Question("kinkajou", corpus(guide, tokens=12), compare=Compares()))
    assert isinstance(outcome, Answered)
    assert "kinkajou" in outcome.excerpts[0].text


async def test_a_comparison_shows_both_sides() -> None:
    outcome = await answered("What is the difference between rotating and retiring a key?", "key")
    said = " ".join(excerpt.text for excerpt in outcome.excerpts)
    assert "Rotating a key" in said
    assert "Retiring a key" in said


async def test_the_best_matches_are_three_places_that_claim_nothing() -> None:
    question = Question("services of the boiler room", corpus(tokens=16), compare=Compares(others=0.84))
    got = [event async for event in ExtractiveAnswerer(-2).answer(question)]
    final = got[-1]
    assert isinstance(final, Answered)
    assert final.outcome is Outcome.CLOSEST_PASSAGES
    assert len(final.excerpts) == 3
    assert not any(excerpt.further for excerpt in final.excerpts)
    deltas = [event.text for event in got[:-1] if isinstance(event, Delta)]
    assert deltas[0] == "The best matches:\n\n"
    assert len(deltas) == 1 + len(final.excerpts)
    assert final.markdown.startswith(deltas[0].strip())


async def test_further_places_are_not_part_of_the_answer() -> None:
    question = Question("How do I stop everything?", corpus(tokens=30), compare=Compares("rag down", "one command"))
    got = [event async for event in ExtractiveAnswerer().answer(question)]
    final = got[-1]
    assert isinstance(final, Answered)
    assert [excerpt.further for excerpt in final.excerpts] == [False, True, True]
    said = "".join(event.text for event in got[:-1] if isinstance(event, Delta))
    assert "rag down" in said
    assert all(excerpt.text not in said and excerpt.markdown not in final.markdown for excerpt in final.excerpts[1:])
    check_citations(final.citations, question.hits)
    assert [number for excerpt in final.excerpts for number in excerpt.citations] == [
        citation.number for citation in final.citations
    ]


async def test_nothing_found_and_nothing_supported_are_reported_apart() -> None:
    assert await decide(Question("anything", ())) == Abstained(Abstention.NO_RESULTS)
    asked = Question("Who won the football cup in 1966?", corpus(), compare=Compares())
    assert await decide(asked) == Abstained(Abstention.NOT_SUPPORTED)
    assert [event async for event in ExtractiveAnswerer().answer(asked)] == [Abstained(Abstention.NOT_SUPPORTED)]


async def test_nothing_is_found_only_where_no_place_that_would_be_shown_is_near() -> None:
    texts = ("The form of a purchase approval is green.", "Ask your manager before you buy.", "We open at nine.")
    hits = tuple(hit(text, score=1 - at / 10, dense=0.84) for at, text in enumerate(texts))
    near = await decide(Question("purchase approval", hits, compare=Compares(texts[1], others=0.76)))
    assert isinstance(near, Answered)
    assert near.outcome is Outcome.CLOSEST_PASSAGES
    assert [excerpt.text.partition(" [")[0] for excerpt in near.excerpts[:2]] == list(texts[:2])
    far = await decide(Question("purchase approval", hits, compare=Compares(others=0.76)))
    assert far == Abstained(Abstention.NOT_SUPPORTED)


async def test_a_higher_threshold_claims_less() -> None:
    asked = Question("What do the inputs hold?", corpus(), compare=Compares("quarantine holds"))
    assert isinstance(await decide(asked, threshold=100), Abstained)


async def test_a_misspelt_word_is_read_as_the_nearest_one_and_the_reading_is_reported() -> None:
    hits = corpus()

    async def search(text: str, locators: Sequence[str]) -> tuple[SearchHit, ...]:
        return hits

    asked = Question("What is the quarantne?", hits, compare=Compares("quarantine holds"), search=search)
    outcome = await decide(asked)
    assert isinstance(outcome, Answered)
    assert outcome.read_as == "What is the quarantine?"
    assert outcome.excerpts[0].text.startswith("The quarantine holds")


@pytest.mark.parametrize("compare", [Compares("16 weeks"), None], ids=["compared", "by words alone"])
async def test_text_without_blocks_of_an_old_generation_is_read_as_a_paragraph(compare: Compares | None) -> None:
    text = "The handbook has rules. Parental leave lasts 16 weeks. It is paid in full."
    hits = (hit(text, start=100, dense=0.9), *(hit("The office opens at nine.", score=0.3, dense=0.8) for _ in "ab"))
    outcome = await decide(Question("How long does parental leave last?", hits, compare=compare))
    assert isinstance(outcome, Answered)
    assert "Parental leave lasts 16 weeks." in outcome.citations[0].quote
    assert outcome.citations[0].start >= 100
    assert "Parental leave lasts 16 weeks." in highlighted(outcome)


@pytest.mark.parametrize(
    ("intro", "block"),
    [
        ("Write a file of options:", "```yaml\n{}\n```"),
        ("Drain it once a year:", "{}"),
    ],
    ids=["code", "list"],
)
async def test_a_block_that_was_cut_between_passages_is_shown_as_one(intro: str, block: str) -> None:
    lines = "\n".join(f"{number}. Drain circuit {number} of the boiler." for number in range(1, 9))
    guide = f"# Boiler\n\n## Drain the boiler\n\n{intro}\n\n{block.format(lines)}\n"
    chunks = corpus(guide, tokens=24)
    assert len(chunks) > 2
    outcome = await answered("How do I drain the boiler?", "circuit 4", hits=chunks)
    shown = [line.strip() for line in outcome.excerpts[0].text.split("\n")]
    at = shown.index("1. Drain circuit 1 of the boiler.")
    assert [line[0] for line in shown[at : at + 8]] == list("12345678")
    assert shown[0] == intro


async def test_a_description_that_was_cut_is_shown_under_its_term() -> None:
    described = "".join(
        f"<dd>It is kept for {n} days in the store of the house and then removed.</dd>" for n in range(6)
    )
    hits = corpus(f"<dl><dt>quarantine</dt>{described}</dl>", "words.html", tokens=30)
    rest = hits[-1]
    assert "quarantine" not in rest.payload.text
    outcome = await answered("quarantine removed after 5 days", "5 days", hits=(rest,))
    assert "**quarantine**: " in outcome.markdown


async def test_front_matter_is_not_read_and_images_are_never_quoted() -> None:
    page = (
        "---\ntags: [quarantine, deadline of the quarantine is monday]\n---\n# Guide\n\n"
        "![The deadline of the quarantine is on tuesday](x.png)\n\n"
        "The deadline of the quarantine is on friday, when the store is emptied.\n"
    )
    hits = corpus(page, "guide.md")
    assert "monday" not in hits[0].payload.text
    assert "tuesday" in hits[0].payload.text
    outcome = await answered("When is the deadline of the quarantine?", "deadline", hits=hits)
    assert "friday" in outcome.markdown
    assert "tuesday" not in outcome.markdown


async def test_what_stands_around_a_hit_can_be_cited_as_further_evidence() -> None:
    chunks = corpus("# Oil\n\nOil the pump:\n\n- with oil of kind one\n- with oil of kind two\n", tokens=8)
    found, near = chunks[:1], chunks[1:]
    asked: list[ChunkRange] = []

    async def around(places: Sequence[ChunkRange]) -> tuple[SearchHit, ...]:
        asked.extend(places)
        return near

    outcome = await decide(Question("Oil the pump", found, compare=Compares("Oil the pump"), around=around))
    assert isinstance(outcome, Answered)
    assert asked[0].doc_id == found[0].payload.doc_id
    assert asked[0].first <= near[0].payload.ordinal <= asked[0].last
    assert outcome.evidence
    assert "kind two" in outcome.markdown
    check_citations(outcome.citations, [*found, *outcome.evidence])
    with pytest.raises(RagError):
        check_citations(outcome.citations, found)
    with pytest.raises(RagError):
        check_evidence(outcome.evidence, {found[0].chunk_id})


@pytest.mark.catalogue("S14")
async def test_text_of_a_document_cannot_fake_a_marker_a_link_a_highlight_or_hide_characters() -> None:
    assert display("Parental leave [7] lasts\n\u202e16\u200b [1, 2] weeks\x00.") == "Parental leave lasts 16 weeks."
    text = "The quarantine holds <b>inputs</b> ![x](http://e) and `code`. \ue000Not\ue001 this."
    outcome = await answered("What is the quarantine?", "quarantine", hits=(hit(text, dense=0.9),))
    assert "\\<b>inputs\\</b> !\\[x\\](http://e) and \\`code\\`" in outcome.markdown
    assert not {"\ue000", "\ue001"} & set(outcome.markdown + outcome.excerpts[0].text)
    assert highlighted(outcome) == ["The quarantine holds <b>inputs</b> ![x](http://e) and `code`."]


async def test_an_answer_does_not_begin_with_the_address_that_ends_what_stands_before_it() -> None:
    page = "# Guide\n\n## Teams\n\nSee the list of teams.\n\n→ https://example.org/teams\n\nThe database holds names.\n"
    shown = await decide(Question("What does the database hold?", corpus(page), compare=Compares("database holds")))
    assert isinstance(shown, Answered)
    assert "https" in shown.excerpts[0].text  # the whole section is short enough
    long = page.replace("teams.", "teams. " + "They change. " * 100)
    shown = await decide(Question("What does the database hold?", corpus(long), compare=Compares("database holds")))
    assert isinstance(shown, Answered)
    assert shown.excerpts[0].text.startswith("The database holds names.")


async def test_a_chinese_question_is_answered_by_a_passage_that_has_its_words() -> None:
    hits = corpus("# 手册\n\n## 网络\n\n服务器从网络得到地址。\n\n## 安装\n\n安装从光盘开始。\n", tokens=12)
    near = Compares("服务器从网络")
    sure = await decide(Question("服务器怎么得到地址？", hits, compare=near))
    half = await decide(Question("服务器怎么安装光盘？", hits, compare=near))
    assert isinstance(sure, Answered)
    assert isinstance(half, Answered)
    assert (sure.outcome, half.outcome) == (Outcome.ANSWERED, Outcome.CLOSEST_PASSAGES)


async def test_a_question_in_another_script_than_the_documents_is_answered_by_meaning() -> None:
    hits = corpus(
        "# 手册\n\n## 假期\n\n育儿假为十六周。未使用的假期在三月底失效。\n\n## 办公室\n\n办公室九点开门。\n", tokens=12
    )
    near = await decide(Question("How long is parental leave?", hits, compare=Compares("育儿假为十六周")))
    assert isinstance(near, Answered)
    assert "育儿假为十六周" in near.excerpts[0].text
    likely = await decide(Question("How long is parental leave?", hits, compare=Compares(others=0.74)))
    assert isinstance(likely, Answered)
    assert likely.outcome is Outcome.CLOSEST_PASSAGES
    far = await decide(Question("How do I bake bread?", hits, compare=Compares(others=0.69)))
    assert far == Abstained(Abstention.NOT_SUPPORTED)


@pytest.mark.parametrize(
    ("title", "headings", "shown"),
    [
        ("Guide — Project 1.0", ("Guide", "Install"), ["Guide — Project 1.0", "Install"]),
        ("Guide", ("Guide", "Guide", "Install"), ["Guide", "Install"]),
        ("Guidelines", ("Guide", "Install"), ["Guidelines", "Guide", "Install"]),
        ("notes.txt", (), ["notes.txt"]),
    ],
)
def test_a_title_with_the_name_of_its_site_stands_for_the_first_heading(
    title: str, headings: tuple[str, ...], shown: list[str]
) -> None:
    assert trail(title, headings) == shown


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (0, 1000)])
def test_a_span_outside_of_the_passage_cannot_be_cited(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not within the passage"):
        cite(hit("text"), number=1, rank=0, start=start, end=end)


_PIECES = [
    "parental",
    "leave",
    "lasts",
    "16",
    "weeks.",
    "年假",
    "多少天",
    "。",
    "[1]",
    "\u202e",
    "Dr.",
    "bell",
    "?",
    "、",
]
WORDS = st.sampled_from([*_PIECES, "\n\n", "```", "| a | b |"])
TEXTS = st.lists(WORDS, min_size=1, max_size=40).map(" ".join) | st.text(min_size=1, max_size=120)


@settings(deadline=None, max_examples=40)  # a busy machine is not a failure
@given(st.lists(st.tuples(TEXTS, st.integers(0, 10_000), st.none() | st.floats(0, 1)), max_size=6), TEXTS)
async def test_every_citation_equals_its_span_of_the_document(
    parts: list[tuple[str, int, float | None]], asked: str
) -> None:
    hits = tuple(hit(text, start=start, dense=dense) for text, start, dense in parts)
    outcome = await decide(Question(asked, hits), threshold=-100)
    if isinstance(outcome, Answered):
        check_citations(outcome.citations, hits)
        for excerpt in outcome.excerpts:
            assert all(0 <= one.start < one.end <= len(excerpt.text) for one in excerpt.highlights)


async def test_of_a_chunk_that_is_far_longer_than_any_of_ours_only_the_beginning_is_read() -> None:
    compared: list[str] = []

    async def compare(question: str, passages: Sequence[str]) -> list[TokenMatches]:
        compared.extend(passages)
        return await Compares("bell")(question, passages)

    long = hit("The bell rings at nine. " * 50_000)
    answer = await decide(Question("When does the bell ring?", (long,), compare=compare))
    assert isinstance(answer, Answered)
    assert [len(text) for text in compared] == [MAX_CHARS]
    assert answer.citations[0].end <= MAX_CHARS
