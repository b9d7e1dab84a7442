"""The conversation of the page Ask: whose it is, how long it is, what its text is made of, and where it begins."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from console.conversations import KEPT_SECONDS, MAX_BYTES, MAX_PEOPLE, MAX_TURNS, Conversations, Turn
from console.presenters import answers, cited_text, examples
from console.session import shared
from ragproto.admin.v1 import admin_pb2
from ragproto.query.v2 import query_pb2 as v2
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import HOSTILE, answered, ask, button, interpreted, opened

ANN, BOB = ("acme", "ann"), ("acme", "bob")


def turn(number: int, text: str = "yes") -> Turn:
    return Turn(number, v2.AnswerRequest(query=f"q{number}"), v2.SearchRequest(), text, v2.AnswerFinal())


def says(platform: Platform, text: str, *cited: v2.Citation) -> None:
    final = v2.AnswerFinal(answered=v2.AnswerFinal.Answered(citations=cited or [v2.Citation(number=1)]))
    platform.gateway.peer.answers(text, final)


def questions(platform: Platform) -> list[str]:
    return [request.query for name, request in platform.gateway.peer.asked if name == "Answer"]


# --------------------------------------------------------------------------------------------------------------------
# What is kept.


def test_a_conversation_is_kept_for_its_person_alone_and_deleted_when_they_say_so() -> None:
    kept = Conversations()
    kept.put(ANN, [turn(1)])
    assert [item.number for item in kept.of(ANN)] == [1]
    assert kept.of(BOB) == kept.of(("other", "ann")) == []
    kept.put(ANN, [])
    assert kept.of(ANN) == []


def test_a_conversation_has_a_length_a_size_and_an_end() -> None:
    now = 0.0
    kept = Conversations(lambda: now)
    kept.put(ANN, [turn(number) for number in range(100)])
    assert [item.number for item in kept.of(ANN)] == list(range(100 - MAX_TURNS, 100))
    kept.put(ANN, [turn(1, "x" * MAX_BYTES), turn(2, "x" * MAX_BYTES)])
    assert [item.number for item in kept.of(ANN)] == [2], "the last answer always is there"
    now = KEPT_SECONDS
    assert kept.of(ANN) == []


def test_the_conversation_that_was_used_least_recently_goes_first() -> None:
    kept = Conversations()
    for number in range(MAX_PEOPLE + 1):
        kept.put(("acme", str(number)), [turn(1)])
    assert kept.of(("acme", "0")) == []
    assert kept.of(("acme", "1"))


def test_where_everybody_has_the_same_token_a_conversation_ends_with_its_session(
    app: AppTest, platform: Platform
) -> None:
    says(platform, "16 weeks.")
    ask(opened(app, "ask"), "How long is parental leave?")
    assert app.chat_message
    assert not shared().conversations.of(ANN)


def test_an_answer_by_an_editor_is_read_again_as_it_was_shown(app: AppTest, platform: Platform) -> None:
    says(platform, "")
    for event in platform.gateway.peer.answer:
        event.final.answer_markdown = "**At three**, by `rag backup`:\n\n| day | hour |\n|---|---|\n| Monday | 3 |\n"
    ask(opened(app, "ask"), "When are backups taken?")
    says(platform, "Later. [1]")
    ask(app, "And of the logs?")
    assert answered(app) == ["At three, by rag backup:", "Later. [1]"]
    assert [table.value.values.tolist() for table in app.table] == [[["Monday", "3"]]]


# --------------------------------------------------------------------------------------------------------------------
# Where it begins.


def test_a_link_opens_with_its_question_and_asks_it_once(app: AppTest, platform: Platform) -> None:
    says(platform, "At three. [1]")
    app.query_params["q"] = "When are backups taken?"
    opened(app, "ask")
    app.run()
    assert questions(platform) == ["When are backups taken?"]
    assert answered(app) == ["At three. [1]"]


def test_an_empty_page_offers_questions_of_the_corpus_and_says_what_can_be_asked(
    app: AppTest, platform: Platform
) -> None:
    peer = platform.gateway.peer
    peer.operations["AskableSources"] = v2.ListSourcesResponse(
        sources=[v2.ListSourcesResponse.Source(name="handbook", documents=1234)]
    )
    peer.status = admin_pb2.GetStatusResponse(sources=[admin_pb2.SourceStatus(name="wiki", pending=2, quarantined=1)])
    headings = ["Backups", "How do I restore?", "1. Parental leave", "Holidays", HOSTILE]
    peer.passages = [
        v2.Passage(doc_id=str(place), title="T", heading_path=[text]) for place, text in enumerate(headings)
    ]
    says(platform, "Run restore. [1]")
    opened(app, "ask")
    offered = [item.label for item in app.button if (item.key or "").startswith("example-")]
    assert offered == [
        "How do I restore?", "What do the documents say about “Backups”?",
        "What do the documents say about “Parental leave”?",
    ]  # fmt: skip
    captions = [item.value for item in app.caption]
    assert "You can ask these sources (documents): handbook (1,234)" in captions
    assert "Not covered: 3 documents that are not searchable yet or could not be read, in wiki." in captions
    assert "attacker" not in interpreted(app)
    button(app, "How do I restore?").click().run()
    assert questions(platform) == ["How do I restore?"]


def test_the_button_of_the_settings_says_how_many_are_set(app: AppTest, platform: Platform) -> None:
    opened(app, "ask")
    popover = "Settings"
    assert popover in [item.proto.popover.label for item in app.get("popover")]
    app.selectbox(key="ask-language").set_value("zh")
    app.text_input(key="ask-metadata").set_value("team=red").run()
    assert "Settings · 2 set" in [item.proto.popover.label for item in app.get("popover")]


# --------------------------------------------------------------------------------------------------------------------
# What an answer is made of.


class Marked:
    """An excerpt of a server that names what to mark."""

    def __init__(self, text: str, *spans: tuple[int, int]) -> None:
        self.text = text
        self.highlights = [v2.Passage.Highlight(start=start, end=end) for start, end in spans]


def test_marked_sentences_and_markers_are_parts_of_the_text() -> None:
    text = "备份每天进行。 Backups are taken at three. After."
    marked: Any = Marked(text, (8, 36))
    lines = cited_text.marked_lines(marked)
    assert lines == ["Backups are taken at three."]
    assert cited_text.parts(f"{text} [1] [9]", lines, {1}) == [
        {"text": "备份每天进行。 ", "marked": False, "number": 0},
        {"text": "Backups are taken at three.", "marked": True, "number": 0},
        {"text": " After. ", "marked": False, "number": 0},
        {"text": "[1]", "marked": False, "number": 1},
        {"text": " [9]", "marked": False, "number": 0},
    ]
    assert cited_text.marked_lines(v2.Excerpt(text="a")) == []


@pytest.mark.parametrize(("locator", "address"), [
    ("https://wiki.example/p?id=1", "https://wiki.example/p?id=1"), ("handbook/leave.md", ""),
    ("javascript:alert(1)", ""), ("https://", ""), ("file:///etc/passwd", ""), ("http://[x", ""),
])  # fmt: skip
def test_the_original_is_linked_where_it_is_a_page_of_the_web(locator: str, address: str) -> None:
    assert answers.original_address(v2.Citation(locator=locator)) == address


def test_a_heading_that_asks_nothing_without_its_page_is_no_example_where_there_are_others() -> None:
    headings = ("When to choose which?", "How do I Redis?", "Why should I use websockets?", "How do I restore?",
                "What is frozenlist?")  # fmt: skip
    found = [v2.Passage(doc_id=text, heading_path=[text]) for text in headings]
    assert examples.examples(found, str.format) == [*headings[2:]]


def test_headings_that_ask_are_asked_as_they_stand_in_their_language() -> None:
    found = [v2.Passage(doc_id=text, heading_path=[text]) for text in ("如何请假", "Why is it slow", "Is it")]
    assert examples.examples(found, str.format) == [
        "如何请假？", "Why is it slow?", "What do the documents say about “Is it”?",
    ]  # fmt: skip
