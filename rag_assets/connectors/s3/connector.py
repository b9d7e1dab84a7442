"""The S3 connector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.objects.connector import ObjectConnector
from rag_assets.connectors.objects.listing import ObjectListing
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.s3.options import S3Options
from rag_assets.connectors.s3.store import S3Store
from rag_core.content.sources import Problem, Removed, SourceItem


class S3Listing(ObjectListing):
    """The `Listing` of a bucket."""

    @property
    def cursor(self) -> dict[str, Any]:
        """Nothing: a bucket has no list of changes. That there is one lets named objects be applied on their own."""
        return {}


class S3Connector(ObjectConnector[S3Store]):
    """Reads one bucket."""

    def __init__(self, options: S3Options, context: ConnectorContext) -> None:
        super().__init__(options, context, S3Store(options, context))

    def list_items(self) -> S3Listing:
        return S3Listing(self._options, self._store, self._limit)

    def look_up(self, locators: Sequence[str]) -> list[SourceItem | Problem | Removed]:
        """Return what these items are now, for notifications that say only that something happened to them.

        Raises what keeps the bucket from being read.
        """
        listing = self.list_items()
        found = [(locator, self._store.find(names.decode_key(locator))) for locator in locators]
        return [(stored and listing.entry(stored)) or Removed(locator) for locator, stored in found]
