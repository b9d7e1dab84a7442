"""The context that every connector gets, and the base of listings: where one stands, and whether it is complete."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from math import inf
from pathlib import Path
from typing import Any

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.filesystem.safe_open import PathRules
from rag_core.content.sources import (
    Connector,
    FetchedItem,
    Listing,
    Problem,
    Source,
    SourceItem,
    SourceMemory,
    TransientMemory,
)
from rag_core.errors import InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.http_client import FetchPolicy
from rag_core.ids import fingerprint

DEFAULT_MAX_FILE_BYTES = 50_000_000
_OTHER_FORM = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""Errors of reading an answer that has another form than its documentation says."""


@dataclass(frozen=True, slots=True)
class ConnectorContext:
    """`max_file_bytes` is the platform's limit for one document, `fetch` what may be called, `memory` what is
    remembered from run to run; without one a connector remembers nothing. `home` is RAG_HOME, which no source reads,
    `source` the source that the connector is made for."""

    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES
    fetch_policy: FetchPolicy = field(default_factory=FetchPolicy)
    memory: SourceMemory = field(default_factory=TransientMemory)
    home: Path | None = None
    source: Source | None = None

    def limit(self, own: int | None) -> int:
        """Return the limit for one document of a source that may set a lower one of its own."""
        return min(self.max_file_bytes, own or self.max_file_bytes)

    @property
    def paths(self) -> PathRules:
        """The rules for what may be opened of this machine."""
        home = self.home.resolve() if self.home is not None else None
        return PathRules(home, self.fetch_policy.allowance)


SAMPLE = 10


def check_by_sample(connector: Connector) -> dict[str, Any]:
    """Check a connector by the first entries of a listing and the first item, for `Connector.check`: to list and to
    read may be two permissions."""
    listing = connector.list_items()
    try:
        entries = list(islice(listing, SAMPLE))
    except RagError as failure:
        return {"ok": False, "items": 0, "sample": [], "error": str(failure)}
    item = next((entry for entry in entries if isinstance(entry, SourceItem)), None)
    error = listing.error if getattr(listing, "broken", False) else None
    if error is None and item is not None:
        try:
            connector.fetch(item)
        except RagError as failure:
            error = str(failure)
    return summary(entries, error, more=len(entries) == SAMPLE)


def summary(entries: Sequence[SourceItem | Problem], error: str | None, *, more: bool) -> dict[str, Any]:
    """Return what `Connector.check` says of the first entries of a listing, and of what kept it from being read."""
    items = [entry.locator for entry in entries if isinstance(entry, SourceItem)]
    problems = [f"{one.locator}: {one.reason}: {one.message}" for one in entries if isinstance(one, Problem)]
    return {
        "ok": error is None,
        "items": len(items),
        "more": more,
        "sample": items[:SAMPLE],
        "problems": problems[:SAMPLE],
        "error": error,
    }


def with_readers(tag: str, acl: Sequence[str] | None) -> str:
    """Return a version tag that changes with the ACL too: what admits readers may change without the document."""
    return f"{tag}:{fingerprint(*acl) if acl is not None else ''}"


def entry_of(
    path: str, tag: str, size: int | None, limit: int, *, at: datetime | None = None, what: str = "the file"
) -> SourceItem | Problem:
    """Return the item of a path, or the problem with it: a name that cannot be stored, or content above the limit."""
    locator = names.encode(path)
    if names.is_too_long(locator):
        return Problem(names.shorten(locator), Reason.ID_CHARS, f"the name of {what} is too long")
    if size is not None and size > limit:
        return Problem(locator, Reason.FILE_TOO_LARGE, f"{what} has {size} > {limit} bytes")
    return SourceItem(locator, tag, size, at)


def read_item(item: SourceItem, content: bytes, limit: int, what: str = "the document", **read: Any) -> SourceItem:
    """Return an item with what is known since it was read, which may be newer than what was listed.

    Raises `InvalidInput` (`FILE_TOO_LARGE`).
    """
    if len(content) > limit:
        raise InvalidInput(Reason.FILE_TOO_LARGE, f"{what} has {len(content)} > {limit} bytes")
    return replace(item, size=len(content), **read)


