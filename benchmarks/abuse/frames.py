"""HTTP/2 frames as bytes, for clients that break rules every library keeps."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

SEARCH = "/ragproto.query.v2.QueryService/Search"
NO_KEY = f"rag_{'x' * 12}_{'y' * 43}"
"""An API key of the right form that nobody was given."""
END_STREAM, END_HEADERS = 1, 4
DATA, HEADERS, RESET, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
Headers = Sequence[tuple[str, str]]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


GRPC = (("content-type", "application/grpc"), ("te", "trailers"))


def block(extra: Headers, path: str = SEARCH) -> bytes:
    """The header block of a gRPC call."""
    return request("POST", path, (*GRPC, *extra))


def request(verb: str, path: str, extra: Headers = ()) -> bytes:
    """The header block of a request: literals that enter no table, so that any stream may carry it."""
    plain = [(":method", verb), (":scheme", "http"), (":path", path), (":authority", "gateway")]
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in [*plain, *extra])


def headers(stream: int, header_block: bytes, *, end: bool = False) -> bytes:
    """The HEADERS frame that opens a stream."""
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, header_block)


def message(payload: bytes) -> bytes:
    """A gRPC message with its prefix."""
    return b"\0" + struct.pack(">I", len(payload)) + payload


def call(stream: int, header_block: bytes, body: bytes, *, end: bool = True) -> bytes:
    """A whole call; without `end` its body stays open."""
    return headers(stream, header_block) + frame(DATA, END_STREAM if end else 0, stream, body)


def connect(address: str, *, settings: bytes = b"", source: str = "") -> socket.socket:
    """A connection that has said hello. `source` is the address it comes from."""
    opened = plain(address, source=source)
    opened.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings))
    return opened


def plain(address: str, *, source: str = "") -> socket.socket:
    """A connection that has said nothing."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10, source_address=(source, 0) if source else None)


class Ended:
    """Which streams have ended, by the frames that came."""

    def __init__(self) -> None:
        self._rest = b""

    def after(self, received: bytes) -> set[int]:
        """Streams that ended in these bytes, the next of the connection."""
        ended = set()
        self._rest += received
        while len(self._rest) >= 9 and len(self._rest) >= 9 + (length := int.from_bytes(self._rest[:3], "big")):
            kind, flags, stream = self._rest[3], self._rest[4], int.from_bytes(self._rest[5:9], "big")
            if kind == RESET or (kind in (DATA, HEADERS) and flags & END_STREAM):
                ended.add(stream)
            self._rest = self._rest[9 + length :]
        return ended


def await_ends(connection: socket.socket, count: int) -> None:
    """Read until so many streams have ended. Raises `TimeoutError` when the connection says nothing for its timeout."""
    parser, ended = Ended(), set[int]()
    while len(ended) < count:
        more = connection.recv(65_536)
        if not more:
            raise ConnectionResetError("the connection was closed before")
        ended |= parser.after(more)


def _text(value: str) -> bytes:
    """A string of HPACK (RFC 7541, 5.1 and 5.2), not compressed."""
    data = value.encode("ascii")
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, prefix = len(data) - 127, b"\x7f"
    while rest >= 128:
        prefix, rest = prefix + bytes([rest % 128 + 128]), rest // 128
    return prefix + bytes([rest]) + data


def streams(count: int) -> range:
    """The ids of the first `count` streams of a client."""
    return range(1, 2 * count, 2)
