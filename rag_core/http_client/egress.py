"""Egress: whether text of a tenant may go to a model's endpoint. Checked where requests leave, see `network`.

A caller says whose text it is about to send (`sending`), the client of an endpoint attaches that to its requests, and
the transport refuses a request that says nothing, or whose policy forbids it: nothing leaves because somebody forgot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from rag_core.errors import PermissionDenied, Reason
from rag_core.settings import split_list

if TYPE_CHECKING:
    import httpx

    from rag_core.settings import Settings

EXTENSION: Final = "rag_egress"
"""Extension of an httpx request: the `Provenance` of the text in it."""


class Use(StrEnum):
    """The endpoints that text can go to, by what they do with it."""

    ANSWER = "answer"
    RERANK = "rerank"
    EMBED = "embed"


EVERY_USE: Final = frozenset(Use)
_ENDPOINTS: Final = {Use.ANSWER: "answer model", Use.RERANK: "reranker", Use.EMBED: "embedding model"}


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Destinations that the text of one tenant may go to. `sources` names the sources with less than their tenant."""

    allowed: frozenset[Use]
    sources: Mapping[str, frozenset[Use]] = field(default_factory=dict)

    def allows(self, use: Use, source: str | None = None) -> bool:
        """Return whether text of a source, or of the tenant's users without one, may go there."""
        narrower = self.sources.get(source, EVERY_USE) if source is not None else EVERY_USE
        return use in self.allowed and use in narrower

    def allows_every_source(self, use: Use) -> bool:
        """Return whether text may go there whatever source it comes from."""
        return use in self.allowed and all(use in narrower for narrower in self.sources.values())


NOTHING: Final = EgressPolicy(frozenset())
UNRESTRICTED: Final = EgressPolicy(EVERY_USE)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Origin of a text: the policy of its tenant, and the sources it comes from (none: from users)."""

    policy: EgressPolicy
    sources: frozenset[str] = frozenset()

    def of(self, sources: Collection[str]) -> Provenance:
        """The same tenant's text, of these sources."""
        return replace(self, sources=frozenset(sources))

    def allows(self, use: Use) -> bool:
        """Return whether all of the text may go there."""
        return use in self.policy.allowed and all(self.policy.allows(use, source) for source in self.sources)

    def require(self, use: Use) -> None:
        """Raise `PermissionDenied` (`EGRESS_FORBIDDEN`) when some of the text may not go there."""
        if use not in self.policy.allowed:
            raise forbidden(use)
        for source in sorted(self.sources):
            if not self.policy.allows(use, source):
                raise forbidden(use, source)


OWN_TEXT: Final = Provenance(UNRESTRICTED)
"""Provenance of the platform's own text: probes and samples that no tenant wrote."""
_UNKNOWN: Final = Provenance(NOTHING)
_current: ContextVar[Provenance] = ContextVar("egress", default=_UNKNOWN)


def forbidden(use: Use, source: str = "") -> PermissionDenied:
    """The refusal."""
    whose = f"text of the source {source}" if source else "text of this tenant"
    return PermissionDenied(
        Reason.EGRESS_FORBIDDEN, f"{whose} may not be sent to the {_ENDPOINTS[use]}: the egress policy forbids it"
    )


@contextmanager
def sending(provenance: Provenance) -> Iterator[None]:
    """Say whose text the calls within send. It does not reach threads that are started within."""
    token = _current.set(provenance)
    try:
        yield
    finally:
        _current.reset(token)


def provenance() -> Provenance:
    """Return the provenance of the text that is sent now; one that may go nowhere, unless it was set."""
    return _current.get()


def covered(use: Use, url: str, settings: Settings) -> Use | None:
    """The use that the policy must allow for an endpoint; `None` where its host counts as inside."""
    import httpx  # here, so that who only asks a policy does not load it

    host = httpx.URL(url).host.lower().rstrip(".")
    inside = [name.lower() for name in split_list(settings.egress_inside)]
    return None if any(host == name or (name[0] == "." and host.endswith(name)) for name in inside) else use


def check(use: Use | None, request: httpx.Request) -> None:
    """Refuse a request whose text may not leave. Raises `PermissionDenied` (`EGRESS_FORBIDDEN`)."""
    if use is not None:
        known = request.extensions.get(EXTENSION, _UNKNOWN)
        (known if isinstance(known, Provenance) else _UNKNOWN).require(use)
