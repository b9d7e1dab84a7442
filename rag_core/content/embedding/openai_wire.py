"""Requests to an OpenAI-compatible `/embeddings` endpoint: retries, rate limit, deadline, strict parsing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import httpx
import numpy as np
import stamina
from aiolimiter import AsyncLimiter

from rag_core.content.embedding.base import Vectors, unit_rows
from rag_core.errors import InvalidInput, RagError, Reason, Unavailable
from rag_core.http_client import EXTENSION, Provenance, Use, endpoint_client, retry_after

_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_TOO_MUCH = frozenset({400, 413, 422})
_BYTES_PER_NUMBER = 40
_BYTES_BESIDES = 65_536


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint and its limits. `timeout` (seconds) covers all retries of one request."""

    url: str
    model: str
    dimensions: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 30
    requests_per_second: float = 20
    use: Use | None = Use.EMBED


class RequestRejected(Exception):  # noqa: N818 - not an error of ours yet: a smaller request may pass
    """The endpoint rejects this input (HTTP `status`)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Failed(Exception):  # noqa: N818 - internal signal to the retry loop
    """A transient failure; `after` is the wait in seconds if the endpoint named one."""

    def __init__(self, problem: str, after: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.after = after


class OpenAIClient:
    """Sends requests; used from one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        # No redirects and no proxies from the environment: key and texts go only to the configured address.
        self._http = endpoint_client(endpoint.url, use=endpoint.use, headers=endpoint.headers)
        rate = endpoint.requests_per_second
        self._limiter = AsyncLimiter(max(rate, 1), 1 if rate >= 1 else 1 / rate)

    async def embed(self, texts: Sequence[str], whose: Provenance) -> Vectors:
        """Embed texts; returns unit vectors in the order of `texts`.

        Raises `RequestRejected`, `PermissionDenied` (`EGRESS_FORBIDDEN`), or `Unavailable` with `EMBEDDER_UNAVAILABLE`
        (no response in time) or `EMBEDDER_RESPONSE` (an invalid response).
        """
        timeout = self._endpoint.timeout
        deadline = asyncio.get_running_loop().time() + timeout
        last = "no connection"

        async def attempt() -> Vectors:
            nonlocal last
            try:
                return await self._attempt(texts, whose)
            except _Failed as failed:
                last = failed.problem
                raise

        try:
            async with asyncio.timeout_at(deadline):
                retrying = stamina.AsyncRetryingCaller(attempts=None, timeout=timeout, wait_max=10)
                return await retrying(lambda error: _backoff(error, deadline), attempt)
        except _Failed as failed:
            raise _unavailable(failed.problem) from None
        except TimeoutError:
            raise _unavailable(f"no answer in {timeout:g} s; last: {last}") from None

    async def close(self) -> None:
        await self._http.aclose()

    async def _attempt(self, texts: Sequence[str], whose: Provenance) -> Vectors:
        await self._limiter.acquire()
        body = {"model": self._endpoint.model, "input": list(texts), "encoding_format": "float"}
        try:
            request = self._http.build_request(
                "POST", "embeddings", json=body, timeout=self._endpoint.timeout, extensions={EXTENSION: whose}
            )
            async with aclosing(await self._http.send(request, stream=True)) as response:
                _check_status(response)
                content = await self._read(response, len(texts))
        except InvalidInput as error:
            raise _unavailable(error.message) from None
        except httpx.TransportError as error:
            raise _Failed(type(error).__name__) from None
        except httpx.HTTPError as error:
            raise _bad_answer(type(error).__name__) from None
        return parse_answer(content, count=len(texts), dimensions=self._endpoint.dimensions)

    async def _read(self, response: httpx.Response, count: int) -> bytes:
        """Read the decompressed body; fails if it is much larger than the requested vectors."""
        limit = _BYTES_BESIDES + count * self._endpoint.dimensions * _BYTES_PER_NUMBER
        content = bytearray()
        async for part in response.aiter_bytes():
            content += part
            if len(content) > limit:
                raise _bad_answer(f"longer than {limit} bytes")
        return bytes(content)


def parse_answer(content: bytes, *, count: int, dimensions: int) -> Vectors:
    """Parse vectors, ordered by `index`. Raises `Unavailable` (`EMBEDDER_RESPONSE`) unless all `count` are valid."""
    try:
        items = json.loads(content)["data"]
        rows = {int(item["index"]): item["embedding"] for item in items}
        if len(items) != count or set(rows) != set(range(count)):
            raise _bad_answer(f"{len(items)} vectors for {count} texts, or their indexes are wrong")
        matrix = np.array([rows[index] for index in range(count)], dtype=np.float64)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise _bad_answer(f"not the expected JSON ({type(error).__name__})") from None
    return unit_rows(matrix, rows=count, dimensions=dimensions)


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status in _RETRIED:
        raise _Failed(f"HTTP {status}", retry_after(response.headers.get("Retry-After")))
    if status in _TOO_MUCH:
        raise RequestRejected(status)
    if status in {401, 403}:
        raise _unavailable(f"HTTP {status}; check RAG_EMBED_API_KEY")
    if status != httpx.codes.OK:
        raise _bad_answer(f"HTTP {status}; check RAG_EMBED_URL and RAG_EMBED_MODEL")


def _backoff(error: Exception, deadline: float) -> bool | float:
    """Return `True` to retry (exponential wait with jitter), or the wait that the endpoint requests."""
    if not isinstance(error, _Failed):
        return False
    if error.after is None:
        return True
    # Waiting beyond the deadline only delays the failure.
    return error.after if asyncio.get_running_loop().time() + error.after < deadline else False


def _unavailable(problem: str) -> RagError:
    return Unavailable(Reason.EMBEDDER_UNAVAILABLE, f"the embedding endpoint cannot be used: {problem}")


def _bad_answer(problem: str) -> RagError:
    return Unavailable(Reason.EMBEDDER_RESPONSE, f"the embedding endpoint gave an unusable answer: {problem}")
