"""Callers that ask for much and take next to nothing of it: what they are owed waits in the gateway's memory.

Such a caller comes from many addresses, each with several connections, and keeps as many calls open on each as it may.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.abuse import frames

CONNECTIONS = 4
"""Of each address."""
STREAMS = 100
"""Calls open on a connection: as many as the gateway lets."""
_NO_WINDOW = struct.pack(">HI", 4, 0)
_MOST_WINDOW = 2**31 - 1
_LARGE_WINDOWS = struct.pack(">HI", 4, _MOST_WINDOW)
_SECOND = 1.0
_ONE_BYTE = struct.pack(">I", 1)

NOT_AT_ALL, SLOWLY, DEAF, HTTP1 = "no window", "a byte a second", "socket not read", "HTTP/1, socket not read"
MANNERS = (NOT_AT_ALL, SLOWLY, DEAF, HTTP1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request: by GET, unless it has a body."""

    path: str
    body: bytes = b""
    headers: frames.Headers = ()

    @property
    def verb(self) -> str:
        return "POST" if self.body else "GET"

    def block(self) -> bytes:
        """The header block of HTTP/2."""
        return frames.request(self.verb, self.path, self.headers)

    def text(self) -> bytes:
        """The request of HTTP/1."""
        size = [("content-length", str(len(self.body)))] if self.body else []
        lines = [f"{name}: {value}" for name, value in [("host", "gateway"), *self.headers, *size]]
        return "\r\n".join([f"{self.verb} {self.path} HTTP/1.1", *lines, "", ""]).encode("ascii") + self.body


class _Streams:
    """A connection of HTTP/2."""

    def __init__(self, address: str, source: str, wanted: Wanted, manner: str) -> None:
        deaf = manner == DEAF
        settings = _LARGE_WINDOWS if deaf else _NO_WINDOW
        self._socket = frames.connect(address, settings=settings, source=source)
        if deaf:
            grown = struct.pack(">I", _MOST_WINDOW - 65_535)
            self._socket.sendall(frames.frame(frames.WINDOW, 0, 0, grown))
        self._socket.setblocking(False)
        self._manner, self._wanted, self._block = manner, wanted, wanted.block()
        self._ids = iter(frames.streams(1_000_000))
        self._open: set[int] = set()
        self._ended = frames.Ended()
        self._next_byte = 0.0

    def step(self) -> int:
        """Take what may be taken and open one more call, if there is place for it. Raises `OSError` when closed."""
        if self._manner != DEAF:
            self._open -= self._ended.after(_arrived(self._socket))
        if self._manner == SLOWLY and time.monotonic() >= self._next_byte:
            self._next_byte = time.monotonic() + _SECOND
            self._send(b"".join(frames.frame(frames.WINDOW, 0, stream, _ONE_BYTE) for stream in self._open))
        if len(self._open) >= STREAMS:
            return 0
        stream = next(self._ids)
        self._open.add(stream)
        if self._wanted.body:
            self._send(frames.call(stream, self._block, self._wanted.body))
        else:
            self._send(frames.headers(stream, self._block, end=True))
        return 1

    def close(self) -> None:
        self._socket.close()

    def _send(self, data: bytes) -> None:
        self._socket.setblocking(True)
        self._socket.sendall(data)
        self._socket.setblocking(False)


class _Plain:
    """A connection of HTTP/1, which carries one call."""

    def __init__(self, address: str, source: str, wanted: Wanted, _: str) -> None:
        self._socket = frames.plain(address, source=source)
        self._text = wanted.text()
        self._sent = False

    def step(self) -> int:
        """Ask once. Raises `OSError` when closed."""
        if self._sent:
            self._socket.send(b"")
            return 0
        self._sent = True
        self._socket.sendall(self._text)
        return 1

    def close(self) -> None:
        self._socket.close()


class Reader:
    """One of the connections of an address, made again when the gateway closes it."""

    def __init__(self, address: str, source: str, wanted: Wanted, manner: str) -> None:
        self._made: Callable[[], _Streams | _Plain] = lambda: (_Plain if manner == HTTP1 else _Streams)(
            address, source, wanted, manner
        )
        self._connection: _Streams | _Plain | None = None

    def step(self) -> int:
        """Go on with what this connection does; returns the calls made."""
        try:
            if self._connection is None:
                self._connection = self._made()
            return self._connection.step()
        except OSError:
            self.close()
            return 0

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def read_slowly(
    address: str, sources: Sequence[str], wanted: Sequence[Wanted], manner: str, connections: int = CONNECTIONS
) -> Iterator[int]:
    """Ask from these addresses in turn, for all that is wanted in turn; yields the calls made."""
    count = STREAMS * connections if manner == HTTP1 else connections
    readers = [
        Reader(address, source, wanted[number % len(wanted)], manner) for number in range(count) for source in sources
    ]
    try:
        while True:
            yield from (reader.step() for reader in readers)
    finally:
        for reader in readers:
            reader.close()


def _arrived(opened: socket.socket) -> bytes:
    """What came, without waiting. Raises `OSError` when the connection is closed."""
    parts = []
    with suppress(BlockingIOError):
        while True:
            part = opened.recv(1 << 16)
            if not part:
                raise ConnectionResetError
            parts.append(part)
    return b"".join(parts)
