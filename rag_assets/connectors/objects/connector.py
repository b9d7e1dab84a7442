"""The connector of objects, whatever store has them."""

from __future__ import annotations

from typing import Generic, TypeVar

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.http_host import HttpHost
from rag_assets.connectors.objects.listing import ObjectListing, ObjectStore
from rag_assets.connectors.objects.options import ObjectOptions
from rag_assets.connectors.outside import ConnectorContext, PolledConnector, read_item
from rag_core.content.sources import FetchedItem, SourceItem
from rag_core.http_client import Fetcher, FetchPolicy, Pacing

Store = TypeVar("Store", bound=ObjectStore)


class ObjectConnector(PolledConnector, Generic[Store]):
    """Reads one bucket or container."""

    def __init__(self, options: ObjectOptions, context: ConnectorContext, store: Store) -> None:
        self._options, self._store = options, store
        self._limit = context.limit(options.max_file_bytes)

    def list_items(self) -> ObjectListing:
        return ObjectListing(self._options, self._store, self._limit)

    def fetch(self, item: SourceItem) -> FetchedItem:
        found, content = self._store.read(names.decode_key(item.locator), item.version_tag)
        about = {"version_tag": found.tag, "modified_at": found.modified_at}
        read = read_item(item, content, self._limit, "the object", **about)
        return FetchedItem(read, content, found.known_type)

    def polled(self) -> ObjectListing:
        return ObjectListing(self._options, self._store, self._limit, most=self._options.polled_objects)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._store.close()


def host_of(options: ObjectOptions, context: ConnectorContext, what: str) -> HttpHost:
    """Return the store as requests meet it; `what` names it in errors."""
    return HttpHost(Fetcher(policy_of(options, context), connections=2), pacing_of(options), what)


def policy_of(options: ObjectOptions, context: ConnectorContext) -> FetchPolicy:
    """Return what a source may call, with its own time limit."""
    policy = context.fetch_policy
    return policy if options.timeout_seconds is None else policy.with_seconds(options.timeout_seconds)


def pacing_of(options: ObjectOptions) -> Pacing:
    """Return the rate and the retries of a source's requests."""
    return Pacing(options.requests_per_second, options.attempts, options.max_wait_seconds)