class PolledConnector(ABC):
    """Base of connectors that are polled by a listing: its version tag is the source's."""

    shares_listings = True

    @abstractmethod
    def list_items(self) -> Listing:
        """List all items, see `Connector`."""

    @abstractmethod
    def fetch(self, item: SourceItem) -> FetchedItem:
        """Read one item, see `Connector`."""

    def version_tag(self) -> str:
        """The tag of a poll, else what kept it from being read."""
        try:
            return self.read_version_tag()
        except RagError as error:
            return f"unavailable:{error}"

    def read_version_tag(self) -> str:
        """Read the tag: that of a listing that came to its end, unless the service says more cheaply what changed."""
        listing = self.polled()
        for _ in listing:
            pass
        return listing.version_tag if listing.complete else f"unavailable:{listing.error}"

    def polled(self) -> Listing:
        """The listing of a poll."""
        return self.list_items()

    def check(self) -> dict[str, Any]:
        """Check a sample."""
        return check_by_sample(self)


class ListingState:
    """State of a listing: whether it came to its end, and what kept it from being complete."""

    unfinished = "the listing was not read to its end"

    def __init__(self) -> None:
        self._finished = False
        self._errors: dict[str, None] = {}

    @property
    def complete(self) -> bool:
        return self._finished and not self._errors

    @property
    def broken(self) -> bool:
        """True when something went wrong, as opposed to not read yet."""
        return bool(self._errors)

    @property
    def error(self) -> str | None:
        if self._errors:
            return "; ".join(self._errors)
        return None if self._finished else self.unfinished


class EntryListing(ListingState):
    """One pass over the entries that a generator finds, for connectors that poll by a listing.

    What the generator raises makes the listing incomplete: `RagError`, and the errors of reading an answer that has
    another form. An entry that is found twice, because pages shift while they are read, counts once.
    """

    def __init__(
        self,
        entries: Callable[[], Iterator[SourceItem | Problem]],
        what: str,
        most: float = inf,
        tag: Callable[[], str] | None = None,
    ) -> None:
        """`what` names the source in errors: "the wiki"; a listing of more than `most` entries is incomplete.

        `tag` gives the version tag at the end, for a source that has one before its entries; left out: that of all.
        """
        super().__init__()
        self._entries, self._what, self._most, self._tag = entries, what, most, tag
        self.version_tag = ""

    def __iter__(self) -> Iterator[SourceItem | Problem]:
        tags: dict[str, str] = {}
        try:
            for entry in self._entries():
                if entry.locator in tags:
                    continue
                if len(tags) >= self._most:
                    raise InvalidInput(Reason.LISTING_INCOMPLETE, f"{self._what} has more than {self._most} documents")
                tags[entry.locator] = self.tag_of(entry)
                yield entry
        except NotFound as error:
            self._errors[f"{Reason.LISTING_INCOMPLETE}: {error.message}"] = None
        except RagError as error:
            self._errors[str(error)] = None
        except _OTHER_FORM:
            self._errors[f"{Reason.RESPONSE_INVALID}: {self._what} answers in another form"] = None
        every = (f"{locator}={tag}" for locator, tag in sorted(tags.items()))
        self.version_tag = self._tag() if self._tag is not None else fingerprint(*every)
        self._finished = True

    def tag_of(self, entry: SourceItem | Problem) -> str:
        """Return what an entry adds to the version tag of all."""
        return entry.version_tag if isinstance(entry, SourceItem) else entry.reason


@contextmanager
def well_formed(what: str) -> Iterator[None]:
    """Raise `Unavailable` (`RESPONSE_INVALID`) where an answer of a source has another form."""
    try:
        yield
    except _OTHER_FORM:
        raise Unavailable(Reason.RESPONSE_INVALID, f"{what} answers in another form") from None
