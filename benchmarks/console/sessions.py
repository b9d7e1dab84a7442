"""Console sessions without a browser: the messages a page exchanges with the server, and how long they take.

A browser costs more than the server on a small machine, so many of them would measure themselves.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from benchmarks.console.stack import COOKIE, Stack

PAGES = ("", "sources", "add_source", "documents", "pipeline", "quality", "evaluation", "index", "ask", "traffic",
         "usage", "deployments", "tenants", "audit", "webhooks", "access")  # fmt: skip
"""All but Traces, which are not kept by default."""
_DONE = ForwardMsg.FINISHED_SUCCESSFULLY
"""A run that ends early is followed by another."""
_REFRESHED = ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY
_POLL_SECONDS = 5.0


@dataclass
class Session:
    """One visitor. `opened` are pages with the seconds each took; `refreshed` the seconds of each refresh.

    `fragments` are those of the page, as it was drawn last, that refresh by themselves; the server answers for no
    other.
    """

    connection: ClientConnection
    fragments: list[str] = field(default_factory=list)
    opened: list[tuple[str, float]] = field(default_factory=list)
    refreshed: list[float] = field(default_factory=list)

    async def open(self, page: str) -> None:
        """Go to a page and wait until it is painted."""
        message = BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.context_info.locale = "en"
        message.rerun_script.context_info.timezone = "UTC"
        started = time.perf_counter()
        await self.connection.send(message.SerializeToString())
        await self._until(_DONE)
        self.opened.append((page or "overview", time.perf_counter() - started))

    async def refresh(self, fragment: str) -> None:
        """Refresh, as a fragment of the page does automatically."""
        message = BackMsg()
        message.rerun_script.fragment_id = fragment
        message.rerun_script.is_auto_rerun = True
        started = time.perf_counter()
        await self.connection.send(message.SerializeToString())
        await self._until(_REFRESHED, _DONE)
        self.refreshed.append(time.perf_counter() - started)

    async def _until(self, *wanted: int) -> None:
        drawn = []
        while True:
            message = ForwardMsg()
            message.ParseFromString(await self.connection.recv())  # type: ignore[arg-type]
            kind = message.WhichOneof("type")
            if kind == "auto_rerun":
                drawn.append(message.auto_rerun.fragment_id)
            elif kind == "script_finished":
                if message.script_finished == _DONE:
                    self.fragments = drawn
                if message.script_finished in wanted:
                    return
                drawn = []


async def visit(stack: Stack, number: int, pages: Sequence[str], refreshes: int) -> Session:
    """Open pages one after the other; on each stay for some refreshes of its fragments. `number` shifts the order."""
    address = stack.url.replace("http://", "ws://") + "/_stcore/stream"
    headers = {"Cookie": f"{COOKIE}={stack.cookie}"}
    async with connect(address, additional_headers=headers, subprotocols=[Subprotocol("streamlit")],
                       max_size=None, origin=Origin(stack.url), proxy=None) as connection:  # fmt: skip
        session = Session(connection)
        ordered = itertools.islice(itertools.cycle(pages), number % len(pages), number % len(pages) + len(pages))
        for page in ordered:
            await session.open(page)
            for _ in range(refreshes):
                await asyncio.sleep(_POLL_SECONDS)
                for fragment in tuple(session.fragments):
                    if fragment in session.fragments:  # the one before may have drawn the whole page again
                        await session.refresh(fragment)
        return session


async def together(stack: Stack, sessions: int, refreshes: int) -> list[Session]:
    """So many sessions at once, each on another page at any moment."""
    return await asyncio.gather(*(visit(stack, number, PAGES, refreshes) for number in range(sessions)))
