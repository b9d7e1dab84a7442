"""Clients during a change of generation: callers at a fixed rate, and an editor of documents."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Self

import grpc

from benchmarks.generations import corpus
from benchmarks.timing import percentile
from rag_core.content.streams import inbox_store as inbox
from rag_core.ingestion.pipeline import Pipeline
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc as rpc

_DEADLINE_SECONDS = 30
SAME = 0.98
"""Cosine of the exact text of a chunk in its own model; in another one it is about 0."""


@dataclass(slots=True)
class Seen:
    """Results of the callers since the last reading: seconds of each answer, failures, answers of two generations."""

    seconds: list[float] = field(default_factory=list)
    generations: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)

    @property
    def p95(self) -> float:
        """Milliseconds."""
        return percentile(self.seconds, 95) * 1000 if self.seconds else 0.0


class Callers:
    """Asks `rate` times a second, whatever the answers do; latency counts from the moment a call was due.

    Every other question is the exact text of a chunk in dense search: its cosine shows whether the query was embedded
    by the model of the index that answered. The others are hybrid searches, no two alike.
    """

    def __init__(self, address: str, token: str, texts: list[str], rate: float) -> None:
        self._address, self._rate, self._texts = address, rate, texts
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._ended = threading.Event()
        self._seen = Seen()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="callers")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def take(self) -> Seen:
        """The results since the last call."""
        seen, self._seen = self._seen, Seen()
        return seen

    async def _run(self) -> None:
        async with (
            grpc.aio.insecure_channel(self._address, options=[("grpc.enable_http_proxy", 0)]) as channel,
            asyncio.TaskGroup() as group,
        ):
            stub = rpc.QueryServiceStub(channel)
            started = time.perf_counter()
            for number in itertools.count():
                if self._ended.is_set():
                    return
                due = started + number / self._rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(self._ask(stub, number, due))

    async def _ask(self, stub: rpc.QueryServiceStub, number: int, due: float) -> None:
        exact = number % 2 == 0
        text = self._texts[number % len(self._texts)]
        mode = pb.SEARCH_MODE_DENSE if exact else pb.SEARCH_MODE_HYBRID
        request = pb.SearchRequest(query=text if exact else f"{text[:60]} {number}", top_k=10, mode=mode)
        try:
            response = await stub.Search(request, metadata=self._metadata, timeout=_DEADLINE_SECONDS)
        except grpc.RpcError as error:
            self._seen.failed.append(str(error))
            return
        seen = self._seen
        seen.seconds.append(time.perf_counter() - due)
        seen.generations.add(response.generation)
        if exact and (not response.passages or response.passages[0].score < SAME):
            seen.mixed.append(f"{response.generation}: {[passage.score for passage in response.passages[:3]]}")


class Editor:
    """Edits a document, or deletes or restores one, `rate` times a second, through the inbox of the push API."""

    def __init__(self, pipeline: Pipeline, rate: float) -> None:
        self._pipeline, self._pause = pipeline, 1 / rate
        self._ended = threading.Event()
        self._numbers = itertools.count(1)
        self._random = random.Random(3)
        self._thread: threading.Thread | None = None
        self.accepted = 0
        self.failed: list[str] = []
        self.expected: dict[int, str | None] = {}
        """By document: the marker of its last accepted text, `None` when it was deleted."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, or resume."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="editor")
        self._thread.start()

    def stop(self) -> None:
        """Pause, so that what was accepted can arrive and be compared."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            try:
                self._edit(self._random.randrange(corpus.EDITED), next(self._numbers))
            except Exception as error:
                self.failed.append(str(error))

    def _edit(self, number: int, edit: int) -> None:
        gone = self._random.random() < 0.2
        content = None if gone else corpus.text(number, edit)
        with self._pipeline.store.engine.begin() as connection:
            inbox.accept(connection, corpus.change(number, content), max_pending=10**6)
        self.accepted += 1
        self.expected[number] = None if gone else corpus.marker(number, edit)
