"""The two lists of layers: for clients, and for the loopback index service."""

from __future__ import annotations

from query_server.auth.audit import AuditTrail
from query_server.auth.authenticator import Authenticator
from query_server.auth.policies import ConcurrencyClass
from query_server.auth.usage import UsageMeter
from query_server.interceptors.chain import Chain
from query_server.interceptors.concurrency import ConcurrencyLimiter, RecentTenants, limit_concurrency
from query_server.interceptors.layers import (
    limit_time,
    map_errors,
    observe,
    require_identity,
    require_index_secret,
    trace_calls,
)
from query_server.interceptors.volume import VolumeLimiter, limit_volume
from query_server.runtime.metrics import Metrics
from query_server.runtime.status import PUSHBACK_MS
from query_server.runtime.traffic import Traffic
from rag_core.governance.access import NameHash
from rag_core.settings import Settings

Limiters = dict[ConcurrencyClass, ConcurrencyLimiter]
LOGGED_SECONDS = 1.0
"""A call of the index service that succeeds sooner has no log line."""
INDEX_CALL_SECONDS = 12 * 3600.0
"""`Optimize` and a full scroll take as long as they take; the client's own deadline is the limit that matters."""


def build_limiters(settings: Settings, metrics: Metrics, recent: RecentTenants) -> Limiters:
    """The concurrency gates of one server."""
    sizes = {
        ConcurrencyClass.SEARCH: (settings.search_slots, settings.max_queued_searches),
        ConcurrencyClass.ANSWER: (settings.answer_slots, settings.max_queued_answers),
        ConcurrencyClass.DOCUMENTS: (settings.max_concurrent_document_calls, settings.max_queued_document_calls),
    }
    computed = {ConcurrencyClass.ANSWER} if settings.answerer == "extractive" else set()
    return {
        gate: ConcurrencyLimiter(
            gate, slots=slots, queue=queue, share=settings.max_tenant_share, metrics=metrics, recent=recent,
            paced=gate in computed,
        )
        for gate, (slots, queue) in sizes.items()
    }  # fmt: skip


def build_chain(
    settings: Settings,
    authenticator: Authenticator,
    audit: AuditTrail,
    metrics: Metrics,
    limiters: Limiters,
    recent: RecentTenants,
    hashes: NameHash,
    traffic: Traffic,
    usage: UsageMeter,
) -> Chain:
    """The layers of the client port. Identity before the gate: an anonymous flood must not fill the queue."""
    return Chain(
        [
            trace_calls(begins=True),
            observe(metrics, hashes, traffic),
            map_errors(pushback_ms=PUSHBACK_MS),
            limit_time(default=settings.default_deadline_seconds, cap=settings.max_deadline_seconds),
            audit.layer,
            require_identity(authenticator),
            usage.layer,
            limit_volume(VolumeLimiter(settings.max_tenant_answer_bytes, recent)),
            limit_concurrency(limiters),
        ]
    )


def build_index_chain(settings: Settings, metrics: Metrics) -> Chain:
    """The layers of the loopback index port."""
    return Chain(
        [
            trace_calls(begins=False),  # a poll of the pipeline is no trace of its own
            # These calls have no tenant, and the query server logs each search.
            observe(metrics, NameHash(), quiet_seconds=LOGGED_SECONDS),
            map_errors(pushback_ms=PUSHBACK_MS),
            limit_time(default=INDEX_CALL_SECONDS, cap=INDEX_CALL_SECONDS),
            require_index_secret(settings.rotating("index_secret")),
        ]
    )
