"""What every OpenAI-compatible chat server must do for us: streaming, counting, ending, and errors that are typed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from rag_core.answering import (
    Abstained,
    Answered,
    Answerer,
    Delta,
    Message,
    Question,
    Role,
    StandaloneBy,
    Tokens,
    check_citations,
    open_answerer,
)
from rag_core.answering.model.chat_endpoint import Finished, Text
from rag_core.errors import Reason, Unavailable
from rag_core.http_client import OWN_TEXT
from rag_core.settings import Settings
from tests.support.chat_server import ChatServer
from tests.support.hits import hit
from tests.support.waiting import eventually

HITS = (
    hit("Parental leave lasts 16 weeks. It is paid in full.", title="Leave"),
    hit("年假为每年二十五天。未使用的假期在三月底失效。", title="年假"),
)
ASKED = Question("How long is parental leave?", HITS)
LONG = [{"role": "user", "content": "Write the numbers from one to a thousand as words, one after the other: one two"}]


@asynccontextmanager
async def answering(server: ChatServer, **changes: Any) -> AsyncIterator[Any]:
    wanted = {
        "answerer": "openai",
        "answer_url": server.url,
        "answer_model": server.model,
        "answer_api_key": server.key,
        "answer_timeout_seconds": 120,
        "answer_max_tokens": 24,
        "answer_first_token_seconds": 60,
        "answer_rewrite_seconds": 60,
    }
    answerer = open_answerer(Settings(**(wanted | changes)))
    try:
        yield answerer
    finally:
        await answerer.close()


async def final_of(answerer: Answerer, question: Question = ASKED) -> tuple[str, Answered | Abstained]:
    *deltas, final = [event async for event in answerer.answer(question)]
    assert isinstance(final, Answered | Abstained)
    return "".join(event.text for event in deltas if isinstance(event, Delta)), final


async def test_an_answer_is_checked_counted_and_says_who_wrote_it(chat_server: ChatServer) -> None:
    async with answering(chat_server, answer_price_prompt=1_000_000, answer_price_completion=2_000_000) as answerer:
        text, final = await final_of(answerer)
    assert (final.answered_by.answerer, final.answered_by.model) == ("openai", chat_server.model)
    assert final.answered_by.first_token is not None
    tokens = final.tokens
    assert tokens is not None
    assert tokens.prompt > 0
    assert (tokens.cost, tokens.currency) == (tokens.prompt + 2 * tokens.completion, "USD")
    if isinstance(final, Answered):
        check_citations(final.citations, [*HITS, *final.evidence])
        assert "[1]" in text
    else:
        assert text == ""


async def test_text_comes_in_pieces_and_ends_at_the_limit_of_tokens(chat_server: ChatServer) -> None:
    async with answering(chat_server) as answerer:
        events = [event async for event in answerer._endpoint.stream(LONG, max_tokens=8, whose=OWN_TEXT)]
    assert len([event for event in events if isinstance(event, Text)]) > 3
    assert [event for event in events if isinstance(event, Finished)] == [Finished(cut=True)]
    (tokens,) = [event for event in events if isinstance(event, Tokens)]
    assert tokens.completion == 8


async def test_who_leaves_ends_the_work_of_the_server(chat_server: ChatServer) -> None:
    async with answering(chat_server) as answerer:
        if hasattr(chat_server, "pace"):
            chat_server.pace.clear()
        leaving = asyncio.create_task(_read(answerer._endpoint.stream(LONG, max_tokens=2000, whose=OWN_TEXT)))
        assert await asyncio.to_thread(eventually, lambda: not chat_server.idle())
        leaving.cancel()
        await asyncio.wait({leaving})
        assert await asyncio.to_thread(eventually, chat_server.idle, seconds=20)


async def _read(events: Any) -> None:
    async with aclosing(events) as stream:
        async for _ in stream:
            pass


async def test_a_server_that_is_too_slow_is_given_up(chat_server: ChatServer) -> None:
    async with answering(chat_server, answer_first_token_seconds=0.001) as answerer:
        with pytest.raises(Unavailable, match="did not begin"):
            await final_of(answerer)
        assert await asyncio.to_thread(eventually, chat_server.idle, seconds=20)


@pytest.mark.parametrize("wrong", [{"answer_api_key": "wrong"}, {"answer_url": "/nowhere"}], ids=["key", "path"])
async def test_a_wrong_key_or_path_is_one_typed_error(chat_server: ChatServer, wrong: dict[str, str]) -> None:
    if "answer_url" in wrong:
        wrong = {"answer_url": chat_server.url + wrong["answer_url"]}
    async with answering(chat_server, **wrong) as answerer:
        with pytest.raises(Unavailable) as caught:
            await final_of(answerer)
    assert caught.value.reason is Reason.ANSWERER_UNAVAILABLE
    assert "RAG_ANSWER_" in caught.value.message


async def test_a_follow_up_becomes_a_question_of_this_conversation(chat_server: ChatServer) -> None:
    earlier = (
        Message(Role.USER, "How long is parental leave?"),
        Message(Role.ASSISTANT, "Parental leave lasts 16 weeks. [1]"),
    )
    async with answering(chat_server) as answerer:
        question = await answerer.standalone("Is it paid?", earlier)
    assert question.text
    assert "\n" not in question.text
    assert question.tokens is not None
    # A small model writes anything or repeats the question; both are replaced by words of the conversation.
    assert question.by is not StandaloneBy.ASKED
    if question.by is StandaloneBy.WORDS:
        assert question.text == "Is it paid? (long parental leave)"


async def test_several_answers_at_once_do_not_mix(chat_server: ChatServer) -> None:
    async with answering(chat_server) as answerer:
        ends = await asyncio.gather(
            *(final_of(answerer, Question(one, HITS[:1])) for one in ("How long?", "Is it paid?"))
        )
    for _, final in ends:
        assert final.tokens is not None
