"""Index generations, results of their gate and the forecast of a build as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from console.i18n import N_
from console.presenters.formats import Translate, duration, number, plain
from ragproto.admin.v1 import admin_pb2

BYTES_PER_VALUE = 4
GATES = N_(("passed", "refused", "requested", "not evaluated"))


def rows(generations: Iterable[admin_pb2.Generation]) -> list[dict[str, Any]]:
    """One row per generation. `bytes` is what its vectors take; `at` is when it was created."""
    return [
        {
            "name": item.name,
            "state": item.state,
            "frozen": item.frozen,
            "model": model(item),
            "chunk_tokens": item.settings.get("chunk_tokens", ""),
            "documents": item.documents,
            "pending": item.pending,
            "points": item.points,
            "bytes": item.points * item.dimensions * BYTES_PER_VALUE,
            "parity": parity(item),
            "ndcg": ndcg(item),
            "gate": gate(item),
            "at": item.created_at.seconds or None,
        }
        for item in generations
    ]


def foremost(generations: Sequence[admin_pb2.Generation]) -> admin_pb2.Generation | None:
    """The generation to show first: one that waits for promotion, else the active one."""
    order = {"ready": 0, "building": 1, "active": 2}
    return min(generations, key=lambda item: order.get(item.state, 9), default=None)


def model(item: admin_pb2.Generation) -> str:
    """The embedder by the name a person knows, else the beginning of its fingerprint."""
    name = item.settings.get("embed_model") or item.settings.get("embedder") or item.embedder[:12]
    return f"{name} ({item.dimensions})" if item.dimensions else name


def parity(item: admin_pb2.Generation) -> float | None:
    """Points in the index as a share of the chunks it should hold, as the gate counted; `None` before it ran."""
    figures = _figures(item, "parity")
    expected = figures.get("expected")
    return figures.get("points", 0.0) / expected if expected else None


def ndcg(item: admin_pb2.Generation) -> float | None:
    """nDCG@10 of the hybrid search on the golden set; `None` when it was not measured."""
    return _figures(item, "retrieval").get("hybrid_ndcg")


def gate(item: admin_pb2.Generation) -> str:
    """State of the promotion gate: passed, refused, requested or not evaluated."""
    if item.evaluation_wanted_at.seconds:
        return N_("requested")
    if not item.evaluated_at.seconds:
        return N_("not evaluated")
    return N_("passed" if item.passed else "refused")


def kept(item: admin_pb2.Generation, now: float) -> bool:
    """Return whether it is retired and its grace period still runs; `now` in Unix seconds."""
    return item.state == "ready" and item.keep_until.seconds > now


def _figures(item: admin_pb2.Generation, check: str) -> dict[str, float]:
    return next((dict(found.figures) for found in item.checks if found.name == check), {})


def check_rows(item: admin_pb2.Generation) -> list[dict[str, Any]]:
    """Results of the promotion gate, failed checks first."""
    ordered = sorted(item.checks, key=lambda check: check.passed)
    return [{"check": check.name, "passed": check.passed, "detail": plain(check.detail)} for check in ordered]


def event_rows(item: admin_pb2.Generation) -> list[dict[str, Any]]:
    """History, newest first."""
    return [
        {
            "at": event.at.seconds,
            "action": event.action,
            "actor": plain(event.actor),
            "reason": plain(event.reason),
            "detail": plain(event.detail),
        }
        for event in item.events
    ]


def forecast_fields(found: admin_pb2.BuildForecast, t: Translate) -> list[tuple[str, str]]:
    """The forecast of a build, as label and text. Counts that are scaled up from a sample are marked."""
    about = "" if found.exact else "≈ "
    facts = [
        ("Documents", number(found.documents)),
        ("Chunks", about + number(found.chunks)),
        (N_("Texts with a vector already"), about + number(found.cached)),
        (N_("Texts to embed"), about + number(found.to_embed)),
        ("Tokens", about + number(found.tokens)),
        (N_("Estimated time"), "≈ " + duration(found.seconds, t)),
    ]
    return [*facts, (N_("Cost"), f"{found.cost:,.2f}")] if found.cost else facts


def pairs(text: str) -> dict[str, str]:
    """Settings that were typed as `name=value`, separated by commas or blanks; what has no name is left out."""
    found = (part.partition("=") for part in text.replace(",", " ").split())
    return {name.strip().lower().removeprefix("rag_"): value for name, separator, value in found if name and separator}
