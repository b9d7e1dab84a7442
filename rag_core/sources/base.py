"""A source, an item of it, and the protocol of connectors that list and fetch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from rag_core.quality import QualityPolicy

# --------------------------------------------------------------------------------------------------------------------
# The nouns of the platform as plain immutable values. No behaviour, no I/O.


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One entry of a source's listing.

    `token` changes whenever the content may have changed (size and mtime, an ETag, a row version); equal tokens mean
    the content need not be read.
    """

    locator: str
    version_tag: str
    size: int | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FetchedItem:
    """The bytes of one item, with what the source says about it. `acl=None` means the source did not say."""

    item: SourceItem
    content: bytes
    media_type: str | None = None
    title: str | None = None
    acl: tuple[str, ...] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


# --------------------------------------------------------------------------------------------------------------------
# What a source is and what a connector must do. Connectors live in `rag_assets.connectors`.


@dataclass(frozen=True, slots=True)
class Source:
    """A configured place documents come from, as the pipeline needs it (options stay with the connector).

    `acl` is given to documents whose connector reports none; `None` leaves them unsearchable until one is known.
    `options` is a fingerprint of what the connector was made from: runs share only what the same connector listed.
    """

    name: str
    tenant: str
    kind: str
    acl: tuple[str, ...] | None = None
    shards: int = 1
    metadata: dict[str, str] = field(default_factory=dict)
    quality: QualityPolicy = field(default_factory=QualityPolicy)
    options: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """An input that cannot be used: `reason` is a code of `rag_core.errors.Reason`.

    `skipped` distinguishes a policy skip (an empty file, an excluding pattern) from a failure that an operator may
    want to redrive.
    """

    locator: str
    reason: str
    message: str
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    """An item that the source itself says is deleted (a soft-deleted row). Only a `Changes` yields it."""

    locator: str


class Listing(Protocol):
    """One pass over a source. Iterate it to the end, then ask whether it was complete.

    Yields a `SourceItem` for each usable entry and a `Problem` for each entry seen but not usable; a locator with a
    `Problem` still exists at the source and is never deleted because of it.
    """

    def __iter__(self) -> Iterator[SourceItem | Problem]: ...

    @property
    def complete(self) -> bool:
        """True only when the source was read to its end without an error. Only then may absence mean deletion."""
        ...

    @property
    def error(self) -> str | None:
        """Why it is not complete."""
        ...

    @property
    def version_tag(self) -> str:
        """What `Connector.version_tag` would have said, had it looked instead. Meaningful after the end."""
        ...


class Changes(Protocol):
    """What is new since a cursor: iterate it to the end, then ask. What it does not name is as it was."""

    def __iter__(self) -> Iterator[SourceItem | Problem | Removed]: ...

    @property
    def complete(self) -> bool:
        """True only when everything since the cursor was read without an error."""
        ...

    @property
    def error(self) -> str | None: ...

    @property
    def version_tag(self) -> str: ...

    @property
    def rows(self) -> int | None:
        """How many items the source holds in all, `None` when it does not say. When it does not fit what we hold, the
        run lists everything."""
        ...

    @property
    def cursor(self) -> Mapping[str, Any]:
        """Where the next `list_changes` starts (JSON)."""
        ...


@runtime_checkable
class Incremental(Protocol):
    """Optional protocol of a connector: listing only changes. Its `list_items` listings have a `cursor` too."""

    def list_changes(self, cursor: Mapping[str, Any]) -> Changes | None:
        """What is new since `cursor`; `None` when that cursor is of no use any more (other options)."""
        ...


@runtime_checkable
class Closeable(Protocol):
    """A connector that holds connections while it is used."""

    def close(self) -> None:
        """Give them back. Idempotent."""
        ...


class Connector(Protocol):
    """Reads one kind of source. Constructed from validated options; holds no state between runs."""

    @property
    def shares_listings(self) -> bool:
        """Whether `fetch` reads items that another connector with the same options listed, so that the runs of several
        shards need one listing. False when it needs what its own listing brought along."""
        ...

    def list_items(self) -> Listing:
        """List everything the source holds now.

        Raises `Unavailable` when the source cannot be reached at all.
        """
        ...

    def fetch(self, item: SourceItem) -> FetchedItem:
        """Read one item.

        Raises `InvalidInput` with a reason of its own (`FILE_TOO_LARGE`, `SYMLINK_ESCAPE`, ...) when the item can
        never be used as it is, `Unavailable` when it may work later, `NotFound` (`VANISHED`) when it is gone.
        """
        ...

    def version_tag(self) -> str:
        """A cheap value that differs when a listing would differ. Polled by the change sensor."""
        ...

    def check(self) -> dict[str, Any]:
        """Connect and describe a sample for `rag source check`: `{"ok": bool, "items": int, "sample": [...]}`."""
        ...


class SourceMemory(Protocol):
    """What a connector remembers of single items from run to run, by locator, as JSON. Never needed for correctness:
    a connector that finds nothing here does more work."""

    def get(self, locator: str) -> dict[str, Any] | None: ...

    def put(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Store some; those that are there already are replaced. Durable when it returns."""
        ...

    def forget(self, locators: Sequence[str]) -> None: ...

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Everything, by locator, in pages: what is stored meanwhile may or may not be seen."""
        ...


class TransientMemory:
    """A `SourceMemory` that lasts as long as the object: for `rag source check` and tests."""

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
    """A `SourceMemory` that reads another one and leaves it as it is: for looking at a source without a run."""

    def __init__(self, base: SourceMemory) -> None:
        self._base = base
        self._own: dict[str, dict[str, Any] | None] = {}
        """What would have been stored; `None` where it would have been forgotten."""

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
# Index generations as PostgreSQL knows them, and the marks that say which document version each one holds.


Shard = tuple[str, str, int]
"""Tenant, source, shard."""


# --------------------------------------------------------------------------------------------------------------------
# What the four stages share: their inputs, their result and the accounting identity.


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows one run works on: one shard of one source.

    `requested_at` is when the run was asked for: a listing that began later has every change from before that, so
    runs of several shards can share it. `None`: the run lists for itself.
    """

    source: Source
    run_id: str
    shard: int = 0
    requested_at: datetime | None = None

    @property
    def key(self) -> Shard:
        return self.source.tenant, self.source.name, self.shard
