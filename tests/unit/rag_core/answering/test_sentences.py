"""Sentences have exact offsets, in English and in Chinese. Answers are composed in one thread, whatever number of them
is asked for."""

from __future__ import annotations

import asyncio
import threading
import time
from contextvars import ContextVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_core.answering.composing import in_thread
from rag_core.answering.sentences import MAX_SENTENCE_CHARS, split_sentences


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        (
            "Dr. Smith met J. R. Doe in the U.S. capital. It rained.",
            ["Dr. Smith met J. R. Doe in the U.S. capital.", "It rained."],
        ),
        ("It was 3.5 km, e.g. this way. Then v1.2.3 came.", ["It was 3.5 km, e.g. this way.", "Then v1.2.3 came."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Cited.[3] Next.", ["Cited.[3]", "Next."]),
        ("年假二十五天。未用的失效！“真的？”是。", ["年假二十五天。", "未用的失效！", "“真的？”", "是。"]),
        ("第一；第二", ["第一；", "第二"]),
        ("soft\nwrapped line. Next one", ["soft\nwrapped line.", "Next one"]),
        ("- first item\n- second item\n\nParagraph", ["- first item", "- second item", "Paragraph"]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_text_is_split_where_a_reader_would(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_text_without_an_end_is_cut_at_a_space() -> None:
    pieces = sentences("word " * 500)
    assert all(len(piece) <= MAX_SENTENCE_CHARS and piece.endswith("word") for piece in pieces)


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(alphabet=st.sampled_from("aB1 .!?。！？；\n\t\"'”[](),，的年x-|"), max_size=300) | st.text(max_size=200))
def test_spans_are_ordered_disjoint_trimmed_and_lose_only_space(text: str) -> None:
    spans = split_sentences(text)
    position = 0
    for start, end in spans:
        assert not text[position:start].strip()
        assert start < end
        assert text[start:end] == text[start:end].strip()
        position = end
    assert not text[position:].strip()


@pytest.mark.parametrize(
    "text", ["." * 100_000, "A." * 50_000, "a\n" * 50_000, "。" * 100_000, "x" * 200_000, "[1]" * 30_000]
)
@pytest.mark.catalogue("A06")
def test_hostile_text_takes_linear_time(text: str) -> None:
    started = time.process_time()
    split_sentences(text)
    assert time.process_time() - started < 2


_CALLER: ContextVar[str] = ContextVar("caller", default="nobody")


async def test_answers_that_are_composed_at_once_leave_the_threads_of_others_free() -> None:
    release = threading.Event()

    def compose(name: str) -> tuple[str, str, int]:
        assert release.wait(30)
        return name, _CALLER.get(), threading.get_ident()

    async def answer(name: str) -> tuple[str, str, int]:
        _CALLER.set(name)
        return await in_thread(compose, name)

    answers = [asyncio.create_task(answer(f"caller {number}")) for number in range(50)]
    assert await asyncio.to_thread(lambda: "free") == "free"
    release.set()
    composed = await asyncio.gather(*answers)
    assert [name for name, _, _ in composed] == [caller for _, caller, _ in composed]
    assert len({thread for _, _, thread in composed}) == 1
