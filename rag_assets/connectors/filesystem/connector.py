"""The filesystem connector."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.filesystem.permissions import readers
from rag_assets.connectors.filesystem.safe_open import file_version_tag, read_stable, resolve_links
from rag_assets.connectors.filesystem.walk import FilesystemListing
from rag_assets.connectors.outside import ConnectorContext, summary, with_readers
from rag_core.content.sources import FetchedItem, SourceItem
from rag_core.errors import RagError

CHECK_ENTRIES = 10_000
"""`check` reads no more than this many entries."""


class FilesystemConnector:
    """Reads a folder."""

    shares_listings = True

    def __init__(self, options: FilesystemOptions, context: ConnectorContext) -> None:
        """Raises as `PathRules.accept` for a root that is refused now; each opening looks again."""
        self._options, self._rules = options, context.paths
        self._rules.accept(Path(options.root).resolve())
        self._limit = context.limit(options.max_file_bytes)

    def list_items(self) -> FilesystemListing:
        return FilesystemListing(self._options, self._limit, self._rules)

    def fetch(self, item: SourceItem) -> FetchedItem:
        parts = names.decode(item.locator)
        if self._options.symlinks == "within_root":
            parts = resolve_links(self._options.root, parts)
        content, status = read_stable(
            self._options.root,
            parts,
            limit=self._limit,
            refuse_links=self._options.hard_links == "refuse",
            rules=self._rules,
        )
        # The token of what was read, which may be newer than what was listed.
        tag, acl = file_version_tag(status), None
        if self._options.directory:
            acl = readers(self._options.root, parts, self._options.directory, self._rules)
            tag = with_readers(tag, acl)
        return FetchedItem(replace(item, version_tag=tag, size=status.st_size), content, acl=acl)

    def version_tag(self) -> str:
        listing = self.list_items()
        for _ in listing:
            pass  # it reads no file, only the folders and each file's status
        return listing.version_tag

    def check(self) -> dict[str, Any]:
        try:
            listing = self.list_items()
            entries = list(islice(listing, CHECK_ENTRIES))
        except RagError as error:
            return {"ok": False, "items": 0, "sample": [], "error": error.message}
        more = len(entries) == CHECK_ENTRIES
        return summary(entries, None if more and not listing.broken else listing.error, more=more)
