"""The extractive answerer shows what answers in its own form, cites exactly, and says when it is not sure."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
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
    check_citations,
    check_evidence,
)
from rag_core.answering.citations import cite
from rag_core.answering.display import display
from rag_core.answering.extractive import ENTRY_NAMES, ExtractiveAnswerer, decide
from rag_core.content.chunking.chunker import Chunker, ChunkSettings
from rag_core.content.embedding import Vectors
from rag_core.content.parsing import ParseLimits
from rag_core.content.parsing.parse import parse
from rag_core.errors import RagError
from rag_core.retrieval.index import Place, SearchHit
from tests.support.hits import hit
from tests.unit.rag_core.content.parsing.conftest import WordCounter

GUIDE = """# Operating

## Stop everything

Run one command to stop the services:

```sh
rag down
```

## Ports

| setting | default | meaning |
|---|---|---|
| RAG_CONSOLE_PORT | 8501 | Port of the console |
| RAG_GATEWAY_PORT | 8080 | Port of the gateway |

## Quarantine

The quarantine holds inputs that could not be used. Each has a reason code.

## Formats

Several formats are read:

- Markdown
- HTML
- plain text

## Rotate a key

Rotating a key makes a new one.

## Retire a key

Retiring a key ends the old one.
"""
GLOSSARY = (
    "<h1>Glossary</h1><dl><dt>chunk</dt><dd>A span of a document.</dd><dt>alias</dt><dd>What readers follow.</dd></dl>"
)
ASKED = np.array([1, 0], np.float32)


def corpus(source: str = GUIDE, name: str = "operations.md", *, tokens: int = 60) -> tuple[SearchHit, ...]:
    """Every chunk of a document as hits, in reading order, with the cosines that e5 gives to related texts."""
    document = parse(source.encode(), name=name, media_type=None, limits=ParseLimits())
    doc_id = uuid.uuid5(uuid.NAMESPACE_URL, name)
    chunks = Chunker(ChunkSettings(tokens, 0), WordCounter()).chunk(doc_id, document)
    plain = hit("x").payload
    return tuple(
        SearchHit(
            chunk.chunk_id,
            1 - 0.1 * chunk.ordinal,
            replace(
                plain, doc_id=doc_id, title=document.title, locator=name, ordinal=chunk.ordinal, start=chunk.start,
                end=chunk.end, text=chunk.text, headings=chunk.headings, blocks=chunk.blocks,
            ),
            dense=0.86 - 0.01 * chunk.ordinal,
        )
        for chunk in chunks
    )  # fmt: skip


class Meanings:
    """Embeds texts: those that hold one of the words lie near the question, the others do not."""

    def __init__(self, *near: str) -> None:
        self._near = near

    async def __call__(self, texts: Sequence[str]) -> Vectors:
        cosines = [0.95 if any(word in text for word in self._near) else 0.8 for text in texts]
        return np.array([[cosine, (1 - cosine**2) ** 0.5] for cosine in cosines], np.float32)


async def answered(asked: str, *near: str, hits: tuple[SearchHit, ...] | None = None) -> Answered:
    hits = hits or corpus()
    outcome = await decide(Question(asked, hits, ASKED, embed=Meanings(*near)))
    assert isinstance(outcome, Answered)
    check_citations(outcome.citations, [*hits, *outcome.evidence])
    return outcome


async def test_a_how_to_shows_the_section_with_its_command_as_code() -> None:
    outcome = await answered("How do I stop everything?", "rag down", "one command")
    first = outcome.excerpts[0]
    assert first.heading_path == ("Operating", "Stop everything")
    assert first.markdown == "Run one command to stop the services:\n\n```sh\nrag down\n```\n[1]"
    assert first.text == "Run one command to stop the services:\n\n    rag down [1]"
    assert "**Operating > Stop everything**\n\nRun one command" in outcome.markdown


async def test_a_value_of_a_table_is_a_row_under_its_header() -> None:
    outcome = await answered("What is the default of RAG_CONSOLE_PORT?", "RAG_CONSOLE_PORT")
    first = outcome.excerpts[0]
    assert "| setting | default | meaning |" in first.markdown
    assert first.markdown.endswith("| RAG_CONSOLE_PORT | 8501 | Port of the console |\n\n[1]")
    assert "GATEWAY" not in first.markdown
    assert "default: 8501" in first.text


async def test_a_definition_is_the_lead_of_its_section() -> None:
    outcome = await answered("What is the quarantine?", "quarantine holds")
    assert outcome.excerpts[0].text.startswith("The quarantine holds inputs that could not be used.")


async def test_a_term_is_shown_with_its_description() -> None:
    outcome = await answered("What is a chunk?", "chunk", hits=corpus(GLOSSARY, "glossary.html"))
    assert outcome.excerpts[0].markdown.startswith("**chunk**: A span of a document.")


async def test_a_question_for_a_list_shows_all_of_it() -> None:
    outcome = await answered("Which formats are read?", "Markdown", "formats")
    assert "- Markdown\n- HTML\n- plain text" in outcome.excerpts[0].markdown


async def test_a_comparison_shows_both_sides() -> None:
    outcome = await answered("What is the difference between rotating and retiring a key?", "key")
    said = " ".join(excerpt.text for excerpt in outcome.excerpts)
    assert "Rotating a key" in said
    assert "Retiring a key" in said


async def test_what_is_not_sure_is_said_so_and_claims_nothing() -> None:
    question = Question("How do I stop everything?", corpus(), ASKED)
    got = [event async for event in ExtractiveAnswerer().answer(question)]
    final = got[-1]
    assert isinstance(final, Answered)
    assert final.outcome is Outcome.CLOSEST_PASSAGES
    assert 1 <= len(final.excerpts) <= 3
    deltas = [event.text for event in got[:-1] if isinstance(event, Delta)]
    assert deltas[0] == "Not sure that this is answered. The closest places:\n\n"
    assert len(deltas) == 1 + len(final.excerpts)
    assert final.markdown.startswith(deltas[0].strip())


async def test_nothing_found_and_nothing_supported_are_reported_apart() -> None:
    assert await decide(Question("anything", ())) == Abstained(Abstention.NO_RESULTS)
    asked = Question("Who won the football cup in 1966?", corpus(), ASKED, embed=Meanings())
    assert await decide(asked) == Abstained(Abstention.NOT_SUPPORTED)
    assert [event async for event in ExtractiveAnswerer().answer(asked)] == [Abstained(Abstention.NOT_SUPPORTED)]


async def test_a_higher_threshold_claims_less() -> None:
    hits = corpus()
    asked = Question("What is the quarantine?", hits, ASKED, embed=Meanings("quarantine holds"))
    assert isinstance(await decide(asked, threshold=100), Abstained)


async def test_a_misspelt_word_is_read_as_the_nearest_one_and_the_reading_is_reported() -> None:
    outcome = await answered("What is the quarantne?", "quarantine holds")
    assert outcome.read_as == "What is the quarantine?"
    assert outcome.excerpts[0].text.startswith("The quarantine holds")


async def test_text_without_blocks_of_an_old_generation_is_read_as_a_paragraph() -> None:
    text = "The handbook has rules. Parental leave lasts 16 weeks. It is paid in full."
    hits = (hit(text, start=100, dense=0.9), hit("The office opens at nine.", score=0.3, dense=0.8))
    outcome = await answered("How long does parental leave last?", "16 weeks", hits=hits)
    assert outcome.outcome is Outcome.ANSWERED
    assert "Parental leave lasts 16 weeks." in outcome.citations[0].quote
    assert outcome.citations[0].start >= 100


async def test_words_that_the_documents_write_as_one_are_found() -> None:
    guide = "# Data\n\n## Backup\n\nDump it with pg_dump.\n\n## Restore\n\nRead it again with pg_restore.\n"
    outcome = await answered("How do I back up?", "pg_dump", hits=corpus(guide, tokens=12))
    assert "pg_dump" in outcome.excerpts[0].text


@pytest.mark.parametrize(("options", "shown"), [(12, 12), (80, 15)], ids=["whole", "its beginning"])
async def test_code_that_was_cut_is_shown_as_one_from_its_beginning(options: int, shown: int) -> None:
    lines = "\n".join(f"option_{number}: value of number {number}" for number in range(options))
    guide = f"# Settings\n\n## The file\n\nWrite a file of options:\n\n```yaml\nkind: folder\n{lines}\n```\n"
    chunks = corpus(guide, tokens=24)
    assert len(chunks) > 2
    outcome = await answered("How do I write the file of options?", "option", hits=chunks)
    markdown = outcome.excerpts[0].markdown
    assert markdown.count("```yaml") == 1
    assert "kind: folder" in markdown
    assert f"option_{shown - 1}:" in markdown
    assert f"option_{shown + 40}:" not in markdown


async def test_the_last_code_of_a_section_that_is_cut_off_is_whole() -> None:
    commands = "\n".join(f"$ tool step-{number} --with-a-rather-long-option {number}" for number in range(14))
    guide = f"# Disks\n\n## Restore\n\n{'It goes back in time. ' * 20}\n\nOn one machine:\n\n```sh\n{commands}\n```\n"
    outcome = await answered("How do I restore?", "step-0", hits=corpus(guide, tokens=40))
    assert "step-13" in outcome.excerpts[0].markdown


async def test_steps_that_were_cut_are_shown_to_the_last_as_one_list() -> None:
    steps = "\n".join(f"{number}. Drain circuit {number} of the boiler." for number in range(1, 9))
    guide = f"# Boiler\n\n## Drain the boiler\n\nDrain it once a year:\n\n{steps}\n"
    chunks = corpus(guide, tokens=24)
    assert len(chunks) > 2
    outcome = await answered("How do I drain the boiler?", "Drain", hits=chunks)
    lines = outcome.excerpts[0].text.split("\n")
    at = lines.index("1. Drain circuit 1 of the boiler.")
    assert [line[0] for line in lines[at : at + 8]] == list("12345678")


ASKS, OTHER, SAYS = "How do I reset my password?", "How do I close my account?", "Use the link in the mail."
FAQ = {
    "table": f"| question | answer |\n|---|---|\n| {ASKS} | {SAYS} |\n| {OTHER} | Write to the desk. |\n",
    "list": f"- {ASKS} {SAYS}\n- {OTHER} Write to the desk.\n",
    "terms": f"<dl><dt>{ASKS}</dt><dd>{SAYS}</dd><dt>{OTHER}</dt><dd>Write to the desk.</dd></dl>",
    "bold": f"**{ASKS}** {SAYS}\n\n**{OTHER}** Write to the desk.\n",
}


@pytest.mark.parametrize("form", FAQ)
async def test_a_question_asked_as_a_list_of_questions_has_it_is_answered_there(form: str) -> None:
    page = f"<h1>Questions</h1>{FAQ[form]}" if form == "terms" else f"# Questions\n\n{FAQ[form]}"
    name = "questions.html" if form == "terms" else "questions.md"
    outcome = await answered(ASKS, "reset", "link in the mail", hits=corpus(page, name))
    assert outcome.outcome is Outcome.ANSWERED
    assert SAYS in outcome.excerpts[0].text


async def test_a_list_of_questions_that_only_names_pages_is_no_answer() -> None:
    page = f"# Questions\n\n| question | page |\n|---|---|\n| {ASKS} | [reset](reset.md) |\n| {OTHER} | a/b.md |\n"
    outcome = await decide(Question(ASKS, corpus(page), ASKED, embed=Meanings("reset")))
    assert isinstance(outcome, Abstained)


async def test_one_of_three_closest_places_is_in_another_document() -> None:
    guide = "# Oil\n\n" + "\n\n".join(f"## Pump {name}\n\nOil of pump {name}." for name in ("one", "two", "three"))
    other = corpus("# Shelf\n\n## Oil\n\nThe oil is on the shelf.\n", "shelf.md")
    question = Question("oil pump", (*corpus(guide, tokens=8), *other), ASKED)
    outcomes = [await decide(question, threshold) for threshold in (0, -1, -2, -3, -4, -5)]
    outcome = next(one for one in outcomes if isinstance(one, Answered))
    assert outcome.outcome is Outcome.CLOSEST_PASSAGES
    assert [excerpt.locator for excerpt in outcome.excerpts] == ["operations.md", "operations.md", "shelf.md"]


async def test_a_table_keeps_its_columns_when_the_first_has_no_name() -> None:
    guide = "# Roll back\n\n| | what happens |\n|---|---|\n| rag deploy rollback | the weights go back |\n"
    outcome = await answered("What does rag deploy rollback do?", "weights", hits=corpus(guide))
    assert "|  | what happens |" in outcome.excerpts[0].markdown


async def test_what_stands_around_a_hit_can_be_cited_as_further_evidence() -> None:
    chunks = corpus(tokens=16)
    table = next(at for at, one in enumerate(chunks) if "RAG_GATEWAY_PORT" in one.payload.text)
    found, near = (chunks[table - 1],), chunks[table : table + 1]
    asked: list[Place] = []

    async def around(places: Sequence[Place]) -> tuple[SearchHit, ...]:
        asked.extend(places)
        return near

    question = Question("RAG_GATEWAY_PORT", found, ASKED, embed=Meanings("RAG_GATEWAY_PORT"), around=around)
    outcome = await decide(question)
    assert isinstance(outcome, Answered)
    assert asked[0].doc_id == found[0].payload.doc_id
    assert asked[0].first <= near[0].payload.ordinal <= asked[0].last
    assert outcome.evidence == near
    check_citations(outcome.citations, [*found, *outcome.evidence])
    with pytest.raises(RagError):
        check_citations(outcome.citations, found)
    with pytest.raises(RagError):
        check_evidence(outcome.evidence, {found[0].chunk_id})


def test_only_universal_names_introduce_a_corpus() -> None:
    stems = {PurePosixPath(name).name.split(".")[0].lower() for name in ENTRY_NAMES}
    assert stems == {
        "readme", "index", "tutorial", "quickstart", "getting-started", "overview", "introduction", "install", "faq",
        "changelog",
    }  # fmt: skip


@pytest.mark.catalogue("S14")
async def test_text_of_a_document_cannot_fake_a_marker_a_link_or_hide_characters() -> None:
    assert display("Parental leave [7] lasts\n\u202e16\u200b [1, 2] weeks\x00.") == "Parental leave lasts 16 weeks."
    text = "The quarantine holds <b>inputs</b> ![x](http://e) and `code`."
    outcome = await answered("What is the quarantine?", "quarantine", hits=(hit(text, dense=0.9),))
    assert "\\<b>inputs\\</b> !\\[x\\](http://e) and \\`code\\`" in outcome.markdown


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
