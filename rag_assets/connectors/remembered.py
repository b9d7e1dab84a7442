"""Base of connectors whose service says cheaply whether something changed since the last complete listing."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Final

from rag_assets.connectors.outside import EntryListing, PolledConnector, well_formed
from rag_core.content.sources import Problem, SourceItem, SourceMemory

SUMMARY: Final = "summary"
"""Key of the memory of the last complete listing: its tag, the state it was made of, and until when it holds."""


class RememberingConnector(PolledConnector):
    """A poll answers with the tag of the last complete listing while that holds and the state is the same."""

    def __init__(self, memory: SourceMemory, what: str, most: int) -> None:
        """`what` and `most` as in `EntryListing`."""
        self._memory, self._what, self._most = memory, what, most

    @abstractmethod
    def state(self) -> str:
        """Return a value that is cheap to read, and another after every change that it can see."""

    @abstractmethod
    def entries(self, seen: dict[str, Any]) -> Iterator[SourceItem | Problem]:
        """Find every entry. `seen` gets the `state` from before, and `due`, the time until which the listing holds."""

    def list_items(self) -> EntryListing:
        return _RememberedListing(self, self._memory, self._what, self._most)

    def read_version_tag(self) -> str:
        summary = self._memory.get(SUMMARY)
        if summary is not None and time.time() < summary["due"]:
            with well_formed(self._what):
                if self.state() == summary["state"]:
                    return str(summary["tag"])
        return super().read_version_tag()


class _RememberedListing(EntryListing):
    """A listing that is remembered when it is complete."""

    def __init__(self, connector: RememberingConnector, memory: SourceMemory, what: str, most: int) -> None:
        self._seen: dict[str, Any] = {}
        self._memory = memory
        super().__init__(lambda: connector.entries(self._seen), what, most)

    def __iter__(self) -> Iterator[SourceItem | Problem]:
        yield from super().__iter__()
        if self.complete:
            self._memory.put({SUMMARY: self._seen | {"tag": self.version_tag}})
