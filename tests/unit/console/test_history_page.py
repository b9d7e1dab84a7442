"""Traffic over hours and days: what is asked for, what is drawn, and what a gap looks like."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest
from werkzeug import Request, Response

from console.clients.prometheus import ChartLine, ChartLines
from console.presenters import history as presenters
from ragproto.admin.v1 import history_pb2 as pb
from ragproto.admin.v1 import operations_pb2 as ops
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import HOSTILE, interpreted, opened, with_source

BEGIN = 1_789_999_200


def series(name: str, label: str, values: dict[int, float], total: float = 0.0) -> pb.HistorySeries:
    points = [pb.HistoryPoint(at=BEGIN + 60 * minute, value=value) for minute, value in values.items()]
    return pb.HistorySeries(name=name, label=label, points=points, total=total)


def with_history(platform: Platform, *found: pb.HistorySeries, recording: bool = True) -> None:
    with_source(platform)
    answer = pb.GetHistoryResponse(step_seconds=60, series=found, recording=recording)
    answer.begins_at.seconds, answer.ends_at.seconds = BEGIN, BEGIN + 3600
    platform.gateway.peer.operations["GetHistory"] = answer


def asked(platform: Platform, name: str) -> list[Any]:
    return [request for method, request in platform.gateway.peer.asked if method == name]


def charts(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(item.proto.spec) for item in app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")]


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_an_hour_is_shown_with_its_figures_and_its_gaps(app: AppTest, platform: Platform) -> None:
    with_history(
        platform,
        series("calls", "search", {0: 1.0, 1: 2.0, 5: 0.5, 6: 0.0}, total=210),
        series("answers", "answered", {0: 3.0, 1: 0.0}, total=3),
        series("answers", "not_supported", {0: 1.0, 1: 0.0}, total=1),
        series("ingested", "handbook", {0: 33.0}, total=33),
    )
    opened(app, "traffic")
    assert not app.exception
    shown = figures(app)
    assert (shown["Searches"], shown["Answers"], shown["Clear answers"]) == ("210", "4", "75%")
    assert shown["Documents ingested"] == "33"
    # Rows of another `part` are another line, so that none is drawn across a gap.
    assert [chart["encoding"]["detail"]["field"] for chart in charts(app) if "detail" in chart["encoding"]]
    assert "No searches." in [item.value for item in app.caption]
    drawn = [convert_arrow_bytes_to_pandas_df(item.proto.data.data) for item in app.get("vega_lite_chart")]
    labels = {label for rows in drawn for label in rows["label"]}
    assert "not supported" in labels, "a word, not its code"


def test_after_a_gap_a_line_begins_again() -> None:
    points = {BEGIN: 1.0, BEGIN + 60: 2.0, BEGIN + 300: 0.5, BEGIN + 360: 0.0}
    rows = presenters.rows(ChartLines(BEGIN, BEGIN + 3600, 60, (ChartLine("calls", "search", points),)), "calls")
    assert [(row["value"], row["part"]) for row in rows] == [(1.0, 0), (2.0, 0), (0.5, 1), (0.0, 1)]


def test_the_time_is_chosen_and_stays_in_the_address(app: AppTest, platform: Platform) -> None:
    with_history(platform)
    opened(app, "traffic")
    app.segmented_control(key="t-span").set_value("week").run()
    assert [request.span for request in asked(platform, "GetHistory")][-1] == "week"
    assert "week" in app.query_params["span"]
    app.segmented_control(key="t-span").set_value("live").run()
    assert not app.exception
    assert "Calls per second by call" in [item.value for item in app.subheader]


def test_of_all_tenants_only_who_may_read_the_platform_asks(app: AppTest, platform: Platform) -> None:
    with_history(platform)
    opened(app, "traffic")
    app.toggle(key="t-all").set_value(False).run()
    assert [request.all_tenants for request in asked(platform, "GetHistory")] == [True, False]


def test_an_admin_of_one_tenant_sees_no_services_and_asks_for_its_own(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.scopes = ["admin"]
    with_history(platform)
    try:
        opened(app, "traffic")
    finally:
        platform.gateway.peer.scopes = ["admin", "platform.admin", "query.read"]
    assert "Services" not in [item.value for item in app.header]
    assert not [item for item in app.toggle if item.key == "t-all"]
    assert [request.all_tenants for request in asked(platform, "GetHistory")] == [False]


@pytest.mark.parametrize(("mode", "text", "withheld", "shown"), [
    ("hashed", "", False, "0a1b2c"), ("plain", HOSTILE, False, HOSTILE), ("plain", "", True, "0a1b2c"),
])  # fmt: skip
def test_questions_without_an_answer_are_hashes_or_text_that_is_never_interpreted(
    app: AppTest, platform: Platform, mode: str, text: str, withheld: bool, shown: str
) -> None:
    with_history(platform)
    question = pb.UnansweredQuestion(
        question_hash="0a1b2c", question=text, question_withheld=withheld, outcome="not_supported", asked=7
    )
    answer = pb.ListUnansweredQuestionsResponse(questions=[question], mode=mode)
    platform.gateway.peer.operations["ListUnansweredQuestions"] = answer
    opened(app, "traffic")
    assert not app.exception
    (table,) = [frame.value for frame in app.dataframe if "asked" in frame.value]
    assert (table["question"][0], table["asked"][0]) == (shown, 7)
    assert "attacker" not in interpreted(app)


def test_questions_are_grouped_by_likeness_the_most_asked_first() -> None:
    asked = (("How do I rotate the signing key?", 2), ("rotate signing key", 5), ("Who may eat here?", 3),
             ("怎么更换签名密钥？", 1), ("如何更换签名密钥", 1), ("", 4), ("", 6))  # fmt: skip
    rows = [{"question": text, "asked": count, "last": 1.0 * count} for text, count in asked]
    groups = presenters.question_groups(rows)
    assert [(group["asked"], len(group["alike"])) for group in groups] == [(7, 2), (6, 1), (4, 1), (3, 1), (2, 2)]
    assert groups[0]["last"] == 5


def test_what_is_not_recorded_is_said(app: AppTest, platform: Platform) -> None:
    with_history(platform, recording=False)
    platform.gateway.peer.operations["ListUnansweredQuestions"] = pb.ListUnansweredQuestionsResponse(mode="off")
    opened(app, "traffic")
    assert [item.value for item in app.info] == ["Nothing is recorded: RAG_HISTORY_DAYS is 0."]
    assert "Not recorded: RAG_UNANSWERED_QUESTIONS is off." in [item.value for item in app.caption]


def test_with_prometheus_the_page_asks_there_and_keeps_what_only_rows_know(
    app: AppTest, platform: Platform, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    monkeypatch.setenv("RAG_CONSOLE_PROMETHEUS_URL", httpserver.url_for(""))
    queries: list[str] = []

    def answer(request: Request) -> Response:
        query = request.args["query"]
        queries.append(query)
        values = [[float(request.args["start"]), "4"], [float(request.args["start"]) + 60, "NaN"]]
        found = [{"metric": {"outcome": "answered"}, "values": values}] if "answers_total" in query else []
        return Response(json.dumps({"data": {"result": found}}), content_type="application/json")

    httpserver.expect_request("/api/v1/query_range").respond_with_handler(answer)
    with_history(
        platform, series("answers", "answered", {0: 90.0}, total=90), series("ingested", "handbook", {0: 5}, total=5)
    )
    opened(app, "traffic")
    assert not app.exception
    assert (figures(app)["Answers"], figures(app)["Documents ingested"]) == ("4", "5")
    assert any("histogram_quantile(0.95" in query for query in queries)
    httpserver.clear()
    app.run()
    assert "Prometheus: service unavailable" in " ".join(item.value for item in app.warning)
    assert figures(app)["Answers"] == "90"


def test_many_lines_are_summed_up_so_that_each_keeps_a_colour_of_its_own() -> None:
    lines = tuple(ChartLine("cited", f"s{number}", {0: float(number)}, float(number)) for number in range(10))
    rows = presenters.rows(ChartLines(0, 60, 60, lines), "cited")
    assert [(row["label"], row["value"]) for row in rows][-2:] == [("s4", 4.0), ("other", 6.0)]
    assert len(rows) == 7


def test_what_the_platform_summed_up_is_part_of_the_rest_and_no_second_line_of_its_name() -> None:
    lines = [ChartLine("pending", f"s{number}", {60: 1.0}) for number in range(9)]
    found = ChartLines(0, 3600, 60, (ChartLine("pending", "other", {60: 90.0}), *lines), recording=True)
    rows = presenters.rows(found, "pending")
    assert [row["label"] for row in rows] == ["s0", "s1", "s2", "s3", "s4", "s5", "other"]
    assert rows[-1]["value"] == 93.0


def test_the_audit_log_is_filtered_by_day_and_outcome_and_exported_whole(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    peer = platform.gateway.peer
    record = ops.AuditRecord(actor="acme/ann", action="key.create", target="k1", outcome="ok")
    peer.operations["ListAudit"] = ops.ListAuditResponse(records=[record])
    opened(app, "audit")
    app.text_input(key="a-outcome").input("ok")
    app.date_input(key="a-from").set_value(date(2026, 11, 2))
    app.date_input(key="a-to").set_value(date(2026, 11, 3)).run()
    wanted = asked(platform, "ListAudit")[-1]
    assert (wanted.outcome, wanted.until.seconds - wanted.since.seconds) == ("ok", 2 * 86_400)
    next(item for item in app.button if item.label == "Export CSV").click().run()
    assert not app.exception
    assert asked(platform, "ListAudit")[-1].page_size == 500
    assert [item.proto.label for item in app.get("download_button")] == ["Download 1 entries"]  # type: ignore[union-attr]
