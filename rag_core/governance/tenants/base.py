"""A tenant: its state, and where its text may go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from rag_core.errors import InvalidInput, PermissionDenied, Reason, Unauthenticated
from rag_core.http_client import EgressPolicy, Use
from rag_core.settings import Settings, split_list

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
MAX_SOURCES: Final = 1000
CANARY_TENANT: Final = "rag.canary"
"""The tenant of the documents with which the platform measures itself. No person's data, and no traffic."""


class TenantState(StrEnum):
    """The state of a tenant; the names of `ragproto.admin.v1.TenantState`."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    ERASING = "erasing"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant. `egress` `None`: as `RAG_EGRESS_DEFAULT` says; `question_words` `None`: as `RAG_UNANSWERED_QUESTIONS`.
    One that nobody created has neither times nor names.

    `documents` and `sources` count what is stored, and are filled by `store.listed` and `store.get`.
    """

    name: str
    state: TenantState = TenantState.ACTIVE
    reason: str = ""
    egress: tuple[Use, ...] | None = None
    egress_sources: Mapping[str, tuple[Use, ...]] = field(default_factory=dict)
    question_words: bool | None = None
    created_by: str = ""
    created_at: datetime | None = None
    changed_by: str = ""
    changed_at: datetime | None = None
    erased_at: datetime | None = None
    receipt: Mapping[str, Any] | None = None
    sources: int = 0
    documents: int = 0


@dataclass(frozen=True, slots=True)
class Directory:
    """The tenants as every process must know them: which are not active, the policies, and since when a name belongs to
    another tenant (created again after an erasure), in seconds of Unix time."""

    closed: Mapping[str, TenantState]
    policies: Mapping[str, EgressPolicy]
    default: EgressPolicy
    since: Mapping[str, float]

    def require_active(self, tenant: str, issued: float | None = None) -> None:
        """Raise `PermissionDenied` (`TENANT_SUSPENDED`, `TENANT_ERASED`) unless the tenant is active, and
        `Unauthenticated` (`TOKEN_REVOKED`) for a token that was issued to the tenant that had its name before."""
        require_active(tenant, self.closed.get(tenant, TenantState.ACTIVE))
        if issued is not None and issued < self.since.get(tenant, 0):
            raise Unauthenticated(Reason.TOKEN_REVOKED, "token: of an erased tenant; get a new one")

    def policy(self, tenant: str) -> EgressPolicy:
        """Return where the text of a tenant may go."""
        return self.policies.get(tenant, self.default)


def require_active(tenant: str, state: TenantState) -> None:
    """Raise `PermissionDenied` (`TENANT_SUSPENDED`, `TENANT_ERASED`) unless the state is active."""
    if state is TenantState.SUSPENDED:
        raise PermissionDenied(
            Reason.TENANT_SUSPENDED, f"tenant {tenant}: suspended; ask the operators of the platform"
        )
    if state is not TenantState.ACTIVE:
        what = "is being erased" if state is TenantState.ERASING else "was erased"
        raise PermissionDenied(Reason.TENANT_ERASED, f"tenant {tenant}: {what}")


def check_name(name: str) -> str:
    """The name. Raises `InvalidInput` (`ID_CHARS`)."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            Reason.ID_CHARS, "name: up to 64 letters, digits, dots, dashes and underscores, the first no sign"
        )
    return name


def check_uses(uses: Iterable[str], what: str = "egress") -> tuple[Use, ...]:
    """The endpoints of these names, each once. Raises `InvalidInput` (`FIELD_INVALID`)."""
    given = set(uses)
    if unknown := sorted(given - set(Use)):
        raise InvalidInput(Reason.FIELD_INVALID, f"{what}: {unknown[0]!r} is none of {', '.join(Use)}")
    return tuple(use for use in Use if use in given)


def known_uses(names: Iterable[str]) -> tuple[Use, ...]:
    """The endpoints among stored names; those of a newer release allow nothing here."""
    stored = set(names)
    return tuple(use for use in Use if use in stored)


def default_policy(settings: Settings) -> EgressPolicy:
    """The policy of a tenant that has none of its own."""
    names = [] if settings.egress_default == "none" else split_list(settings.egress_default)
    return EgressPolicy(frozenset(Use(name) for name in names))


def merged(
    tenant: Sequence[str] | None, by_tenant: Mapping[str, Sequence[str]], by_file: Mapping[str, Sequence[str]],
    default: EgressPolicy,
) -> EgressPolicy:  # fmt: skip
    """The policy of a tenant: its own or the default, and its sources, which can only have less."""
    allowed = default.allowed if tenant is None else frozenset(known_uses(tenant))
    narrower: dict[str, frozenset[Use]] = {}
    for sources in (by_tenant, by_file):
        for source, uses in sources.items():
            narrower[source] = narrower.get(source, frozenset(Use)) & frozenset(known_uses(uses))
    return EgressPolicy(allowed, narrower)
