"""Every metric of the query server; docs/reference/metrics.md is generated from it.

Labels are bounded: methods come from the policy table, codes and reasons from fixed enumerations. No subject or
text is ever a label, and a tenant only as the hash that the request log has, for the first `MAX_TENANTS` of a process.
"""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

_LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32)
MAX_TENANTS = 200


class Metrics:
    """The metrics of one server in a registry of their own, so that several servers can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counter = partial(Counter, registry=self.registry)
        self._gauge = partial(Gauge, registry=self.registry)
        self._histogram = partial(Histogram, buckets=_LATENCY, registry=self.registry)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._tenants: set[str] = set()
        self._define_calls()
        self._define_queries()
        self._define_models()
        self._define_index()
        self._define_sources()

    def tenant(self, hashed: str) -> str:
        """The label of a tenant: its hash while there is room."""
        if hashed not in self._tenants:
            if len(self._tenants) >= MAX_TENANTS:
                return "other"
            self._tenants.add(hashed)
        return hashed

    def _define_calls(self) -> None:
        self.requests = self._counter(
            "rag_server_requests",
            "Calls finished, by method, gRPC status code and reason code (empty when OK).",
            ["method", "code", "reason"],
        )
        self.tenant_calls = self._counter(
            "rag_server_tenant_calls",
            "Calls of verified callers, by tenant (its hash in the request log; `other` after the first 200) and"
            " outcome: ok, shed (a full queue, too little time) or failed.",
            ["tenant", "outcome"],
        )
        self.seconds = self._histogram(
            "rag_server_request_seconds", "Time from a call's arrival to its end, streams included.", ["method"]
        )
        self.in_flight = self._gauge("rag_server_in_flight", "Calls being handled, queued ones included.", ["method"])
        self.gate_active = self._gauge(
            "rag_server_gate_active", "Calls that hold a slot of a concurrency gate.", ["gate"]
        )
        self.gate_waiting = self._gauge("rag_server_gate_waiting", "Calls that wait for a slot.", ["gate"])
        self.gate_refused = self._counter(
            "rag_server_gate_refused", "Calls refused because the queue was full.", ["gate"]
        )
        self.ready = self._gauge("rag_server_ready", "1 when queries can be answered, as GET /ready says.")
        self.audit_lost = self._counter(
            "rag_server_audit_lost", "Audit entries given up because the database was away for too long."
        )
        self.quota_refusals = self._counter(
            "rag_server_quota_refusals",
            "Calls refused because a budget was used up: calls, model_tokens or documents.",
            ["budget"],
        )
        self.budget_used = self._gauge(
            "rag_server_budget_used_ratio",
            "Share of a tenant's budget of the day that is used, by the tenant's hash in the request log and budget"
            " (calls, model_tokens).",
            ["tenant", "budget"],
        )
        self.usage_failures = self._counter(
            "rag_server_usage_failures",
            "Times that usage could not be exchanged with the other servers, by place: database or redis.",
            ["place"],
        )
        self.background_failures = self._counter(
            "rag_server_background_failures",
            "Background tasks (revocations, permissions, readiness, …) that ended by themselves and were restarted.",
            ["task"],
        )
        self.stuck_database_calls = self._gauge(
            "rag_server_database_stuck_calls", "Database calls still running after their caller's deadline."
        )
        self.build = self._gauge("rag_server_build_info", "Always 1; the label carries the version.", ["version"])

    def _define_queries(self) -> None:
        self.embed_seconds = self._histogram("rag_server_query_embed_seconds", "Time to embed one batch of queries.")
        self.embed_batch = self._histogram(
            "rag_server_query_embed_batch_size", "Queries embedded together.", buckets=_SIZES
        )
        self.embed_lookups = self._counter(
            "rag_server_query_embed_lookups",
            "Query embeddings by how they were had: hit (cache), shared (another call was computing it), miss.",
            ["result"],
        )
        self.answers = self._counter(
            "rag_server_answers",
            "Answers by outcome: answered, closest_passages, the reason of an abstention, or failed.",
            ["outcome"],
        )

    def _define_models(self) -> None:
        self.first_token_seconds = self._histogram(
            "rag_server_answer_first_token_seconds", "Time from the request to the answer model until its first words."
        )
        self.model_tokens = self._counter(
            "rag_server_answer_tokens",
            "Tokens by kind, as the endpoint of the answer model counts them: prompt (read) or completion (written).",
            ["kind"],
        )
        self.model_cost = self._counter(
            "rag_server_answer_cost",
            "What these tokens cost at RAG_ANSWER_PRICE_PROMPT and RAG_ANSWER_PRICE_COMPLETION.",
            ["currency"],
        )
        self.answer_fallbacks = self._counter(
            "rag_server_answer_fallbacks",
            "Answers by the extractive answerer because the answer model failed, by reason code.",
            ["reason"],
        )
        self.follow_ups = self._counter(
            "rag_server_follow_ups",
            "Questions with earlier messages, by how they came to stand alone: asked, model, or words.",
            ["by"],
        )
        self.rewrites_failed = self._counter(
            "rag_server_question_rewrites_failed", "Follow-ups that the answer model could not rewrite, or not in time."
        )
        self.rerank_seconds = self._histogram(
            "rag_server_rerank_seconds", "Time to rerank the passages of one search, failures included."
        )
        self.reranks = self._counter(
            "rag_server_reranks",
            "Searches to be reranked, by outcome: ok, or the reason code why they kept the order of retrieval.",
            ["outcome"],
        )
        self.endpoint_silent = self._gauge(
            "rag_server_endpoint_silent",
            "1 while a model endpoint (answer, rerank) failed several times in a row and is only tried now and then.",
            ["endpoint"],
        )

    def _define_index(self) -> None:
        self.search_seconds = self._histogram(
            "rag_server_index_search_seconds", "Time of one index search, waiting for a thread included."
        )
        self.stuck_calls = self._gauge(
            "rag_server_index_stuck_calls",
            "Index calls still running after their caller's deadline; one more while the breaker is open.",
        )
        self.damaged = self._gauge(
            "rag_server_index_damaged",
            "Generations of the embedded index that are damaged or being filled again, and not served.",
        )
        self.pending_revocations = self._gauge(
            "rag_server_withheld",
            "Documents, or whole sources, kept from who lost access to them until the index has the change.",
        )
        self.index_writes = self._counter(
            "rag_server_index_points",
            "Points written or removed through the loopback index service, and updates ignored as stale.",
            ["operation"],
        )

        self.behind = self._gauge(
            "rag_server_index_behind_seconds",
            "How long the oldest stored change that searches do not see yet has waited; 0: they see all.",
        )
        self.generation_documents = self._gauge(
            "rag_generation_documents",
            "Documents that a generation holds in their present version.",
            ["generation", "state"],
        )
        self.generation_pending = self._gauge(
            "rag_generation_pending",
            "Documents whose present version (or deletion) a generation has still to take.",
            ["generation", "state"],
        )

        self.generation_recall = self._gauge(
            "rag_generation_recall",
            "Share of the exact ten nearest points that searches of a generation found, as the promotion gate or "
            "`rag verify` measured it last.",
            ["generation", "state"],
        )

    def _define_sources(self) -> None:
        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return self._gauge(f"rag_source_{name}", meaning, ["source", *labels])

        self.source_quality = gauge("quality_score", "Quality score (0 to 100) of the last run, of shards the worst.")
        self.source_failed = gauge("failed_inputs", "Inputs that the last run sent to quarantine.")
        self.source_quarantined = gauge("quarantined", "Inputs in quarantine, those left out by policy not counted.")
        self.source_held = gauge("held_deletions", "Deletions that wait for an operator.")
        self.source_listed = gauge("listed_timestamp_seconds", "When the source was last listed to its end, Unix time.")
        self.source_state = gauge(
            "state", "1 for the state that the source is in, as the console and `rag source list` show it.", "state"
        )
        self.source_run_inputs = gauge("run_inputs", "Inputs of the last run by outcome.", "outcome")
        self.source_run_seconds = gauge("run_stage_seconds", "Time of each stage of the last run.", "stage")
        self.unknown_principals = self._gauge(
            "rag_directory_unknown_principals",
            "Names in ACLs of documents that their directory does not know, those of all tenants with a directory of "
            "the name: they grant nothing, and refuse everybody.",
            ["directory"],
        )
        self.deployments = self._gauge(
            "rag_deployments", "Deployments that ended in the last 30 days, by outcome.", ["outcome"]
        )
        self.deployment_lead = self._gauge(
            "rag_deployment_lead_seconds",
            "Median time of these from the request of a release until it served all traffic.",
            ["outcome"],
        )
        self.deployment_restore = self._gauge(
            "rag_deployment_restore_seconds",
            "Median time of these from the first failed step until the release before served all traffic again.",
            ["outcome"],
        )
        self.alerts = self._gauge("rag_alerts_firing", "Open alerts of the sensor `alerts`.", ["kind", "severity"])
