"""Addresses of servers that are not asked over HTTP: databases and brokers, which live in private networks."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Generic, TypeVar

from rag_core.errors import DeadlineExceeded, InvalidInput, RagError, Reason, Unavailable
from rag_core.http_client import (
    NO_PARTS,
    Address,
    AddressRules,
    Again,
    OwnParts,
    Pacing,
    carried,
    is_address,
    system_resolver,
)

C = TypeVar("C")
T = TypeVar("T")
_FINAL = (Reason.ACCESS_REFUSED, Reason.SECRET_MISSING, Reason.ID_CHARS)
"""Not tried again: the next try has the same end."""
_RULES = AddressRules.parse(
    (
        "127.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15",
        "::1/128", "fc00::/7", "fec0::/10",
    )
)  # fmt: skip
"""Allowed in addition to public addresses: loopback and private networks."""
AWAY = "the {} cannot be reached; check that it runs, host and port"
DATABASE_AWAY = AWAY.format("database")
BROKER_AWAY = "no broker has an address that may be called; check their names"


def checked_addresses(host: str, port: int, own: OwnParts = NO_PARTS, *, what: str = "database") -> list[str]:
    """Every address of a database host, or of another server (`what`), all of them checked.

    Refused are link-local, instance metadata, multicast, unspecified and reserved addresses, also where an IPv6 address
    carries them, and the platform's own parts. Raises `InvalidInput` (`SSRF_BLOCKED`) for an address, and for a name
    `Unavailable` (`SOURCE_UNAVAILABLE`), as when it does not resolve: which names there are inside is not said.
    """
    addresses = addresses_of(host, port)
    if addresses and not is_refused(host, port, addresses, own):
        return addresses
    raise refusal(host, f"the {what} host", Unavailable(Reason.SOURCE_UNAVAILABLE, AWAY.format(what)))


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host; none when its name does not resolve."""
    try:
        return system_resolver(host, port)
    except (OSError, UnicodeError):
        return []


def is_refused(host: str, port: int, addresses: Iterable[str], own: OwnParts) -> bool:
    """Return whether one of the addresses of a host is never a server that a source reads."""
    return any(_is_refused(ip_address(text)) or own.include(host, port, ip_address(text)) for text in addresses)


def refusal(host: str, what: str, away: RagError) -> RagError:
    """The error of a server that may not be called; for a name it is `away`, as of one that does not answer."""
    if is_address(host):
        message = f"{what} leads to an address that no source reads, such as a part of the platform itself"
        return InvalidInput(Reason.SSRF_BLOCKED, message)
    return away


def refused(message: str) -> Unavailable:
    """The error of a server that does not let the account in, or does not let it read."""
    return Unavailable(Reason.ACCESS_REFUSED, message)


def _is_refused(address: Address) -> bool:
    # Nobody has a reason to spell loopback as an address of another network.
    return _RULES.problem(address) is not None or any(inner.is_loopback for inner in carried(address))


def open_socket(host: str, port: int, own: OwnParts, seconds: float) -> socket.socket:
    """Connect to the first checked address of a server that answers. Raises as `checked_addresses`, and `OSError`."""
    return first_socket(checked_addresses(host, port, own, what="server"), port, seconds)


def first_socket(addresses: Sequence[str], port: int, seconds: float) -> socket.socket:
    """Connect to the first of these addresses that answers. Raises `OSError` of the last when none does."""
    return first_answering(addresses, lambda one: socket.create_connection((one, port), timeout=seconds), OSError)


def first_answering(addresses: Sequence[str], open_: Callable[[str], T], away: type[Exception]) -> T:
    """Return what the first address opens that does not raise `away`. Raises that of the last."""
    *others, last = addresses
    for address in others:
        with suppress(away):
            return open_(address)
    return open_(last)


class Reconnecting(Generic[C]):
    """A connection that is opened when it is needed, and again after it broke, at a rate. Used from one thread.

    `explain` makes a `RagError`, or `Again` with one, of what the protocol's library raises.
    """

    def __init__(
        self, open_: Callable[[], C], close: Callable[[C], object], explain: Callable[[Exception], Exception],
        pacing: Pacing,
    ) -> None:  # fmt: skip
        self._open, self._close, self._explain, self._pacing = open_, close, explain, pacing
        self._opened: C | None = None

    def run(self, call: Callable[[C], T]) -> T:
        """Return what a call with the connection returns; one that fails for a moment is tried again, by a new one.

        Raises `RagError`, and what `explain` makes nothing of.
        """
        return self._pacing.run(lambda: self._attempt(call))

    def close(self) -> None:
        """Close the connection. Idempotent."""
        opened, self._opened = self._opened, None
        if opened is not None:
            with suppress(Exception):  # a connection that broke cannot be closed any better
                self._close(opened)

    def _attempt(self, call: Callable[[C], T]) -> T:
        try:
            if self._opened is None:
                self._opened = self._open()
            return call(self._opened)
        except (Unavailable, DeadlineExceeded) as error:
            self.close()
            raise error if error.reason in _FINAL else Again(error) from None
        except (RagError, Again):
            raise
        except Exception as error:
            explained = self._explain(error)
            if not isinstance(explained, RagError):
                self.close()
            raise explained from None
