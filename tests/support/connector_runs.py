"""A source over runs: the options of a fake service, and the memory that the runs share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from rag_assets.connectors import open_connector
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_assets.testing import LOOPBACK
from rag_core.content.sources import Connector, FetchedItem, Problem, SourceItem, TransientMemory


class Service(Protocol):
    """A fake with the options that read it."""

    options: dict[str, Any]


S = TypeVar("S", bound=Service)


@dataclass
class SourceRuns(Generic[S]):
    """`options` are added to those of the server; `root` is left out of locators."""

    server: S
    root: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    memory: TransientMemory = field(default_factory=TransientMemory)

    def config(self) -> SourceConfig:
        """The source as its file has it."""
        options = {**self.server.options, **self.options}
        return SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": options})

    def listed(self) -> tuple[dict[str, str], str | None]:
        """Tags by path, and why the listing is not complete."""
        with self._opened() as connector:
            listing = connector.list_items()
            tags = {self._path(one.locator): one.version_tag for one in listing if isinstance(one, SourceItem)}
        assert listing.complete == (listing.error is None)
        return tags, listing.error

    def paths(self) -> list[str]:
        """The paths of a complete listing."""
        found, problem = self.listed()
        assert problem is None, problem
        return sorted(found)

    def problems(self) -> dict[str, str]:
        """Reasons by path."""
        with self._opened() as connector:
            return {self._path(one.locator): one.reason for one in connector.list_items() if isinstance(one, Problem)}

    def poll(self) -> str:
        """What the change sensor reads."""
        with self._opened() as connector:
            return connector.version_tag()

    def fetched(self) -> dict[str, FetchedItem]:
        """Every document of a listing, read."""
        with self._opened() as connector:
            items = [one for one in connector.list_items() if isinstance(one, SourceItem)]
            return {self._path(one.locator): connector.fetch(one) for one in items}

    @contextmanager
    def _opened(self) -> Iterator[Connector]:
        context = ConnectorContext(fetch_policy=LOOPBACK, memory=self.memory)
        with open_connector(self.config(), context) as connector:
            yield connector

    def _path(self, locator: str) -> str:
        return locator.removeprefix(self.root)
