"""Generations, quality, streams, tenants and replicas as the pages show them."""

from __future__ import annotations

from console.clients.metrics import Replica, Sample
from console.presenters import generations, health, traffic
from console.presenters import records as quality
from console.presenters import sources as streams
from rag_clients.dagster_answers import Check
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops


def generation(**changes: object) -> admin_pb2.Generation:
    checks = [
        admin_pb2.GenerationCheck(name="parity", passed=True, figures={"expected": 200, "points": 199}),
        admin_pb2.GenerationCheck(name="retrieval", passed=False, detail="worse", figures={"hybrid_ndcg": 0.81}),
    ]
    made = admin_pb2.Generation(name="g", state="ready", points=199, dimensions=384, checks=checks,
                                settings={"embed_model": "e5", "chunk_tokens": "200"}, **changes)  # fmt: skip
    made.evaluated_at.seconds = 1
    return made


def test_a_generation_tells_model_size_parity_and_ndcg() -> None:
    [row] = generations.rows([generation()])
    assert (row["model"], row["bytes"], row["parity"], row["ndcg"]) == ("e5 (384)", 199 * 384 * 4, 0.995, 0.81)
    assert [found["check"] for found in generations.check_rows(generation())] == ["retrieval", "parity"]


def test_the_gate_of_a_generation_passed_refused_was_asked_for_or_never_ran() -> None:
    asked = generation(passed=True)
    asked.evaluation_wanted_at.seconds = 1
    found = [generation(passed=True), generation(), asked, admin_pb2.Generation()]
    assert list(map(generations.gate, found)) == ["passed", "refused", "requested", "not evaluated"]


def test_a_forecast_marks_what_is_scaled_up_from_a_sample() -> None:
    found = dict(
        generations.forecast_fields(admin_pb2.BuildForecast(documents=20_000, chunks=90_000, seconds=300), str.format)
    )
    assert (found["Documents"], found["Chunks"], found["Estimated time"]) == ("20 k", "≈ 90 k", "≈ 5 min")
    assert "Cost" not in found


def test_settings_are_typed_as_pairs() -> None:
    assert generations.pairs("RAG_EMBED_MODEL=m, embedder=http nothing") == {"embed_model": "m", "embedder": "http"}


def result(run: str, at: int, shard: int, **changes: object) -> ops.QualityResult:
    made = ops.QualityResult(run_id=run, shard=shard, **changes)
    made.finished_at.seconds = at
    return made


def test_of_several_shards_the_worst_score_and_the_sums_are_shown_oldest_first() -> None:
    results = [
        result("new", 20, 0, score=90, documents=30, duplicates=3, median_bytes=2048),
        result("new", 21, 1, score=70, documents=70, duplicates=7, median_bytes=1024),
        result("old", 10, 0, score=95, documents=0),
    ]
    old, new = quality.history(results)
    assert (old["score"], old["duplicates"]) == (95, 0.0)
    assert (new["score"], new["documents"], new["duplicates"], new["kibibytes"]) == (70, 100, 0.1, 2.0)


def test_languages_are_shares_and_rare_ones_are_reported_together() -> None:
    many = dict.fromkeys(("en", "zh", "fr", "de", "es", "it"), 10) | {"xx": 1, "yy": 1}
    rows = quality.languages([result("r", 1, 0, languages=many)])
    assert len(rows) == 7
    assert next(row["share"] for row in rows if row["language"] == "other") == 2 / 62


def test_rules_of_the_newest_run_are_listed_with_what_fails_it_first() -> None:
    results = [result("new", 2, 0, warnings={"a": 0.5}, errors={"z": 1}), result("old", 1, 0, errors={"old": 1})]
    assert [(row["rule"], row["severity"]) for row in quality.fired(results)] == [("z", "error"), ("a", "warn")]
    [row] = quality.finding_rows([ops.RuleFinding(rule="r", found=2, samples=["a\u202eb", "c"])])
    assert row["samples"] == "a\\u202eb\nc"


def test_checks_are_counted_by_severity() -> None:
    def check(blocking: bool, passed: bool | None, severity: str = "WARN") -> Check:
        return Check("s", "documents", "c", blocking, passed, severity, None, "", ())

    found = quality.severities([check(True, True), check(True, False), check(False, None), check(False, True)])
    assert found == [{"severity": "blocking", "passed": 1, "failed": 1, "never": 0},
                     {"severity": "warn", "passed": 1, "failed": 0, "never": 1}]  # fmt: skip


