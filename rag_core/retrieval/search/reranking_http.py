"""A reranker behind an HTTP endpoint: text-embeddings-inference, Cohere, Jina, and the servers that speak as they do.

All take a query and texts and give a score for each by its index. They differ in names: TEI takes `texts` and returns a
list, the others take `documents` with a `model` and return `results`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from rag_core.errors import DeadlineExceeded, InvalidInput, RagError, Reason, Unavailable
from rag_core.http_client import (
    Fetched,
    Fetcher,
    FetchLimits,
    FetchPolicy,
    Provenance,
    Use,
    check_endpoint,
    covered,
    provenance,
    sending,
)
from rag_core.settings import Settings

Shape = Literal["tei", "cohere", "jina"]

CHARS_PER_TOKEN: Final = 8
"""Characters of a text that are sent for each token allowed: more would be cut by the endpoint."""
CONNECTIONS: Final = 16
_BYTES_BESIDES: Final = 65_536
_BYTES_PER_SCORE: Final = 256
"""An endpoint that returns the texts as well is asked not to; one that does it all the same is refused."""
_NOT_ITS_SHAPE: Final = frozenset({400, 415, 422})


@dataclass(frozen=True, slots=True)
class RerankEndpoint:
    """An endpoint and its limits. `seconds` is for all requests of one search; `shape` `None` is found out."""

    url: str
    shape: Shape | None = None
    model: str | None = None
    credentials: Mapping[str, str] | None = field(default=None, repr=False)
    logits: bool = False
    request_texts: int = 32
    max_tokens: int = 512
    seconds: float = 1.5
    use: Use | None = Use.RERANK


class HttpReranker:
    """See `Reranker`. Requests of one search are sent side by side."""

    def __init__(self, endpoint: RerankEndpoint) -> None:
        """Raises `InvalidInput` for an address that is not one."""
        self._endpoint = endpoint
        self._shape = endpoint.shape
        self.remote = endpoint.use is not None
        limits = FetchLimits(
            redirects=0,
            wire_bytes=_BYTES_BESIDES + endpoint.request_texts * _BYTES_PER_SCORE,
            decoded_bytes=_BYTES_BESIDES + endpoint.request_texts * _BYTES_PER_SCORE,
            connect_seconds=endpoint.seconds,
            read_seconds=endpoint.seconds,
            seconds=endpoint.seconds,
        )
        policy = FetchPolicy.for_endpoint(endpoint.url, limits)
        policy.check_url(endpoint.url)
        self._fetcher = Fetcher(policy, connections=CONNECTIONS, use=endpoint.use)
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="rerank-http")

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        size, chars = self._endpoint.request_texts, self._endpoint.max_tokens * CHARS_PER_TOKEN
        cut = [text[:chars] or "." for text in texts]  # endpoints refuse empty texts
        batches = [cut[start : start + size] for start in range(0, len(cut), size)]
        deadline = time.monotonic() + self._endpoint.seconds
        whose = provenance()
        # While the shape is not known the first request goes alone and finds it out.
        alone = 1 if self._shape is None else 0
        scores = [score for batch in batches[:alone] for score in self._request(query[:chars], batch, whose)]
        later = [self._threads.submit(self._request, query[:chars], batch, whose) for batch in batches[alone:]]
        try:
            for request in later:
                scores += request.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise _unavailable(f"did not answer within {self._endpoint.seconds:g} seconds") from None
        finally:
            for request in later:
                request.cancel()
        return scores

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._fetcher.close()

    def _request(self, query: str, texts: Sequence[str], whose: Provenance) -> list[float]:
        with sending(whose):
            return self._scored(query, texts)

    def _scored(self, query: str, texts: Sequence[str]) -> list[float]:
        known = self._shape
        shape: Shape = known or "cohere"
        answer = self._post(self._body(shape, query, texts))
        if known is None and answer.status in _NOT_ITS_SHAPE:
            shape = "tei"
            answer = self._post(self._body(shape, query, texts))
        scores = _scores(answer, len(texts))
        self._shape = shape
        return [self._probability(score) for score in scores]

    def _post(self, body: dict[str, Any]) -> Fetched:
        try:
            return self._fetcher.post_json(self._endpoint.url, body, credentials=self._endpoint.credentials)
        except DeadlineExceeded:
            raise _unavailable(f"did not answer within {self._endpoint.seconds:g} seconds") from None
        except (Unavailable, InvalidInput) as error:
            raise _unavailable(f"cannot be used: {error.message}") from None

    def _body(self, shape: Shape, query: str, texts: Sequence[str]) -> dict[str, Any]:
        if shape == "tei":
            return {"query": query, "texts": list(texts), "raw_scores": self._endpoint.logits, "truncate": True}
        model = {"model": self._endpoint.model} if self._endpoint.model else {}
        body = {**model, "query": query, "documents": list(texts), "top_n": len(texts)}
        return {**body, "return_documents": False} if shape == "jina" else body

    def _probability(self, score: float) -> float:
        if self._endpoint.logits:
            return 1 / (1 + math.exp(-min(max(score, -60.0), 60.0)))
        if not 0 <= score <= 1:
            raise _unavailable("sends scores that are not within 0 and 1; RAG_RERANKER_SCORES=logit takes them")
        return score


def open_http_reranker(settings: Settings) -> HttpReranker:
    """The reranker that the `reranker_…` settings describe. Raises `ConfigError`."""
    url, headers = check_endpoint("RAG_RERANKER", settings.reranker_url, settings.reranker_api_key)
    endpoint = RerankEndpoint(
        url=url,
        shape=None if settings.reranker_shape == "auto" else settings.reranker_shape,
        model=settings.reranker_model,
        credentials=headers or None,
        logits=settings.reranker_scores == "logit",
        request_texts=settings.reranker_request_texts,
        max_tokens=settings.rerank_max_tokens,
        seconds=settings.rerank_timeout_seconds,
    )
    return HttpReranker(replace(endpoint, use=covered(Use.RERANK, endpoint.url, settings)))


def _scores(answer: Fetched, count: int) -> list[float]:
    """The score of each text in order. Raises `Unavailable` unless every one has exactly one finite score."""
    if answer.status in {401, 403}:
        raise _unavailable(f"refuses the key (status {answer.status}); check RAG_RERANKER_API_KEY")
    if answer.status != 200:
        raise _unavailable(f"answered with status {answer.status}")
    try:
        content = json.loads(answer.content)
        rows = content["results"] if isinstance(content, dict) else content
        found = {_index(row): _score(row) for row in rows}
        if len(rows) != count or set(found) != set(range(count)):
            raise _unavailable("did not send one score for each passage")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise _unavailable("sent something that is not a list of scores") from None
    return [found[index] for index in range(count)]


def _index(row: dict[str, Any]) -> int:
    index = row["index"]
    if type(index) is not int:
        raise TypeError
    return index


def _score(row: dict[str, Any]) -> float:
    score = row["relevance_score"] if "relevance_score" in row else row["score"]
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise TypeError
    return float(score)


def _unavailable(what: str) -> RagError:
    return Unavailable(Reason.RERANKER_UNAVAILABLE, f"the reranker {what}")
