"""The interface of a deployment target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ragctl.gateway.colours import Release

COLOURS = ("blue", "green")


@dataclass(frozen=True, slots=True)
class Server:
    """A query server: where it answers gRPC, and where it shows its metrics and whether it is ready."""

    query: str
    http: str


@dataclass(frozen=True, slots=True)
class Health:
    """Wanted and ready servers of a colour. `detail` says what is wrong.

    `failed`: a server ended or was refused at its start, and the target will only retry the same.
    """

    servers: int
    ready: int
    detail: str = ""
    failed: bool = False

    @property
    def good(self) -> bool:
        return self.servers > 0 and self.ready >= self.servers


@dataclass(frozen=True, slots=True)
class ColourTraffic:
    """A gateway's counters for a colour since its start: finished requests, and requests without a healthy server; and
    the requests that are in flight."""

    requests: int = 0
    failed: int = 0
    active: int = 0

    def since(self, before: ColourTraffic) -> ColourTraffic:
        """The part after `before`; a gateway that was restarted in between counts from zero."""
        if self.requests < before.requests:
            return self
        return ColourTraffic(self.requests - before.requests, max(0, self.failed - before.failed), self.active)

    def begun_since(self, before: ColourTraffic) -> int:
        """At least so many of the requests that finished after `before` began after it: the others may have been those
        in flight then, at servers that a rollout has replaced since."""
        return max(0, self.since(before).requests - before.active)


class Target(Protocol):
    """A deployment target: two colours of query servers behind a gateway.

    Every method can be repeated: doing what was done already changes nothing. Raises `Unavailable`
    (`TARGET_UNAVAILABLE`) when the target does not answer or refuses.
    """

    name: str

    def release(self, colour: str) -> Release | None:
        """The release that a colour should run; None: none."""

    def start(self, colour: str, release: Release) -> None:
        """Start this release on a colour, with as many servers as the other one. Does not wait for them."""

    def stop(self, colour: str) -> None:
        """Stop the servers of a colour; calls in flight finish."""

    def health(self, colour: str) -> Health:
        """Health of a colour's servers, as the gateway needs it."""

    def servers(self, colour: str) -> Sequence[Server]:
        """Its servers that can be called past the gateway."""

    def green_percent(self) -> int:
        """Share of the requests that green gets."""

    def shift(self, green_percent: int) -> None:
        """Give green this share and blue the rest; returns when the gateway has taken it up."""

    def traffic(self, colour: str) -> Mapping[str, ColourTraffic]:
        """Counters of each gateway for a colour, by gateway name."""

    def runs(self, colour: str, release: Release) -> bool:
        """Return whether a colour runs exactly this release."""

    def wanted(self) -> Release | None:
        """The release that the target's own configuration wants; None: releases come by command only."""

    def maintain(self) -> None:
        """Bring what does not depend on a release up to date; the weights stay as they are."""


def other(colour: str) -> str:
    """The other colour."""
    return COLOURS[1 - COLOURS.index(colour)]


def serving_colour(target: Target) -> str:
    """The colour with the larger share."""
    return "green" if target.green_percent() > 50 else "blue"
