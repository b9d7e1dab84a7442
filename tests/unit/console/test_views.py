"""What the pages show, as pure functions."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from prometheus_client.openmetrics.exposition import generate_latest

from console.clients.errors import ServiceError
from console.clients.metrics import Sample, exemplars
from console.i18n import explain_reason, translate
from console.presenters import (
    answers,
    conditions,
    first_steps,
    formats,
    health,
    pipeline,
    records,
    source_history,
    sources,
    traffic,
)
from console.presenters.conditions import bringing_up_to_date, marked
from query_server.runtime.metrics import Metrics
from rag_clients.dagster_answers import Asset, Check, DagsterHealth, DagsterRun, failure_reason, to_run
from rag_core.ingestion.alerts import AlertKind
from rag_core.ingestion.source_status import SENTENCES
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.query.v2 import query_pb2

NOW = 1_700_000_000.0


def say(text: str, **values: object) -> str:
    return translate("en", text, **values)


def test_each_component_has_a_row_and_a_reason_when_it_is_not_healthy() -> None:
    status = admin_pb2.GetStatusResponse(
        components=[
            admin_pb2.Component(name="database", healthy=True, detail="18.6"),
            admin_pb2.Component(name="index", healthy=False, detail="INDEX_EMPTY"),
        ]
    )
    rows = health.health_rows(status, DagsterHealth(("SENSOR",), ("rag",)), None)
    assert [(row.component, row.healthy, row.why(say, "en")) for row in rows] == [
        ("database", True, ""),
        ("index", False, "INDEX_EMPTY"),
        ("query server", True, ""),
        ("gateway", True, ""),
        ("Dagster daemons", False, "no heartbeat: SENSOR"),
        ("Dagster code location", False, "does not load: rag"),
    ]


def test_a_part_that_does_not_answer_is_shown_by_its_code() -> None:
    rows = health.health_rows(
        ServiceError("query server", "UNAVAILABLE"),
        ServiceError("Dagster", "DAGSTER_UNAVAILABLE"),
        ServiceError("gateway", "INDEX_EMPTY"),
    )
    assert [(row.component, row.why(say, "en")) for row in rows] == [
        ("query server", "service unavailable, UNAVAILABLE"),
        ("gateway", "service unavailable, INDEX_EMPTY"),
        ("Dagster", "service unavailable, DAGSTER_UNAVAILABLE"),
    ]


def test_a_code_that_is_none_is_not_shown() -> None:
    assert ServiceError("gateway", "<img src=x>").code == "UNKNOWN"


def test_totals_sum_the_sources_and_count_the_active_generation_only() -> None:
    status = admin_pb2.GetStatusResponse(
        sources=[
            admin_pb2.SourceStatus(name="a", documents=2, chunks=20, pending=1, quarantined=3, held_deletions=4),
            admin_pb2.SourceStatus(name="b", documents=1, chunks=5),
        ],
        generations=[
            admin_pb2.Generation(name="new", state="building", points=7),
            admin_pb2.Generation(name="old", state="active", points=25),
        ],
    )
    assert health.totals(status) == health.Totals(documents=3, chunks=25, vectors=25, pending=1, quarantined=3, held=4)


def condition(state: str, sentence: str, *, attention: bool = False, **fields: Any) -> admin_pb2.SourceCondition:
    name = f"SOURCE_STATE_{state}"
    return admin_pb2.SourceCondition(state=name, sentence=sentence, needs_attention=attention, **fields)


def test_what_needs_a_person_is_listed_with_the_page_where_to_act() -> None:
    counted = [
        admin_pb2.SourceStatus(name="a", condition=condition("UP_TO_DATE", "up to date")),
        admin_pb2.SourceStatus(
            name="c", condition=condition("DEGRADED", "degraded: {count} quarantined", attention=True, count=3)
        ),
        admin_pb2.SourceStatus(
            name="docs", condition=condition("HELD", "held for approval: {count} deletions", attention=True, count=60)
        ),
        admin_pb2.SourceStatus(
            name="d-d", condition=condition("FAILED", "failed: {reason}", attention=True, reason="X")
        ),
        admin_pb2.SourceStatus(name="lost", condition=condition("PAUSED", SENTENCES["paused.orphaned"], attention=True,
                                                                reason="SOURCE_NOT_FOUND", count=7)),
    ]  # fmt: skip
    runs = [DagsterRun("2", "a_sync", "SUCCESS", 2, 3, "a"), DagsterRun("1", "b_sync", "FAILURE", 1, 2, "b"),
            DagsterRun("0", "a_sync", "FAILURE", 0, 1, "a"),
            DagsterRun("3", "d_d_sync", "FAILURE", 1, 2, "d_d")]  # fmt: skip
    # The gate's answer is no failure of the run that asked for it; a run that broke off before it is.
    runs += [DagsterRun("5", "generation_finish", "FAILURE", 1, 2, partition="g2"),
             DagsterRun("4", "generation_finish", "SUCCESS", 0, 1, partition="g1")]  # fmt: skip
    checks = [admin_pb2.GenerationCheck(name="retrieval"), admin_pb2.GenerationCheck(name="size", passed=True)]
    generations = [admin_pb2.Generation(name="g1", state="active", checks=checks[1:]),
                   admin_pb2.Generation(name="g2", state="ready", checks=checks),
                   admin_pb2.Generation(name="g0", state="retired", checks=checks)]  # fmt: skip
    rows = [health.HealthRow("index", False, "INDEX_EMPTY"), health.HealthRow("database", True)]
    found = health.todos(rows, counted, runs, generations=generations)
    said = [
        (todo.page, todo.critical, todo.source, say(todo.sentence, **{key: shown(value) for key, value in todo.values}))
        for todo in found
    ]
    assert said == [
        ("overview", True, "", "index is not healthy: INDEX_EMPTY"),
        ("sources", True, "d-d", "Failed: X"),
        ("sources", True, "docs", "Held for approval: 60 deletions"),
        ("sources", False, "lost", "No source file configures it any more: 7 documents stay searchable"),
        ("quality", False, "c", "Degraded: 3 quarantined"),
        ("index", False, "", "The gate refused the generation g2: retrieval"),
        ("pipeline", False, "", "The last run failed: b"),
    ]
    assert [todo.action for todo in found if todo.source == "lost"] == [health.ACTIONS["orphaned"]]
    broken = [DagsterRun("6", "generation_finish", "FAILURE", 1, 2, partition="g3"),
              DagsterRun("7", "maintenance", "FAILURE", 1, 2)]  # fmt: skip
    [last] = health.todos([], [], broken, generations=generations[:1])
    assert dict(last.values) == {"names": "generation_finish, maintenance"}
    assert health.todos(rows[1:], counted[:1], runs[:1]) == []
    alerts = [ops.Alert(kind="poison_rate", summary="too many"), ops.Alert(kind="source_stale", summary="seen already")]
    assert [todo.values for todo in health.todos([], [], [], alerts=alerts)] == [(("summary", alerts[0]),)]


def test_what_needs_attention_has_one_entry_a_source_the_most_urgent() -> None:
    alerts = [
        ops.Alert(kind="poison_rate", source="a", severity="warning", started_at={"seconds": 5}),
        ops.Alert(kind="check_blocked", source="a", severity="critical", started_at={"seconds": 9}),
        ops.Alert(kind="check_blocked", source="c", severity="critical"),
    ]
    failing = condition("FAILED", "failed since {since}: {reason}", attention=True, reason="LISTING_INCOMPLETE")
    failing.failing_since.seconds = 70
    found = health.todos([], [admin_pb2.SourceStatus(name="c", condition=failing)], [], alerts=alerts)
    assert [(todo.source, todo.critical, todo.since) for todo in found] == [("c", True, 70), ("a", True, 9)]


REFUSED = "http://wiki.test: connection refused"


@pytest.mark.parametrize(
    ("reason", "message", "said"),
    [
        ("LISTING_INCOMPLETE", f"not listed to its end, nothing was deleted: HOST_UNREACHABLE: cannot reach {REFUSED}",
         f"Cannot reach {REFUSED}. 13 documents stay searchable. It is tried again by itself."),
        ("CONFIG_INVALID", "options.root: missing", "Options.root: missing. 13 documents stay searchable."),
        ("SOURCE_UNAVAILABLE", "the folder is away (run 0a1b).",
         "The folder is away (run 0a1b). 13 documents stay searchable. It is tried again by itself."),
    ],
)  # fmt: skip
def test_a_cause_is_a_headline_and_not_a_code_with_the_cause_in_its_third_clause(
    reason: str, message: str, said: str
) -> None:
    source = admin_pb2.SourceStatus(name="c", searchable=13)
    source.condition.CopyFrom(condition("FAILED", "failed since {since}: {reason}", attention=True, reason=reason))
    source.condition.message = message
    source.condition.failing_since.seconds = 70
    assert conditions.headline(source, say, "en") == said
    chinese = conditions.headline(source, say, "zh")
    code = "HOST_UNREACHABLE" if "HOST" in message else reason
    assert chinese.startswith(explain_reason("zh", code).partition("。")[0])


def test_no_share_is_searchable_of_a_source_whose_documents_are_not_all_known() -> None:
    source = admin_pb2.SourceStatus(name="new", documents=400, unread=100, coverage=0.5)
    shares = []
    for state, listed in (("LISTING", 0), ("EMBEDDING", 0), ("LISTING", 70)):
        source.condition.CopyFrom(condition(state, "{count}"))
        source.last_complete_at.seconds = listed
        shares += [row["searchable"] for row in sources.source_rows([source], {}, NOW)]
    assert shares == [None, 0.5, 0.5]


def test_an_installation_is_new_until_a_source_of_its_own_can_be_asked() -> None:
    example = admin_pb2.SourceStatus(name="project", documents=9, searchable=9)
    own = admin_pb2.SourceStatus(name="handbook", documents=4)
    own.condition.state, own.condition.percent = admin_pb2.SOURCE_STATE_EMBEDDING, 25
    assert first_steps.is_new([example, own])
    assert first_steps.under_way([example, own]) == [(own, 0.25)]
    own.searchable = 1
    assert not first_steps.is_new([example, own])
    assert first_steps.is_new([])


def test_a_run_is_of_a_source_only_when_it_works_on_one() -> None:
    made = {"runId": "1", "status": "SUCCESS", "startTime": 1.0, "endTime": 2.0, "creationTime": 1.0}
    jobs = [
        {"jobName": "docs_sync", "tags": [{"key": "rag/source", "value": "docs"}]},
        {"jobName": "old_sync"},
        {"jobName": "__ASSET_JOB", "assetSelection": [{"path": ["wiki", "chunks"]}]},
        {"jobName": "__ASSET_JOB", "assetSelection": [{"path": ["maintenance", "vacuum"]}]},
        {"jobName": "generation_finish", "assetSelection": [{"path": ["index_generation"]}]},
        {"jobName": "stream_drain", "tags": [{"key": "rag/source", "value": "streams"}]},
    ]
    runs = [to_run({**made, **job}) for job in jobs]
    assert [run.source for run in runs] == ["docs", "old", "wiki", "", "", ""]
    rows = pipeline.run_rows(runs, 9.0)
    assert [(row["source"], row["job"]) for row in rows[1:4]] == [
        ("old", "sync"), ("wiki", "sync"), ("–", "__ASSET_JOB"),
    ]  # fmt: skip
    assert sum(bar["of_source"] for bar in source_history.timeline(runs, 9.0)) == 3


def shown(value: object) -> object:
    if isinstance(value, health.HealthRow):
        return value.why(say, "en")
    return conditions.trouble(value, say, str, "en") if isinstance(value, admin_pb2.SourceStatus) else value


def test_what_is_wrong_is_said_in_chinese() -> None:
    chinese = partial(translate, "zh")
    status = admin_pb2.GetStatusResponse(
        components=[admin_pb2.Component(name="index", detail="INDEX_EMPTY: no generation has been promoted yet")]
    )
    index, _, _, daemons, _ = health.health_rows(status, DagsterHealth(("SENSOR",), ()), None)
    assert index.why(chinese, "zh") == f"INDEX_EMPTY: {explain_reason('zh', 'INDEX_EMPTY')}"
    assert daemons.why(chinese, "zh") == "没有心跳：SENSOR"
    alert = ops.Alert(kind="poison_rate", source="docs", summary="9 of 9 inputs of source docs went to quarantine")
    assert health.alert_words(alert, chinese, "zh") == "docs：无法使用的输入过多"
    assert {kind.value for kind in AlertKind} == health.ALERTS.keys()


def test_a_state_is_shown_in_the_reader_s_language_with_its_numbers() -> None:
    found = condition("EMBEDDING", "embedding {percent} % ({left} left)", percent=34, seconds_left=360.0)
    assert marked(found, partial(translate, "en"), str) == "▶ embedding 34 % (6 min left)"
    assert marked(found, partial(translate, "zh"), str) == "▶ 正在嵌入：34 %（还需 6 分钟）"


def test_sources_that_are_still_brought_up_to_date_are_named_unless_they_need_somebody() -> None:
    waiting = "waiting for the next run: {count} documents are not searchable yet"
    counted = [
        admin_pb2.SourceStatus(name="a", condition=condition("WAITING", waiting, count=141)),
        admin_pb2.SourceStatus(name="b", condition=condition("UP_TO_DATE", "up to date")),
        admin_pb2.SourceStatus(name="c", condition=condition("WAITING", waiting, attention=True)),
    ]
    assert bringing_up_to_date(counted) == ["a"]


def test_the_accounting_of_runs_is_shown_for_their_first_stage() -> None:
    stages = [
        ops.RunStage(run_id="abcdefgh1", stage="documents", counts={"read": 3, "added": 2, "skipped": 1}, seconds=1.25),
        ops.RunStage(run_id="abcdefgh1", stage="index", counts={"upserted": 2}),
    ]
    [row] = sources.count_rows(stages)
    assert (row["read"], row["added"], row["skipped"], row["deleted"], row["run"]) == (3, 2, 1, 0, "abcdefgh")


def test_why_a_run_failed_is_its_innermost_cause_with_a_reason_code() -> None:
    error = {"message": "wrapped", "causes": [{"message": "outer"}, {"message": "LISTING_INCOMPLETE: gone\n"}]}
    assert failure_reason([{"message": "x"}, {"error": error}]) == "LISTING_INCOMPLETE: gone"
    causes = [{"message": "rag_core.errors.Unavailable: LISTING_INCOMPLETE: gone"}, {"message": "OSError: errno 5"}]
    assert failure_reason([{"error": {"message": "failed", "causes": causes}}]) == "LISTING_INCOMPLETE: gone"
    assert failure_reason([{"message": "x"}]) == ""


def test_why_a_run_failed_is_the_blocking_check_that_stopped_it() -> None:
    def check(name: str, *, success: bool = False, severity: str = "ERROR", said: str | None = None) -> dict[str, Any]:
        return {"evaluation": {"checkName": name, "success": success, "severity": severity, "description": said}}

    stopped = {"error": {"message": "dagster._core.errors.DagsterAssetCheckFailedError: 1 check failed", "causes": []}}
    passed = [
        check("accounting", success=True, said="all is well"),
        check("index_parity", severity="WARN", said="5 of 6"),
    ]
    said = "QUOTA_EXCEEDED: the documents asset says how many were left out"
    assert failure_reason([*passed, check("document_budget", said=said), stopped]) == said
    assert failure_reason([check("document_budget"), stopped]) == "the check document_budget failed"
    assert "DagsterAssetCheckFailedError" in failure_reason([*passed, stopped])


def test_the_chain_is_drawn_with_a_mark_beside_the_colour() -> None:
    assets = [Asset("s", "index", ("embeddings",), NOW, "FAILURE"), Asset("s", "documents", (), NOW, "SUCCESS"),
              Asset("s", "chunks", ("documents",), None, "", running=True), Asset("s", "source", ())]  # fmt: skip
    rows = pipeline.stage_rows(assets)
    assert [(row["stage"], row["status"]) for row in rows] == [
        ("documents", "success"), ("chunks", "running"), ("index", "failure"),
    ]  # fmt: skip
    drawn = pipeline.graph(rows)
    assert "✖ index" in drawn
    assert '"documents" -> "chunks"' in drawn


def sample(at: float, ok: float, slow: float, failed: float = 0) -> Sample:
    method = ("method", "/ragproto.query.v2.QueryService/Search")

    def key(name: str, *more: tuple[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
        return name, tuple(sorted((method, *more)))

    values = {
        key(traffic.REQUESTS, ("code", "OK"), ("reason", "")): ok,
        key(traffic.REQUESTS, ("code", "UNAVAILABLE"), ("reason", "INDEX_EMPTY")): failed,
        key(traffic.SECONDS, ("le", "0.1")): ok - slow,
        key(traffic.SECONDS, ("le", "1.0")): ok,
        key(traffic.SECONDS, ("le", "+Inf")): ok,
    }
    return Sample(at, values)


def test_rates_latencies_and_reasons_come_from_what_the_counters_grew() -> None:
    samples = [sample(0, 100, 0), sample(10, 180, 8, failed=20)]
    [row] = traffic.table(samples)
    assert (row["method"], row["rate"], row["errors"]) == ("Search", 10.0, 0.2)
    assert row["p50"] == pytest.approx(100 * 40 / 72)
    assert row["p95"] == pytest.approx(100 + 900 * (76 - 72) / 8)
    assert traffic.reasons(samples) == [{"reason": "INDEX_EMPTY", "calls": 20}]
    assert traffic.overall(samples)[0] == 10.0


@pytest.mark.parametrize(
    ("method", "name"),
    [("query.v2.QueryService/Answer", "Answer"), ("query.v1.QueryService/Query", "Query (v1)"),
     ("query.v2.QueryService/BatchSearch", "Batch search")],
)  # fmt: skip
def test_calls_have_the_names_that_people_say(method: str, name: str) -> None:
    assert traffic.call_name(f"/ragproto.{method}") == name


def test_a_peak_leads_to_its_requests_the_slowest_first() -> None:
    counters = Metrics()
    calls = {"query.v2.QueryService/Search": (0.02, "a"), "query.v2.QueryService/Answer": (3, "b"),
             "admin.v1.AdminService/GetStatus": (9, "c")}  # fmt: skip
    for method, (seconds, trace) in calls.items():
        counters.seconds.labels(f"/ragproto.{method}").observe(seconds, {"trace_id": trace * 32, "span_id": "d" * 16})
    found = traffic.slowest(exemplars(generate_latest(counters.registry).decode()))
    assert [(call.seconds, call.trace_id[0]) for call in found] == [(3.0, "b"), (0.02, "a")]
    assert all(call.at > 0 for call in found)


def test_a_counter_that_fell_belongs_to_a_server_that_was_started_again() -> None:
    [row] = traffic.rates([sample(0, 100, 0), sample(10, 30, 0)], traffic.REQUESTS, "method")
    assert row["rate"] == 3.0
    assert traffic.table([sample(0, 1, 0)]) == []


def test_a_passage_shows_the_parts_of_its_score_that_there_are() -> None:
    both = query_pb2.Passage(title="T", score=0.5, dense_score=0.9, lexical_score=3, text="a\u202eb")
    dense = query_pb2.Passage(locator="x.md", score=0.4, dense_score=0.8)
    rows = answers.passage_rows([both, dense])
    assert [(row["title"], row["dense"], row["lexical"]) for row in rows] == [("T", 0.9, 3.0), ("x.md", 0.8, None)]
    assert rows[0]["text"] == "a\\u202eb"


def test_a_citation_shows_controls_and_overrides_written_out() -> None:
    text = answers.citation_text(
        query_pb2.Citation(number=1, title="a\u202eb", quote="c\x07d", locator="e", source="s"), say
    )
    assert "a\\u202eb" in text
    assert "c\\u0007d" in text


def test_a_citation_names_its_place_in_the_language_of_the_page() -> None:
    item = query_pb2.Citation(number=1, source="s", locator="a{b}.md", version=2, start=3, end=9, quote="q")
    chinese = partial(translate, "zh")
    assert "s: a{b}.md, version 2, characters 3 to 9" in answers.citation_text(item, say)
    assert "s：a{b}.md，版本 2，第 3 至 9 个字符" in answers.citation_text(item, chinese)
    for kind, english, said in (
        (1, "page 7", "第 7 页"),
        (2, "slide 7", "第 7 张幻灯片"),
        (3, "sheet 7", "第 7 张工作表"),
    ):
        item.page, item.page_kind = 7, kind
        assert f"s: a{{b}}.md, {english}, version 2" in answers.citation_text(item, say)
        assert f"s：a{{b}}.md，{said}，版本 2" in answers.citation_text(item, chinese)


@pytest.mark.parametrize(("final", "said"), [
    (query_pb2.AnswerFinal(abstained=query_pb2.AnswerFinal.Abstained(reason="NOT_SUPPORTED")),
     ("The sources do not answer this question.", "")),
    (query_pb2.AnswerFinal(abstained=query_pb2.AnswerFinal.Abstained(reason="NEW")),
     ("There is no answer to this question.", "")),
    (query_pb2.AnswerFinal(failed=query_pb2.AnswerFinal.Failed(reason="DEADLINE")),
     ("The answer was interrupted: {code}.", "DEADLINE")),
    (query_pb2.AnswerFinal(), ("The answer was interrupted: {code}.", "STREAM_ENDED")),
    (query_pb2.AnswerFinal(answered=query_pb2.AnswerFinal.Answered()), ("", "")),
])  # fmt: skip
def test_an_answer_that_did_not_come_is_explained(final: query_pb2.AnswerFinal, said: tuple[str, str]) -> None:
    assert answers.outcome(final) == said


def test_a_copied_request_carries_the_question_safely_and_no_token() -> None:
    request = query_pb2.SearchRequest(query="it's $(rm -rf /) 什么", top_k=3, filter=answers.source_filter(["a"], "zh"))
    curl = answers.as_curl("http://127.0.0.1:8080", "/api/v2/search", request)
    assert "$RAG_TOKEN" in curl
    body = curl.partition(" -d ")[2].replace("'\"'\"'", "\0").strip("'").replace("\0", "'")
    assert Parse(body, query_pb2.SearchRequest()) == request
    compile(answers.as_python("http://127.0.0.1:8080", "Search", request), "copied", "exec")
    assert answers.as_grpcurl("http://h:1", "Search", request).endswith(" h:1 ragproto.query.v2.QueryService/Search")


def test_no_narrowing_is_no_filter() -> None:
    assert answers.source_filter([], "") is None
    assert answers.source_filter(["a"], "").WhichOneof("condition") == "in"  # type: ignore[union-attr]


def test_failed_checks_come_first_and_blocking_ones_before_warnings() -> None:
    def check(name: str, passed: bool | None, blocking: bool) -> Check:
        return Check("s", "index", name, blocking, passed, "WARN", None, "", (("held", "7"),))

    found = records.check_rows(
        [check("a", True, True), check("b", False, False), check("c", False, True), check("d", None, True)]
    )
    assert [(row["check"], row["result"]) for row in found] == [
        ("c", "failed"), ("b", "failed"), ("a", "passed"), ("d", "never"),
    ]  # fmt: skip
    assert found[0]["figures"] == "held 7"


def test_a_span_is_shown_in_its_surroundings_and_never_beyond_the_text() -> None:
    assert records.around("0123456789", 3, 5, margin=2) == ("… 12", "34", "56 …")
    assert records.around("abc", 5, 99) == ("abc", "", "")


def test_audit_details_are_reported_in_words_with_the_reason_apart() -> None:
    record = ops.AuditRecord(actor="ann", action="quarantine.redrive", target="docs")
    record.details.update({"id": 3, "reason": "fixed", "locator": "a\u202e.md"})
    [row] = records.audit_rows([record])
    assert (row["reason"], row["details"]) == ("fixed", "id: 3, locator: a\\u202e.md")


def test_a_cell_that_a_spreadsheet_would_run_is_made_text() -> None:
    text = records.as_csv(
        [{"locator": "=HYPERLINK(1)", "n": 3}, {"locator": "@x", "n": -1}, {"locator": "a,b", "n": 0}]
    )
    assert text == "locator,n\n'=HYPERLINK(1),3\n'@x,-1\n\"a,b\",0\n"
    assert records.as_csv([]) == ""
    for hidden in (" =1+1", "\u200b=1+1", "\r\n+1", "\uff1d1+1", "\t-1", "\0=1"):
        assert records.as_csv([{"locator": hidden}]).partition("\n")[2].lstrip('"').startswith("'"), hidden


def test_judgements_leave_as_json_lines() -> None:
    rating = ops.Rating(id=1, actor="ann", judgement=ops.RateAnswerRequest(question="什么", good=True))
    [line] = records.golden_lines([rating]).splitlines()
    assert json.loads(line)["judgement"] == {"question": "什么", "good": True}


@pytest.mark.parametrize(("value", "shown"), [
    (0, "0"), (9_999, "9,999"), (12_345, "12.3 k"), (999_999, "1,000 k"), (4_560_000, "4.56 M"), (7e9, "7 G"),
])  # fmt: skip
def test_numbers_are_exact_while_they_are_small(value: float, shown: str) -> None:
    assert formats.number(value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [
    (0.44, "0.4 s"), (75, "75 s"), (720, "12 min"), (12_000, "3 h 20 min"), (300_000, "3 d"),
])  # fmt: skip
def test_durations_have_two_figures_at_most(seconds: float, shown: str) -> None:
    assert formats.duration(seconds, say) == shown


def test_durations_are_in_the_reader_s_language() -> None:
    assert formats.duration(12_000, partial(translate, "zh")) == "3 小时 20 分钟"
    assert formats.ago(NOW - 7, NOW, partial(translate, "zh")) == "7 秒前"


def test_sizes_and_ages_are_reported_in_units() -> None:
    assert [formats.size(value) for value in (900, 2048, 3 * 1024**2, 5000 * 1024**3)] == [
        "900 B", "2.0 KiB", "3.0 MiB", "5,000.0 GiB",
    ]  # fmt: skip
    assert formats.ago(NOW - 1, NOW, say) == "just now"
    assert formats.ago(NOW - 300, NOW, say) == "5 min ago"
