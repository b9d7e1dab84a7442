"""Read a response body within limits on its transferred and its decompressed size.

httpx decompresses data before its size can be checked, with every installed codec. Here only gzip and deflate are
requested and accepted, and decompression stops at the limit.
"""

from __future__ import annotations

import zlib
from typing import Final

import httpx

from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.http_client.policy import FetchLimits

ACCEPT_ENCODING: Final = "gzip, deflate"
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_STEP: Final = 65_536


def read_body(response: httpx.Response, limits: FetchLimits) -> bytes:
    """Read and decompress the body.

    Raises `InvalidInput` (`RESPONSE_TOO_LARGE`, `RESPONSE_INVALID`), `Unavailable` (`RESPONSE_INVALID`) for a truncated
    body, and the errors of httpx.
    """
    announced = response.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > limits.wire_bytes:
        raise _too_large(limits.wire_bytes)
    inflate = _inflater(response.headers.get("content-encoding", ""), limits.decoded_bytes)
    content = bytearray()
    wire = 0
    for part in response.iter_raw(_STEP):
        wire += len(part)
        if wire > limits.wire_bytes:
            raise _too_large(limits.wire_bytes)
        content += inflate.feed(part, limits.decoded_bytes - len(content))
    inflate.finish()
    return bytes(content)


class _Plain:
    """A body without compression."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def feed(self, part: bytes, room: int) -> bytes:
        if len(part) > room:
            raise _too_large(self._limit)
        return part

    def finish(self) -> None:
        return


class _Inflate(_Plain):
    def __init__(self, window: int, limit: int) -> None:
        super().__init__(limit)
        self._window = window
        self._stream = zlib.decompressobj(window)
        self._started = False

    def feed(self, part: bytes, room: int) -> bytes:
        out = self._inflate(part, room)
        if len(out) > room or self._stream.unconsumed_tail:
            raise _too_large(self._limit)
        return out

    def finish(self) -> None:
        if self._started and not self._stream.eof:
            raise Unavailable(Reason.RESPONSE_INVALID, "the compressed answer breaks off")

    def _inflate(self, part: bytes, room: int) -> bytes:
        try:
            return self._step(part, room)
        except zlib.error:
            if self._window == 15 and not self._started:
                # Some servers send deflate without the zlib wrapper; browsers accept that.
                self._window, self._stream = -15, zlib.decompressobj(-15)
                return self._inflate(part, room)
            raise InvalidInput(Reason.RESPONSE_INVALID, "the answer is not compressed as it says") from None

    def _step(self, part: bytes, room: int) -> bytes:
        out = self._stream.decompress(part, room + 1)
        self._started = True
        return out


def _inflater(encoding: str, limit: int) -> _Plain:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Plain(limit)
    if name not in _WINDOWS:
        raise InvalidInput(Reason.RESPONSE_INVALID, "the answer is compressed in a way that was not asked for")
    return _Inflate(_WINDOWS[name], limit)


def _too_large(limit: int) -> InvalidInput:
    return InvalidInput(Reason.RESPONSE_TOO_LARGE, f"the answer is larger than {limit} bytes")
