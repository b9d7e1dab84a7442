"""TLS in front of a server that has none."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def tls_front(port: int, target: int, certificate: Path, key: Path) -> Iterator[None]:
    """Terminate TLS at `port` of 127.0.0.1 and 127.0.0.2, and pass what comes on to `target` of the former."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", target)
        passing = {asyncio.create_task(_pass(reader, outer)), asyncio.create_task(_pass(inner, writer))}
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Not closed but aborted: a farewell in TLS would outlive the loop.
            for one in (outer, writer):
                one.transport.abort()

    server = loop.run_until_complete(asyncio.start_server(serve, ("127.0.0.1", "127.0.0.2"), port, ssl=context))
    # A client that refuses the certificate is what some tests are about, and no news.
    loop.set_exception_handler(lambda *_: None)
    thread = threading.Thread(target=loop.run_forever, name="tls-front", daemon=True)
    thread.start()
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def _close(server: asyncio.Server) -> None:
    server.close()
    ours = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in ours:
        task.cancel()
    await asyncio.gather(*ours, return_exceptions=True)
    await asyncio.sleep(0.1)  # aborted connections are notified in the next rounds of the loop
