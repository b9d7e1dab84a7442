"""A Qdrant cluster with shard keys, as the source of 1.19 routes by them; memory mode has none.

A collection with custom sharding refuses writes that name no key. A read without one asks every shard, and a key whose
shards have no living copy is an error. `ShardKeyWithFallback` goes to the fallback then, in silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from qdrant_client import models

from tests.support.qdrant_server import StandIn


class Refused(grpc.RpcError):  # type: ignore[misc]
    """The error of a channel whose answer is an error."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__()
        self._code, self._text = code, text

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._text


class Cluster(StandIn):
    """One cluster. `dead` keys have no living copy."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, dict[str, set[str]]] = {}
        """Ids by shard key by collection, of those with custom sharding."""
        self.dead: set[str] = set()
        self.asked: list[Any] = []
        """The selector of each search."""

    def create_collection(self, collection_name: str, *args: Any, sharding_method: Any = None, **rest: Any) -> bool:
        if sharding_method is models.ShardingMethod.CUSTOM:
            self.held[collection_name] = {}
        return super().create_collection(collection_name, *args, **rest)

    def create_shard_key(self, collection_name: str, shard_key: Any, *_: Any, **__: Any) -> bool:
        if shard_key in self.held[collection_name]:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Shard key {shard_key} already exists")
        if self.dies_after == -1:
            raise KeyboardInterrupt
        self.held[collection_name][shard_key] = set()
        return True

    def collection_cluster_info(self, collection_name: str) -> models.CollectionClusterInfo:
        state = models.ReplicaState.ACTIVE
        local = [
            models.LocalShardInfo(shard_id=number, shard_key=key, points_count=0, state=state)
            for number, key in enumerate(self.held[collection_name])
        ]
        return models.CollectionClusterInfo(
            peer_id=1, shard_count=len(local), local_shards=local, remote_shards=[], shard_transfers=[]
        )

    def upsert(self, collection_name: str, points: Any, shard_key_selector: Any = None, **rest: Any) -> Any:
        with self._one_at_a_time:
            for key in self._keys(collection_name, shard_key_selector, write=True):
                self.held[collection_name][key].update(str(point.id) for point in points)
            return super().upsert(collection_name, points, **rest)

    def delete(self, collection_name: str, *args: Any, shard_key_selector: Any = None, **rest: Any) -> Any:
        self._keys(collection_name, shard_key_selector, write=True)
        return super().delete(collection_name, *args, **rest)

    def query_points(self, collection_name: str, *args: Any, shard_key_selector: Any = None, **rest: Any) -> Any:
        self.asked.append(shard_key_selector)
        with self._one_at_a_time:
            narrowed = self._narrowed(collection_name, shard_key_selector, rest.pop("query_filter", None))
            return super().query_points(collection_name, *args, query_filter=narrowed, **rest)

    def query_batch_points(self, collection_name: str, requests: Any, **rest: Any) -> Any:
        self.asked += [request.shard_key for request in requests]
        with self._one_at_a_time:
            apart = [
                request.model_copy(
                    update={
                        "filter": self._narrowed(collection_name, request.shard_key, request.filter),
                        "shard_key": None,
                    }
                )
                for request in requests
            ]
            return super().query_batch_points(collection_name, apart, **rest)

    def scroll(self, collection_name: str, *args: Any, shard_key_selector: Any = None, **rest: Any) -> Any:
        with self._one_at_a_time:
            narrowed = self._narrowed(collection_name, shard_key_selector, rest.pop("scroll_filter", None))
            return super().scroll(collection_name, *args, scroll_filter=narrowed, **rest)

    def count(self, collection_name: str, *args: Any, shard_key_selector: Any = None, **rest: Any) -> Any:
        with self._one_at_a_time:
            narrowed = self._narrowed(collection_name, shard_key_selector, rest.pop("count_filter", None))
            return super().count(collection_name, *args, count_filter=narrowed, **rest)

    def retrieve(self, collection_name: str, ids: Any, *args: Any, shard_key_selector: Any = None, **rest: Any) -> Any:
        keys = self._keys(collection_name, shard_key_selector)
        with self._one_at_a_time:
            if collection_name in self.held:
                ids = [one for one in ids if any(one in self.held[collection_name][key] for key in keys)]
            return super().retrieve(collection_name, ids, *args, **rest)

    def _narrowed(self, collection: str, selector: Any, within: models.Filter | None) -> models.Filter | None:
        keys = self._keys(collection, selector)
        if collection not in self.held or selector is None:
            return within
        there = [one for key in keys for one in self.held[collection][key]]
        return models.Filter(must=[models.HasIdCondition(has_id=there), *([within] if within else [])])

    def _keys(self, collection: str, selector: Any, *, write: bool = False) -> list[str]:
        if collection not in self.held:
            assert selector is None, "a key of a collection without shard keys"
            return []
        if selector is None and write:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "Wrong input: Shard key not specified")
        if isinstance(selector, models.ShardKeyWithFallback):
            unknown = selector.target not in self.held[collection] or selector.target in self.dead
            selector = selector.fallback if unknown else selector.target
        wanted = [selector] if isinstance(selector, str) else list(selector or self.held[collection])
        self._require_alive(collection, wanted)
        return wanted

    def _require_alive(self, collection: str, wanted: Iterable[str]) -> None:
        for key in wanted:
            if key not in self.held[collection]:
                raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: Shard key {key} not found")
            if key in self.dead:
                raise Refused(grpc.StatusCode.INTERNAL, "Service internal error: no active replica of shard")
