"""A source, an item of it, and the protocol of connectors that list and fetch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from rag_core.content.quality import QualityPolicy

# --------------------------------------------------------------------------------------------------------------------
# Items of a source as immutable values.


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One entry of a source's listing.

    `version_tag` changes whenever the content may have changed (size and mtime, an ETag, a row version). When it is
    equal to the stored one the content need not be read.
    """

    locator: str
    version_tag: str
    size: int | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FetchedItem:
    """The bytes and the metadata of one item. `acl=None`: the source reports no ACL."""

    item: SourceItem
    content: bytes
    media_type: str | None = None
    title: str | None = None
    acl: tuple[str, ...] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


# --------------------------------------------------------------------------------------------------------------------
# The source, and the protocol of connectors, which are in `rag_assets.connectors`.


@dataclass(frozen=True, slots=True)
class Recency:
    """A preference for newer documents: with half the preference for each half-life of their age.

    `weight` is the share of the score that age decides, 0 to 1.
    """

    half_life_days: float
    weight: float


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source of documents, as the pipeline needs it (options stay with the connector).

    `acl` applies to documents whose connector reports none; `None` leaves them unsearchable until an ACL is known.
    `options` is a fingerprint of the connector's options: runs share a listing only when it is equal. `weight` is its
    share of embedding when several sources wait for it. `egress` are the endpoints its text may go to (`None`: as its
    tenant's). `freshness` is how much its newer documents are preferred.
    """

    name: str
    tenant: str
    kind: str
    acl: tuple[str, ...] | None = None
    shards: int = 1
    metadata: dict[str, str] = field(default_factory=dict)
    quality: QualityPolicy = field(default_factory=QualityPolicy)
    options: str = ""
    weight: float = 1.0
    egress: tuple[str, ...] | None = None
    freshness: Recency | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """An unusable item: `reason` is a code of `rag_core.errors.Reason`.

    `skipped` distinguishes a policy skip (an empty file, an excluding pattern) from a failure that an operator may
    want to redrive.
    """

    locator: str
    reason: str
    message: str
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    """An item that the source reports as deleted (a soft-deleted row). Only a `Changes` yields it."""

    locator: str


class Listing(Protocol):
    """One pass over a source. Iterate it to the end, then read `complete`.

    Yields a `SourceItem` for each usable entry and a `Problem` for each unusable one. A locator with a `Problem` exists
    at the source, so its document is not deleted.
    """

    def __iter__(self) -> Iterator[SourceItem | Problem]: ...

    @property
    def complete(self) -> bool:
        """True when the source was read to its end without an error. Only then are missing documents deleted."""
        ...

    @property
    def error(self) -> str | None:
        """The reason why the listing is incomplete."""
        ...

    @property
    def version_tag(self) -> str:
        """The value of `Connector.version_tag` for this listing. Valid after the end."""
        ...


class Changes(Protocol):
    """The changes since a cursor. Iterate it to the end, then read the properties. Other items are unchanged."""

    def __iter__(self) -> Iterator[SourceItem | Problem | Removed]: ...

    @property
    def complete(self) -> bool:
        """True when everything since the cursor was read without an error."""
        ...

    @property
    def error(self) -> str | None: ...

    @property
    def version_tag(self) -> str: ...

    @property
    def rows(self) -> int | None:
        """The total number of items at the source, `None` when unknown. When it differs from the known items, the run
        lists everything."""
        ...

    @property
    def cursor(self) -> Mapping[str, Any]:
        """The start of the next `list_changes`, as JSON."""
        ...


@runtime_checkable
class Incremental(Protocol):
    """Optional protocol of a connector that can list changes. Its `list_items` listings have a `cursor` too."""

    def list_changes(self, cursor: Mapping[str, Any]) -> Changes | None:
        """List the changes since `cursor`; `None` when the cursor is no longer valid (other options)."""
        ...


@runtime_checkable
class Closeable(Protocol):
    """A connector that keeps connections open while it is used."""

    def close(self) -> None:
        """Close the connections. Idempotent."""
        ...


class Connector(Protocol):
    """Reads one kind of source. Constructed from validated options; keeps no state between runs."""

    @property
    def shares_listings(self) -> bool:
        """True when `fetch` can read items that another connector with the same options listed.

        The runs of several shards then share one listing. False when it needs data from its own listing.
        """
        ...

    def list_items(self) -> Listing:
        """List all items at the source.

        Raises `Unavailable` when the source cannot be reached.
        """
        ...

    def fetch(self, item: SourceItem) -> FetchedItem:
        """Read one item.

        Raises `InvalidInput` with a specific reason (`FILE_TOO_LARGE`, `SYMLINK_ESCAPE`, ...) for a permanent failure,
        `Unavailable` for a transient one, `NotFound` (`VANISHED`) when the item is gone.
        """
        ...

    def version_tag(self) -> str:
        """A value that is cheap to read and changes when a listing would. Polled by the change sensor."""
        ...

    def check(self) -> dict[str, Any]:
        """Connect and describe a sample for `rag source check`: `{"ok": bool, "items": int, "sample": [...]}`."""
        ...


class SourceMemory(Protocol):
    """Storage of a connector for its items between runs: JSON by locator.

    Not needed for correctness: a connector that finds nothing here does more work.
    """

    def get(self, locator: str) -> dict[str, Any] | None: ...

    def put(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Store entries, replacing existing ones. Durable when it returns."""
        ...

    def forget(self, locators: Sequence[str]) -> None: ...

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """All entries by locator, read in pages: entries stored meanwhile may or may not be included."""
        ...


class TransientMemory:
    """An in-memory `SourceMemory`, for `rag source check` and tests."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, Any]] = {}

    def get(self, locator: str) -> dict[str, Any] | None:
        found = self._states.get(locator)
        return dict(found) if found is not None else None

    def put(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        self._states.update({locator: dict(state) for locator, state in states.items()})

    def forget(self, locators: Sequence[str]) -> None:
        for locator in locators:
            self._states.pop(locator, None)

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for locator in sorted(self._states):
            yield locator, dict(self._states[locator])


class UntouchedMemory:
    """A `SourceMemory` over another one that it never writes to: for reading a source without a run."""

    def __init__(self, base: SourceMemory) -> None:
        self._base = base
        self._own: dict[str, dict[str, Any] | None] = {}
        """Changes not written through: the new entry, or `None` for a removed one."""

    def get(self, locator: str) -> dict[str, Any] | None:
        found = self._own[locator] if locator in self._own else self._base.get(locator)
        return dict(found) if found is not None else None

    def put(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        self._own.update({locator: dict(state) for locator, state in states.items()})

    def forget(self, locators: Sequence[str]) -> None:
        self._own.update(dict.fromkeys(locators))

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for locator, state in self._base.all():
            if locator not in self._own:
                yield locator, state
        for locator in sorted(self._own):
            found = self._own.get(locator)
            if found is not None:
                yield locator, dict(found)


# --------------------------------------------------------------------------------------------------------------------
# The rows that a run works on.


Shard = tuple[str, str, int]
"""(tenant, source, shard)"""


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of a run: one shard of one source.

    `requested_at` is the time of the request: a listing that began later has every earlier change, so runs of several
    shards can share it. `None`: the run makes its own listing.
    """

    source: Source
    run_id: str
    shard: int = 0
    requested_at: datetime | None = None

    @property
    def key(self) -> Shard:
        return self.source.tenant, self.source.name, self.shard
