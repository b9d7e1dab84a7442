"""Tenants and their egress policies as rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from console.i18n import N_
from console.presenters.formats import plain
from ragproto.admin.v1 import tenants_pb2 as pb

STATES = N_(
    {
        pb.TENANT_STATE_ACTIVE: "active",
        pb.TENANT_STATE_SUSPENDED: "suspended",
        pb.TENANT_STATE_ERASING: "being erased",
        pb.TENANT_STATE_ERASED: "erased",
    }
)
USES = N_(
    {
        pb.EGRESS_USE_ANSWER: "answer model",
        pb.EGRESS_USE_RERANK: "reranker",
        pb.EGRESS_USE_EMBED: "embedding model",
    }
)
"""Sentences of the interface by endpoint."""


def tenant_rows(tenants: Iterable[pb.Tenant]) -> list[dict[str, Any]]:
    """One row per tenant; `uses` are names of endpoints."""
    return [
        {
            "name": item.name,
            "state": STATES.get(item.state, "unknown"),
            "sources": item.sources,
            "documents": item.documents,
            "uses": [USES[use] for use in item.egress.uses if use in USES],
            "reason": plain(item.reason),
            "changed_by": plain(item.changed_by),
            "changed_at": float(item.changed_at.seconds) if item.changed_at.seconds else None,
        }
        for item in tenants
    ]


def source_rows(policy: pb.EgressPolicy) -> list[dict[str, Any]]:
    """One row per source with less than its tenant."""
    return [
        {
            "source": plain(item.source),
            "uses": [USES[use] for use in item.uses if use in USES],
            "set_by": N_("source file") if item.by_file else N_("policy of the tenant"),
        }
        for item in policy.sources
    ]


def narrowed(policy: pb.EgressPolicy, source: str, uses: Sequence[int] | None) -> dict[str, Sequence[int]]:
    """The sources of a policy with one of them changed; `None` gives it what its tenant has. Files say theirs."""
    kept: dict[str, Sequence[int]] = {
        item.source: list(item.uses) for item in policy.sources if not item.by_file and item.source != source
    }
    return kept if uses is None or not source else {**kept, source: uses}


def narrower(policy: pb.EgressPolicy, source: str) -> Sequence[int] | None:
    """Return what the policy lets a source's text go to, `None` for one of which it says nothing."""
    own = {item.source: [use for use in USES if use in item.uses] for item in policy.sources if not item.by_file}
    return own.get(source)


def is_changed(policy: pb.EgressPolicy, uses: Sequence[int] | None) -> bool:
    """Return whether a tenant's own endpoints differ from its policy; `None` is the policy of the installation."""
    return (None if policy.inherited else set(policy.uses)) != (None if uses is None else set(uses))


def receipt_rows(receipt: str) -> list[dict[str, str]]:
    """A receipt (JSON) as one row for each of its values, named by the way to it."""
    return [{"name": plain(name), "value": plain(value)} for name, value in _values("", json.loads(receipt))]


def _values(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _values(f"{path} › {name}" if path else str(name), item)
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value)) or "–"
    else:
        yield path, str(value)
