"""The sync client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Unpack, cast

import httpx

from rag_platform_client import calls, types
from rag_platform_client.answers import Answer, Progress, text_of
from rag_platform_client.calls import Call
from rag_platform_client.errors import RagConnectionError, RagError, from_response, from_success
from rag_platform_client.options import AnswerOptions, DocumentOptions, SearchOptions
from rag_platform_client.retries import Retries

Token = str | Callable[[], str]


class Client:
    """The platform as one caller sees it. Every method raises `RagError`.

    `token` is an access token or a function that returns one, which is asked before each call. Give that or `api_key`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        api_key: str | None = None,
        timeout: float = 35,
        retries: Retries | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        if (token is None) == (api_key is None):
            raise ValueError("give a token or an api_key")
        self._token = token
        self._key = api_key
        self._retries = retries or Retries()
        self._url = url.rstrip("/")
        self._own = http is None
        self._http = http or httpx.Client(timeout=timeout)

    def __enter__(self) -> Client:
        """The client; leaving the block closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections, unless they are the caller's own."""
        if self._own:
            self._http.close()

    def search(self, query: str, **options: Unpack[SearchOptions]) -> types.SearchResponse:
        """Find passages: a page of them."""
        return cast("types.SearchResponse", self._send(calls.search(query, **options)))

    def iter_search(self, query: str, **options: Unpack[SearchOptions]) -> Iterator[types.Passage]:
        """Find passages, page after page."""
        while True:
            page = self.search(query, **options)
            yield from page["passages"]
            if not page["next_page_token"]:
                return
            options["page_token"] = page["next_page_token"]

    def batch_search(self, searches: Sequence[types.SearchRequest]) -> list[types.BatchSearchResponseOutcome]:
        """Run several searches, at most 16; each has its own outcome."""
        return list(self._send(calls.batch_search(searches))["outcomes"])

    def answer(self, question: str, **options: Unpack[AnswerOptions]) -> Answer:
        """Answer a question with citations."""
        text, final = "", None
        for event in self.stream_answer(question, **options):
            text += text_of(event)
            final = event.get("final", final)
        assert final is not None  # noqa: S101  a stream without one is an error
        return Answer(text, final)

    def stream_answer(self, question: str, **options: Unpack[AnswerOptions]) -> Iterator[types.AnswerEvent]:
        """The events of an answer as they come; the last one has `final`. A broken connection is taken up again."""
        progress, tried = Progress(calls.answer(question, **options)), 0
        while not progress.ended:
            try:
                yield from self._events(progress)
            except RagError as error:
                if progress.ended:
                    raise
                tried += 1
                self._wait(error, tried)

    def send_feedback(self, question: str, answer: str, *, helpful: bool, comment: str = "") -> None:
        """Say whether an answer helped."""
        self._send(calls.feedback(question, answer, helpful, comment))

    def sources(self) -> list[types.ListSourcesResponseSource]:
        """The sources that hold documents the caller may see."""
        return list(self._pages("sources", lambda token: calls.sources(None, token)))

    def answerers(self) -> list[types.ListAnswerersResponseAnswerer]:
        """Who can write answers; the default first."""
        return list(self._pages("answerers", calls.answerers))

    def usage(self, *, days: int | None = None) -> types.GetUsageResponse:
        """What the caller's tenant and key used, today or in the last days, and their budgets."""
        return cast("types.GetUsageResponse", self._send(calls.usage(days)))

    def put_document(self, content: str | bytes, **options: Unpack[DocumentOptions]) -> types.PutResponse:
        """Push a document: text, or the bytes of a file. Searches see it within about a second."""
        return cast("types.PutResponse", self._send(calls.put_document(content, **options)))

    def get_document(self, doc_id: str, *, include_text: bool = False) -> types.GetResponse:
        """A document, with its text when asked."""
        return cast("types.GetResponse", self._send(calls.get_document(doc_id, include_text)))

    def delete_document(self, doc_id: str) -> None:
        """Delete a pushed document."""
        self._send(calls.delete_document(doc_id))

    def iter_documents(self, source: str = "", *, page_size: int | None = None) -> Iterator[types.Document]:
        """The documents that the caller may see, page after page."""
        yield from self._pages("documents", lambda token: calls.documents(source, page_size, token))

    def _pages(self, name: str, call: Callable[[str], Call]) -> Iterator[Any]:
        token = ""
        while True:
            page = self._send(call(token))
            yield from page[name]
            token = page["next_page_token"]
            if not token:
                return

    def _send(self, call: Call) -> Any:
        tried = 0
        while True:
            try:
                response = self._http.send(self._request(call))
                if response.is_success:
                    return from_success(response.content)
                raise from_response(response.status_code, response.headers, response.content)
            except (httpx.RequestError, RagError) as error:
                tried += 1
                self._wait(as_error(error), tried)

    def _events(self, progress: Progress) -> Iterator[types.AnswerEvent]:
        try:
            response = self._http.send(self._request(progress.call()), stream=True)
            try:
                if not response.is_success:
                    raise from_response(response.status_code, response.headers, response.read())
                for line in response.iter_lines():
                    yield from progress.read(line)
            finally:
                response.close()
        except httpx.RequestError as error:
            raise as_error(error) from error
        if not progress.ended:
            raise RagConnectionError("the stream ended before the answer did")

    def _request(self, call: Call) -> httpx.Request:
        body = {} if call.body is None else {"json": call.body}
        headers = credentials(self._token, self._key)
        return self._http.build_request(
            call.method, f"{self._url}{call.path}", params=call.params or None, headers=headers, **body
        )

    def _wait(self, error: RagError, tried: int) -> None:
        pause = self._retries.pause(error, tried)
        if pause is None:
            raise error
        time.sleep(pause)


def credentials(token: Token | None, key: str | None) -> dict[str, str]:
    """The headers that say who calls."""
    if token is None:
        return {"x-api-key": key or ""}
    return {"authorization": f"Bearer {token() if callable(token) else token}"}


def as_error(error: Exception) -> RagError:
    """A failure of the connection as an error of this client."""
    return error if isinstance(error, RagError) else RagConnectionError(f"{type(error).__name__}: {error}")
