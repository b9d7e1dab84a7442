"""The release of each colour of the local stack: a file beside the gateway's, because readers of one need both.

Without the file there is one colour, blue, that runs this installation. The file says what should run;
`ragctl.local_stack` runs it and the gateway's configuration names its addresses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from rag_core.errors import ConfigError, Reason
from rag_core.files import update_file
from rag_core.settings import Settings
from ragctl.call_settings import reachable
from ragctl.gateway.options import Backends, Endpoint, port_pairs, replica_ports

ColourName = Literal["blue", "green"]
COLOURS: tuple[ColourName, ...] = get_args(ColourName)
FIRST_RELEASE = "installed"
_FILE = "colours.json"
_OFFSET = 100


@dataclass(frozen=True, slots=True)
class Release:
    """The release that a colour runs.

    Local: `python` is an interpreter with the package installed (None: this one), `environment` are RAG_* settings that
    override the stack's. Kubernetes: `image`, and `template`, the Deployment as the chart defines it.
    """

    name: str
    python: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    template: str | None = None

    @property
    def spec(self) -> dict[str, Any]:
        """Everything but the name, as it is stored."""
        known = {"python": self.python, "environment": dict(self.environment), "image": self.image}
        return known if self.template is None else {**known, "template": self.template}

    @property
    def key(self) -> str:
        """Equal for releases that are the same in everything, their settings included."""
        return hashlib.sha256(json.dumps([self.name, self.spec], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Colours:
    """The desired release of each colour; None: none."""

    blue: Release | None = Release(FIRST_RELEASE)
    green: Release | None = None

    def of(self, name: str) -> Release | None:
        return self.green if name == "green" else self.blue

    def with_release(self, name: str, release: Release | None) -> Colours:
        """A copy with another release for one colour."""
        return replace(self, green=release) if name == "green" else replace(self, blue=release)


def read_colours(folder: Path) -> Colours:
    """The colours of the stack whose gateway files are in `folder`. Raises `ConfigError` for a damaged file."""
    path = folder / _FILE
    if not path.exists():
        return Colours()
    try:
        known = json.loads(path.read_text("utf-8"))
        return Colours(**{name: Release(**known[name]) if known[name] else None for name in COLOURS})
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            Reason.CONFIG_INVALID, f"{path}: damaged; remove it to have blue run what is installed"
        ) from None


def write_colours(folder: Path, colours: Colours) -> None:
    """Store the desired releases atomically."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = {name: colours.of(name) for name in COLOURS}
    plain = {name: {"name": release.name, **release.spec} if release else None for name, release in found.items()}
    update_file(folder / _FILE, json.dumps(plain, indent=2) + "\n")


def colour_ports(settings: Settings, colour: str) -> list[tuple[int, int]]:
    """gRPC and HTTP port of each server of a colour of the local stack. Raises `ConfigError` (`CONFIG_INVALID`)."""
    blue = replica_ports(settings)
    if colour == "blue":
        return blue
    if settings.green_ports is None:
        return [(query + _OFFSET, http + _OFFSET) for query, http in blue]
    pairs = port_pairs("RAG_GREEN_PORTS", settings.green_ports)
    if len(pairs) < len(blue):
        raise ConfigError(Reason.CONFIG_INVALID, f"RAG_GREEN_PORTS: names {len(pairs)} pairs for {len(blue)} servers")
    return pairs[: len(blue)]


def colour_backends(settings: Settings, colours: Colours, name: str) -> Backends:
    """Return the addresses at which the gateway finds a colour; none when nothing runs there."""
    if colours.of(name) is None:
        return Backends()
    host, ports = reachable(settings.host), colour_ports(settings, name)
    return Backends(
        query=tuple(Endpoint(host, query) for query, _ in ports),
        probes=tuple(Endpoint(host, http) for _, http in ports),
    )