def test_streams_of_the_tenant_and_the_inbox_tell_what_waits() -> None:
    now = Sample(0, {
        ("rag_stream_lag_messages", (("stream", "acme/crm"),)): 5.0,
        ("rag_stream_lag_seconds", (("stream", "acme/crm"),)): 1.5,
        ("rag_stream_halted", (("stream", "acme/crm"),)): 1.0,
        ("rag_stream_lag_messages", (("stream", "inbox"),)): 0.0,
        ("rag_stream_lag_messages", (("stream", "other/crm"),)): 9.0,
    })  # fmt: skip
    assert streams.lag_rows([now], "acme") == [
        {"stream": "crm", "waiting": 5, "seconds": 1.5, "halted": True},
        {"stream": "inbox", "waiting": 0, "seconds": 0.0, "halted": False},
    ]


def test_the_canary_is_of_the_time_that_is_remembered_else_of_all_time() -> None:
    def canary(at: float, fast: float, slow: float) -> Sample:
        key = (("step", "searchable"),)
        return Sample(
            at, {(streams.CANARY, (("le", "0.5"), *key)): fast, (streams.CANARY, (("le", "1.0"), *key)): slow}
        )

    assert streams.canary([canary(0, 0, 0), canary(9, 100, 100)]) == 0.475
    assert streams.canary([canary(0, 0, 10), canary(9, 0, 10)]) == 0.975
    assert streams.canary([]) is None


def test_other_tenants_are_shown_by_hash_to_the_platform_alone_and_the_callers_own_by_name() -> None:
    mine, other = "ba9876543210", "0123456789ab"

    def calls(at: float, ok: float, shed: float) -> Sample:
        def key(tenant: str, outcome: str) -> tuple[str, tuple[tuple[str, str], ...]]:
            return traffic.TENANT_CALLS, (("outcome", outcome), ("tenant", tenant))

        return Sample(at, {key(mine, "ok"): ok, key(mine, "shed"): shed, key(other, "failed"): 1.0 if ok else 0.0})

    samples, hashes = [calls(0, 0, 0), calls(10, 20, 5)], {mine, "hash of before"}
    own = {"tenant": "acme", "calls": 25, "rate": 2.5, "failed": 0, "shed": 5}
    assert traffic.tenant_rows(samples, "acme", hashes, others=True) == [
        own,
        {"tenant": other, "calls": 1, "rate": 0.1, "failed": 1, "shed": 0},
    ]
    assert traffic.tenant_rows(samples, "acme", hashes, others=False) == [own]


def test_only_query_servers_are_replicas_and_limits_tell_what_they_refused() -> None:
    replicas = [
        Replica("query-green", "b:2", "failed_active_health_check", 1),
        Replica("query-probes", "b:3", "healthy", 1),
        Replica("query-blue", "a:1", "healthy", 2),
        Replica("envoy-admin", "c:1", "healthy", 1),
    ]
    assert [(row["colour"], row["health"]) for row in traffic.replica_rows(replicas)] == [
        ("blue", "healthy"), ("green", "failed_active_health_check"),
    ]  # fmt: skip
    label = (("envoy_local_http_ratelimit_prefix", "limit_minute"),)
    values = {("envoy_http_local_rate_limit_ok", label): 7.0, ("envoy_http_local_rate_limit_rate_limited", label): 2.0}
    cluster = (("envoy_cluster_name", "query-blue"),)
    assert traffic.limit_rows({**values, ("envoy_cluster_upstream_rq_active_overflow", cluster): 5.0}) == [
        {"limit": "per client and minute", "passed": 7, "refused": 2},
        {"limit": "searches in flight", "passed": None, "refused": 5},
    ]


def test_a_source_that_misses_its_objective_comes_first() -> None:
    counted = [admin_pb2.SourceStatus(name=name) for name in ("fresh", "my-late", "new")]
    counted[0].last_complete_at.seconds = counted[1].last_complete_at.seconds = 1000
    counted[0].freshness_minutes = counted[1].freshness_minutes = 1
    counted[0].last_complete_at.seconds = 1060
    rows = health.freshness_rows(counted, 1100)
    assert [(row["source"], row["met"]) for row in rows] == [("my-late", False), ("fresh", True), ("new", None)]
