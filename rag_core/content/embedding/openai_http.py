"""The embedder for an OpenAI-compatible HTTP endpoint (OpenAI, text-embeddings-inference, vLLM, Ollama, ...)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np

from rag_core.content.embedding.base import Vectors, clean
from rag_core.content.embedding.openai_wire import Endpoint, OpenAIClient, RequestRejected
from rag_core.errors import InvalidInput, Reason
from rag_core.http_client import Provenance, Use, check_endpoint, covered, provenance
from rag_core.ids import fingerprint
from rag_core.settings import Settings

T = TypeVar("T")

_BYTES_PER_TOKEN = 4
"""Estimated UTF-8 bytes per token, for English (0.25 tokens per character) and Chinese (0.75)."""


def open_openai_embedder(settings: Settings) -> OpenAIEmbedder:
    """Open the configured embedder. Raises `ConfigError` for an invalid URL."""
    url, headers = check_endpoint("RAG_EMBED", settings.embed_url, settings.embed_api_key)
    endpoint = Endpoint(
        url=url,
        model=settings.embed_model or "",
        dimensions=settings.embed_dimensions or 0,
        headers=headers,
        timeout=settings.embed_timeout_seconds,
        requests_per_second=settings.embed_requests_per_second,
        use=covered(Use.EMBED, url, settings),
    )
    return OpenAIEmbedder(
        endpoint,
        query_prefix=settings.embed_query_prefix,
        passage_prefix=settings.embed_passage_prefix,
        max_tokens=settings.embed_max_tokens,
        request_texts=settings.embed_request_texts,
        request_tokens=settings.embed_request_tokens,
        in_flight=settings.embed_threads or 4,
    )


class OpenAIEmbedder:
    """Implements `Embedder`. Batches are bounded in texts and tokens; up to `in_flight` of them are sent in parallel.

    Blocking calls run on one event loop in a separate thread, so that the deadline is enforced.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        query_prefix: str = "",
        passage_prefix: str = "",
        max_tokens: int = 512,
        request_texts: int = 64,
        request_tokens: int = 16_384,
        in_flight: int = 4,
    ) -> None:
        self.dimensions = endpoint.dimensions
        self.max_tokens = max_tokens
        self.remote = endpoint.use is not None
        # Not the URL: the same model may move to another host.
        self.fingerprint = fingerprint(
            "openai", endpoint.model, endpoint.dimensions, query_prefix, passage_prefix, "l2"
        )
        self._query_prefix, self._passage_prefix = query_prefix, passage_prefix
        self._limits = (request_texts, request_tokens)
        self._background = _BackgroundLoop()
        self._client, self._slots = self._background.run(_open(endpoint, in_flight))

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self._sent([self._input(self._passage_prefix, text) for text in texts])

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._sent([self._input(self._query_prefix, text) for text in texts])

    def _sent(self, texts: list[str]) -> Vectors:
        return self._background.run(self._embed(texts, provenance()))

    def close(self) -> None:
        self._background.close(self._client.close())

    def _input(self, prefix: str, text: str) -> str:
        """The text to send: cut to about `max_tokens`, and never blank, because endpoints refuse blank input."""
        limit = self.max_tokens * _BYTES_PER_TOKEN
        whole = clean((prefix + text)[:limit]).encode()[:limit].decode("utf-8", "ignore")
        return whole if whole.strip() else "."

    async def _embed(self, texts: list[str], whose: Provenance) -> Vectors:
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._embed_batch(batch, whose)) for batch in batches(texts, *self._limits)]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return np.concatenate([task.result() for task in tasks])

    async def _embed_batch(self, texts: list[str], whose: Provenance) -> Vectors:
        """Send one request, or two halves when the endpoint rejects it as too large: its limits are unknown."""
        try:
            async with self._slots:
                return await self._client.embed(texts, whose)
        except RequestRejected as refused:
            if len(texts) == 1:
                raise InvalidInput(
                    Reason.EMBEDDER_RESPONSE, f"the embedding endpoint refuses this text (HTTP {refused.status})"
                ) from None
        middle = len(texts) // 2
        halves = [await self._embed_batch(half, whose) for half in (texts[:middle], texts[middle:])]
        return np.concatenate(halves)


def batches(texts: list[str], max_texts: int, max_tokens: int) -> Iterator[list[str]]:
    """Group consecutive texts within both limits (tokens are estimated); a text above the limit is sent alone."""
    batch: list[str] = []
    total = 0
    for text in texts:
        tokens = 1 + len(text.encode()) // _BYTES_PER_TOKEN
        if batch and (len(batch) == max_texts or total + tokens > max_tokens):
            yield batch
            batch, total = [], 0
        batch.append(text)
        total += tokens
    if batch:
        yield batch


async def _open(endpoint: Endpoint, in_flight: int) -> tuple[OpenAIClient, asyncio.Semaphore]:
    return OpenAIClient(endpoint), asyncio.Semaphore(in_flight)


class _BackgroundLoop:
    """An event loop in a daemon thread, so that a missing `close` does not keep the process alive."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="embed-http", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; an interrupt of the caller cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Run `last`, then stop the loop. Idempotent."""
        if self._loop.is_closed():
            last.close()
            return
        with suppress(asyncio.CancelledError):
            self.run(last)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(_end_what_is_left())
        self._loop.close()


async def _end_what_is_left() -> None:
    """Cancel abandoned calls, and close responses that were not read to their end."""
    await asyncio.get_running_loop().shutdown_asyncgens()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
