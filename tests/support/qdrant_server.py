"""A stand-in for a Qdrant server: behaviour of version 1.19.0 that qdrant-client's local mode omits.

It keeps payload indexes and says which a collection has; a `create` can be cut in the middle; it has a version, and one
before 1.19 drops the corpus of term statistics without a word. A write that does not wait is queued: the next one that
waits finds it applied, or failed without a report.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
from qdrant_client import QdrantClient, models


class StandIn(QdrantClient):
    """One server. Give it to several `QdrantIndex`: they share it."""

    def __init__(self, version: str = "1.19.0") -> None:
        super().__init__(":memory:")
        self.version = version
        self.indexes: dict[str, dict[str, Any]] = {}
        self.dies_after: int | None = None
        """Payload indexes until the process that creates them dies."""
        self.queue: list[Callable[[], Any]] = []
        self.drops: set[int] = set()
        """Queued writes, by their place, that the server cannot apply."""
        self.log: list[str] = []
        """Writes as they came: `upsert` (queued), `upsert, waited`, `delete`."""
        self._one_at_a_time = threading.RLock()  # memory mode is not thread-safe

    def info(self) -> models.VersionInfo:
        return models.VersionInfo(title="qdrant", version=self.version)

    def create_payload_index(self, collection_name: str, field_name: str, field_schema: Any = None, **_: Any) -> Any:
        if self.dies_after is not None:
            if self.dies_after == 0:
                raise KeyboardInterrupt
            self.dies_after -= 1
        self.indexes.setdefault(collection_name, {})[field_name] = field_schema
        return models.UpdateResult(status=models.UpdateStatus.COMPLETED)

    def get_collection(self, collection_name: str, **rest: Any) -> models.CollectionInfo:
        info = super().get_collection(collection_name, **rest)
        kind = models.PayloadIndexInfo(data_type=models.PayloadSchemaType.KEYWORD, points=0)
        return info.model_copy(update={"payload_schema": dict.fromkeys(self.indexes.get(collection_name, {}), kind)})

    def delete_collection(self, collection_name: str, **rest: Any) -> bool:
        self.indexes.pop(collection_name, None)
        return super().delete_collection(collection_name, **rest)

    def upsert(self, collection_name: str, points: Any, wait: bool = True, **rest: Any) -> Any:
        with self._one_at_a_time:
            self.log.append("upsert, waited" if wait else "upsert")
            write = partial(super().upsert, collection_name, points, **rest)
            if wait:
                self._drain()
                return write()
            self.queue.append(write)
            return models.UpdateResult(status=models.UpdateStatus.ACKNOWLEDGED)

    def delete(self, *args: Any, **rest: Any) -> Any:
        with self._one_at_a_time:
            self.log.append("delete")
            self._drain()
            return super().delete(*args, **rest)

    def _drain(self) -> None:
        for place, write in enumerate(self.queue):
            if place not in self.drops:
                write()
        self.queue.clear()

    def query_points(self, *args: Any, search_params: models.SearchParams | None = None, **rest: Any) -> Any:
        return super().query_points(*args, search_params=self._without_graph(search_params), **rest)

    def query_batch_points(self, collection_name: str, requests: Any, **rest: Any) -> Any:
        requests = [one.model_copy(update={"params": self._without_graph(one.params)}) for one in requests]
        return super().query_batch_points(collection_name, requests, **rest)

    def _without_graph(self, params: models.SearchParams | None) -> models.SearchParams | None:
        """What memory mode takes, which has no search graph."""
        return params if params is not None and params.idf is not None and self.version >= "1.19" else None


class Gone(grpc.RpcError):  # type: ignore[misc]
    """The error of a channel without an answer."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "recvmsg: Connection reset by peer"


class Door:
    """One address of a server (or cluster): keeps what is asked through it, and may be shut or lose an answer."""

    def __init__(self, server: StandIn) -> None:
        self._server = server
        self.shut_for = 0
        """Calls that find nobody."""
        self.loses = ""
        """The next call of this method is carried out, and its answer is lost."""
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._server, name)

        def call(*args: Any, **options: Any) -> Any:
            self.calls.append((name, options))
            if self.shut_for > 0:
                self.shut_for -= 1
                raise Gone
            result = method(*args, **options)
            if self.loses == name:
                self.loses = ""
                raise Gone
            return result

        return call

    @property
    def asked(self) -> list[str]:
        """The names of the calls."""
        return [name for name, _ in self.calls]
