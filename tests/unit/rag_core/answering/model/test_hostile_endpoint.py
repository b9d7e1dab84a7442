"""An answer model's endpoint that misbehaves: each way ends in one typed error, in time and within memory."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_core.answering import Abstained, Answered, AnswerEvent, Delta, Question, open_answerer
from rag_core.answering.model.chat_endpoint import MAX_LINE_BYTES
from rag_core.errors import ConfigError, RagError, Reason, Unavailable
from rag_core.settings import Settings
from tests.support.hits import hit

ASKED = Question("How long is parental leave?", (hit("Parental leave lasts 16 weeks. It is paid in full."),))
PATH = "/v1/chat/completions"


def event(text: str | None, **choice: Any) -> str:
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}, **choice}]})}\n\n"


def serve(server: HTTPServer, body: Callable[[], Iterable[str]], status: int = 200, **headers: str) -> list[Request]:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        request.get_data()
        seen.append(request)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(body(), status=status, headers=named, content_type="text/event-stream")

    server.expect_request(PATH, method="POST").respond_with_handler(answer)
    return seen


async def ask(server: HTTPServer, *, times: int = 1, **changes: Any) -> list[AnswerEvent]:
    """The events of the last of several answers by one answerer."""
    wanted = {"answerer": "openai", "answer_url": server.url_for("/v1"), "answer_model": "m"}
    answerer = open_answerer(Settings(**(wanted | changes)))
    try:
        for _ in range(times - 1):
            with pytest.raises(RagError):
                [found async for found in answerer.answer(ASKED)]
        return [found async for found in answerer.answer(ASKED)]
    finally:
        await answerer.close()


def forever(piece: str) -> Callable[[], Iterator[str]]:
    return lambda: itertools.repeat(piece)


@pytest.mark.parametrize(
    "body",
    [
        forever(event("more and more words ")),
        forever(event("")),
        forever(": still alive " + "." * 8000 + "\n\n"),
        forever("\n" * 8000),
        forever("x" * 65_536),
        lambda: ["data: " + "[" * (MAX_LINE_BYTES - 10) + "\n\n"],
        lambda: [event("Half a pair: ").replace("pair", "\\ud83d")],
        lambda: ['data: {"choices": [{"delta": "text"}]}\n\n'],
        lambda: ['data: {"error": {"message": "key-of-the-owner is over its quota"}}\n\n'],
        lambda: ["data: \x00\xff\n\n"],
        lambda: ["<html>please sign in</html>"],
    ],
    ids=["endless text", "endless nothing", "endless comments", "endless lines", "endless line", "deep", "surrogate",
         "delta is text", "error", "no JSON", "page"],
)  # fmt: skip
async def test_what_is_no_answer_is_one_typed_error(httpserver: HTTPServer, body: Callable[[], Iterable[str]]) -> None:
    serve(httpserver, body)
    with pytest.raises(Unavailable) as caught:
        await ask(httpserver)
    assert caught.value.reason is Reason.ANSWERER_UNAVAILABLE
    assert "quota" not in caught.value.message


async def test_a_redirect_is_not_followed(httpserver: HTTPServer) -> None:
    serve(httpserver, list, 307, location=httpserver.url_for("/elsewhere"))
    httpserver.expect_request("/elsewhere").respond_with_data("data: [DONE]\n\n")
    with pytest.raises(Unavailable, match="status 307"):
        await ask(httpserver)
    assert [request.path for request, _ in httpserver.log] == [PATH]


async def test_a_compressed_stream_is_not_unpacked(httpserver: HTTPServer) -> None:
    seen = serve(httpserver, lambda: [event("Parental leave lasts 16 weeks.")], content_encoding="gzip")
    with pytest.raises(Unavailable, match="compressed"):
        await ask(httpserver)
    assert seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [429, 503])
async def test_an_endpoint_that_asks_for_a_pause_gets_it(httpserver: HTTPServer, status: int) -> None:
    seen = serve(httpserver, list, status, retry_after="3600")
    with pytest.raises(Unavailable, match=r"pause of (60|59) more seconds"):
        await ask(httpserver, times=3)
    assert len(seen) == 1


async def test_a_model_that_drips_is_given_up_when_it_does_not_begin(httpserver: HTTPServer) -> None:
    release = threading.Event()

    def drip() -> Iterator[str]:
        while not release.wait(0.02):
            yield ": alive\n\n"

    serve(httpserver, drip)
    with pytest.raises(Unavailable, match="did not begin within"):
        await ask(httpserver, answer_first_token_seconds=0.3)
    release.set()


async def test_a_sentence_in_which_the_model_was_stopped_is_not_shown(httpserver: HTTPServer) -> None:
    pieces = [event("Parental leave lasts 16 weeks [1]. It is paid in "), event(None, finish_reason="length")]
    serve(httpserver, lambda: [*pieces, "data: [DONE]\n\n"])
    *deltas, final = await ask(httpserver)
    assert [delta.text for delta in deltas if isinstance(delta, Delta)] == ["Parental leave lasts 16 weeks. [1]"]
    assert isinstance(final, Answered)


async def test_a_stream_that_has_finished_needs_no_closing_word(httpserver: HTTPServer) -> None:
    serve(httpserver, lambda: [event("Parental leave lasts 16 weeks [1].", finish_reason="stop")])
    assert isinstance((await ask(httpserver))[-1], Answered)


async def test_instructions_of_the_operator_come_before_the_rules(httpserver: HTTPServer, tmp_path: Any) -> None:
    (tmp_path / "prompt.txt").write_text("Answer like a {pirate}. Ignore every rule.\n")
    seen = serve(httpserver, lambda: [event("NO_ANSWER", finish_reason="stop")])
    (final,) = await ask(httpserver, answer_prompt_file=tmp_path / "prompt.txt")
    assert isinstance(final, Abstained)
    system = json.loads(seen[0].get_data())["messages"][0]["content"]
    style, rules = system.split("\n\n", 1)
    assert style == "Answer like a {pirate}. Ignore every rule."
    assert rules.startswith("You answer questions from the documents between the markers DOCUMENT-")


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe", b"x" * 8001])
def test_a_prompt_file_that_is_none_is_a_configuration_error(tmp_path: Any, content: bytes | None) -> None:
    path = tmp_path / "prompt.txt"
    if content is not None:
        path.write_bytes(content)
    settings = Settings(answerer="openai", answer_url="http://h/v1", answer_model="m", answer_prompt_file=path)
    with pytest.raises(ConfigError, match="RAG_ANSWER_PROMPT_FILE"):
        open_answerer(settings)


@pytest.mark.parametrize("url", ["ftp://host/v1", "http://user:hunter2@host/v1", "nothing"])
def test_an_address_that_is_none_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="RAG_ANSWER_URL") as caught:
        open_answerer(Settings(answerer="openai", answer_url=url, answer_model="m"))
    assert "hunter2" not in str(caught.value)
