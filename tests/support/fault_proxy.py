"""A TCP proxy that breaks connections or slows them down, for tests of what a bad network does."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

_LINGER_ZERO = struct.pack("ii", 1, 0)
"""Closing such a socket sends RST instead of an orderly end."""


class FaultProxy:
    """Passes bytes on to `port`. Change the fields at any time; they hold for what comes then."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.reset_after: int | None = None
        """Answer bytes that still pass, over all connections, before one is reset; it holds once."""
        self.then_after: list[int] = []
        """The same for the resets after it, one after the other."""
        self.spared_bytes = 0
        """Pieces of at most this size pass uncounted, so that it is not a health check that is broken."""
        self.resets = 0
        self.bytes_per_second: float | None = None

    def close(self) -> None:
        """Drop everything."""
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        there = asyncio.create_task(self._pass(reader, up_writer))
        back = asyncio.create_task(self._pass(up_reader, writer, answers=True))
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        for task, end in ((there, up_writer), (back, writer)):
            task.cancel()
            with suppress(OSError):
                end.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                if self.bytes_per_second is not None:
                    await asyncio.sleep(len(data) / self.bytes_per_second)
                if answers and self._resets(len(data)):
                    raw: socket.socket = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()

    def _resets(self, size: int) -> bool:
        if self.reset_after is None or size <= self.spared_bytes:
            return False
        self.reset_after -= size
        if self.reset_after >= 0:
            return False
        self.reset_after, self.resets = self.then_after.pop(0) if self.then_after else None, self.resets + 1
        return True


@contextmanager
def fault_proxy(port: int) -> Iterator[FaultProxy]:
    """A proxy in front of a local port."""
    proxy = FaultProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
