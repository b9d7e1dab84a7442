"""The values that a connector's package registers: its options, its connector, and how a source of it is asked for.

A package names one `ConnectorKind` in its metadata, and nothing here is edited:

    [project.entry-points."rag_platform.connectors"]
    wiki = "rag_connector_wiki.kind:KIND"
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, Self
from urllib.parse import urlsplit

from pydantic import field_validator

from rag_assets.connectors.fields import Model

if TYPE_CHECKING:
    from rag_assets.connectors.outside import ConnectorContext
    from rag_core.content.sources import Connector

FORMER_NAMES: Final = {"filesystem": "folder", "http_api": "api", "web": "site", "kafka": "topic"}
"""Names of the platform's kinds in the source files of 0.2, which go on to work."""
Endpoint = tuple[str, int | None]
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Opened:
    """Everything a source opens beside its secrets: paths of this machine, hosts with their ports, and names of
    credentials that the platform itself has (`instance:aws`). Compared with the allow-lists of its tenant."""

    paths: tuple[str, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    credentials: tuple[str, ...] = ()


class SourceOptions(Model):
    """Base of the options of a kind: `kind` is a `Literal` of its name, further fields are its options.

    A field's type and description make the form of the console, the JSON schema and the reference page.
    """

    undivided: ClassVar[str] = ""
    """Reason why shards cannot divide such a source; empty: they can."""
    counts_in_preview: ClassVar[bool] = False
    """True when a listing is cheap enough for a preview to count its entries."""
    is_stream: ClassVar[bool] = False
    """True when messages are applied as they come, so that there is no listing."""

    kind: str

    @field_validator("kind", mode="before")
    @classmethod
    def _current_name(cls, value: object) -> object:
        return FORMER_NAMES.get(value, value) if isinstance(value, str) else value

    @property
    def location(self) -> str:
        """The location of the documents, for display: never a user, password or query."""
        raise NotImplementedError

    @property
    def asset_kind(self) -> str:
        """The name that Dagster shows an icon for."""
        return self.kind

    @property
    def has_runs(self) -> bool:
        """True when runs bring it up to date."""
        return True

    def opened(self) -> Opened | None:
        """Return what the source opens; `None`: not known, so that only a platform administrator may add it."""
        return None

    def needed_path(self) -> tuple[str, Literal["file", "folder"]] | None:
        """Return the path of this machine that must be there, so that a missing one is named at once."""
        return None

    def why_undivided(self) -> str:
        """Return why shards cannot divide this source; empty: they can."""
        return self.undivided

    def for_preview(self) -> Self:
        """Return the options of a preview, which reads little."""
        return self

    @classmethod
    def from_location(cls, location: str) -> dict[str, Any] | None:
        """Return the options that one text says, as `rag source add KIND LOCATION`; `None`: it is one option."""
        return None


@dataclass(frozen=True, slots=True)
class FormField:
    """One input of a card. `path` is its place among the options; what is left out follows from the option there."""

    path: str
    label: str = ""
    type: Literal["", "text", "list", "number", "port", "choice", "secret", "flag"] = ""
    required: bool = False
    help: str = ""
    default: Any = ""
    choices: tuple[str, ...] = ()
    only: tuple[str, tuple[str, ...]] | None = None
    """Shown only when another field has one of these values."""
    offered: str = ""
    """Type of the offers of `Browse` that can be selected for it."""
    narrows: bool = False
    """True when another value of it calls for browsing again."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A value that can be selected for an input; `about` says what it is."""

    type: str
    value: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Offers:
    """Values that can be selected at a source. `sample` is a part of what was read, `suggested` are values that fit
    the remaining inputs, by the path of the option."""

    offers: tuple[Offer, ...]
    more: bool = False
    sample: str = ""
    suggested: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Browse:
    """A way to browse a source before all of its options are known.

    `options` are those of the kind with fewer required, and what they say is opened is held to the same allow-lists;
    `read` opens the source through its context, as a connector does.
    """

    label: str
    options: type[SourceOptions]
    read: Callable[[Any, ConnectorContext], Offers]


@dataclass(frozen=True, slots=True)
class Card:
    """One way to add a source of the kind: a card of the console's wizard, and a word of `rag source add`.

    `location` is the path of the field that the command takes as LOCATION. Without `fields` the form is made from the
    options. `fixed` are options that the way itself decides. `icon` is a name of Material Symbols.
    """

    name: str
    title: str
    about: str
    icon: str
    location: str
    fields: tuple[FormField, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)


Readers = Literal["file", "file or source", "source"]
"""Origin of the readers of a document: the source's file, the source itself, or whichever says more."""


class Watch(Protocol):
    """Watches a source whose server reports changes."""

    def __call__(
        self, options: Any, context: ConnectorContext, on_change: Callable[[], object], stopping: threading.Event
    ) -> None:
        """Call `on_change` once the server is watched and after each report, until `stopping` is set within a second.

        Returning before means to be called again, to find again what is watched. Raises `RagError` when the server
        cannot be watched, or not any more; it is tried again later.
        """


@dataclass(frozen=True, slots=True)
class ConnectorKind:
    """A kind of source, as a package registers it.

    `connector` makes the connector and imports its libraries only then (see `imported`); `libraries` are the modules
    that it needs, and `extra` the requirement that installs them (`rag-platform[files]`).
    """

    options: type[SourceOptions]
    connector: Callable[[Any, ConnectorContext], Connector]
    cards: tuple[Card, ...]
    readers: Readers = "file"
    libraries: tuple[str, ...] = ()
    extra: str = ""
    browse: Browse | None = None
    watch: Watch | None = None


def imported(name: str) -> Callable[[Any, ConnectorContext], Any]:
    """Return a call of `module:name` that imports it then, so that a kind costs nothing until it is used."""
    find = cache(partial(resolve_name, name))
    return lambda options, context: find()(options, context)


def watched_by(name: str) -> Watch:
    """Return a watch by the server `module:Class`, which is imported then. Its connection is opened once: the caller
    waits before the next."""

    def watch(
        options: Any, context: ConnectorContext, on_change: Callable[[], object], stopping: threading.Event
    ) -> None:
        once = options.model_copy(update={"attempts": 1})
        with closing(resolve_name(name)(once, context.fetch_policy)) as server:
            server.watch(on_change, stopping)

    return watch


def endpoint(url: str) -> Endpoint:
    """Return host and port of a URL."""
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


def host_and_port(named: str) -> Endpoint:
    """Return host and port of `host` or `host:port`."""
    host, _, port = named.rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else (named, None)


def token_hosts(auth: Any) -> list[Endpoint]:
    """Return the endpoint that gives tokens for an `Auth`, if it has one."""
    url = getattr(auth, "token_url", None)
    return [endpoint(url)] if url else []
