"""What a source is and what a connector must do. Connectors live in `rag_assets.connectors`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from rag_core.models import RawDocument, SourceItem


@dataclass(frozen=True, slots=True)
class Source:
    """A configured place documents come from, as the pipeline needs it (options stay with the connector).

    `acl` is given to documents whose connector reports none; `None` leaves them unsearchable until one is known.
    """

    name: str
    tenant: str
    kind: str
    acl: tuple[str, ...] | None = None
    shards: int = 1
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Problem:
    """An input that cannot be used: `reason` is a code of `rag_core.errors.Reason`.

    `skipped` tells a policy skip (an empty file, a pattern that excludes it) from a failure that an operator may
    want to redrive.
    """

    locator: str
    reason: str
    message: str
    skipped: bool = False


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
    def change_token(self) -> str:
        """What `Connector.change_token` would have said, had it looked instead. Meaningful after the end."""
        ...


class Connector(Protocol):
    """Reads one kind of source. Constructed from validated options; holds no state between runs."""

    def list_items(self) -> Listing:
        """List everything the source holds now.

        Raises `Unavailable` when the source cannot be reached at all.
        """
        ...

    def fetch(self, item: SourceItem) -> RawDocument:
        """Read one item.

        Raises `InvalidInput` with a reason of its own (`FILE_TOO_LARGE`, `SYMLINK_ESCAPE`, ...) when the item can
        never be used as it is, `Unavailable` when it may work later, `NotFound` (`VANISHED`) when it is gone.
        """
        ...

    def change_token(self) -> str:
        """A cheap value that differs when a listing would differ. Polled by the change sensor."""
        ...

    def check(self) -> dict[str, Any]:
        """Connect and describe a sample for `rag source check`: `{"ok": bool, "items": int, "sample": [...]}`."""
        ...
