"""Every page, run by Streamlit's own test harness against a scripted platform."""

from __future__ import annotations

import json
import time
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from streamlit.testing.v1 import AppTest

from ragproto.admin.v1 import admin_pb2, webhooks_pb2
from ragproto.admin.v1 import operations_pb2 as ops
from ragproto.query.v2 import query_pb2 as v2
from tests.unit.console.conftest import RUN, Platform

HOSTILE = (
    "<img src=x onerror=alert(1)> [click](javascript:alert(1)) ![](http://attacker.example/?q=1) **bold** $x$ :red[y]"
)
PAGES = (
    *("overview", "sources", "add_source", "documents", "pipeline", "quality", "evaluation", "index", "ask", "traffic"),
    *("usage", "deployments", "audit", "access", "webhooks", "tenants", "secrets"),
)


def opened(app: AppTest, page: str) -> AppTest:
    app.run()
    return app.switch_page(f"screens/{page}.py").run()


def button(app: AppTest, label: str) -> Any:
    return next(item for item in app.button if item.label == label)


def with_source(platform: Platform, **changes: Any) -> None:
    peer = platform.gateway.peer
    held = changes.get("held_deletions", 0)
    counted = admin_pb2.SourceStatus(
        name="handbook", kind="folder", documents=1234, searchable=1234, chunks=5678, held_deletions=held
    )
    counted.condition.state, counted.condition.sentence = admin_pb2.SOURCE_STATE_UP_TO_DATE, "up to date"
    if held:
        counted.condition.state, counted.condition.count = admin_pb2.SOURCE_STATE_HELD, held
        counted.condition.sentence, counted.condition.needs_attention = "held for approval: {count} deletions", True
    peer.status = admin_pb2.GetStatusResponse(
        components=[admin_pb2.Component(name="database", healthy=True)],
        sources=[counted],
        generations=[admin_pb2.Generation(name="g", state="active", points=5678)],
    )
    detail = ops.SourceDetail(name="handbook", kind="folder", shards=1, **changes)
    peer.operations["ListSources"] = ops.ListSourcesResponse(sources=[detail])


def interpreted(app: AppTest) -> str:
    said = [*app.markdown, *app.caption, *app.info, *app.error, *app.warning, *app.success]
    shown = [*said, *app.title, *app.header, *app.subheader]
    return "\n".join([*(item.value for item in shown), *(item.label for item in app.button)])


def test_a_healthy_platform_is_all_well(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    app.run()
    assert not app.exception
    assert [item.value for item in app.success] == ["All 5 components are healthy."]
    figures = {metric.label: metric.value for metric in app.metric}
    assert (figures["Documents"], figures["Vectors"], figures["Held deletions"]) == ("1,234", "5,678", "0")
    assert list(app.dataframe[0].value["source"]) == ["handbook"]
    assert platform.gateway.peer.metadata["authorization"] == "Bearer a.b.c"


def test_the_overview_shows_the_trend_of_each_source_what_changed_and_runs_over_time(
    app: AppTest, platform: Platform
) -> None:
    with_source(platform)
    now = int(time.time())
    points = [
        ops.SourceHistoryPoint(
            run_id="r",
            finished_at=Timestamp(seconds=now - 7200 * (3 - n)),
            documents=n,
            quarantined=n % 2,
            complete=True,
        )
        for n in range(3)
    ]
    changed = {"added": 2, "unchanged": 7}
    listed = [
        ops.SourceHistory(source="handbook", points=points, changes=changed, runs=3), ops.SourceHistory(source="quiet"),
    ]  # fmt: skip
    platform.gateway.peer.operations["ListSourceHistory"] = ops.ListSourceHistoryResponse(sources=listed)
    platform.gateway.peer.status.generations[0].promoted_at.seconds = now - 60
    [run] = platform.data["runsOrError"]["results"]
    run |= {"startTime": now - 30.0, "endTime": now - 10.0}
    app.run()
    assert not app.exception
    [row] = app.dataframe[0].value.to_dict("records")
    assert (list(row["trend"]), list(row["gaps"]), list(row["errors"])) == ([0, 1, 2], [2, 2], [0, 1, 0])
    [changes] = [frame.value for frame in app.dataframe if "added" in frame.value]
    assert changes.to_dict("records") == [
        {"source": "handbook", "runs": 3, "added": 2, "updated": 0, "deleted": 0, "quarantined": 0}
    ]
    assert "1 runs: 1 sources, 0 other jobs, 0 failed" in [item.value for item in app.caption]
    [runs] = [frame.value for frame in app.dataframe if "run" in frame.value]
    assert runs["run"][0].endswith(f"/runs/{RUN}")


def test_a_platform_that_works_is_not_all_well_while_documents_wait(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    source = platform.gateway.peer.status.sources[0]
    source.condition.state, source.condition.count = admin_pb2.SOURCE_STATE_WAITING, 141
    source.condition.sentence = "waiting for the next run: {count} documents are not searchable yet"
    app.run()
    assert not app.success
    assert [item.value for item in app.info] == ["Not all is searchable yet: handbook"]
    [state] = app.dataframe[0].value["state"]
    assert state == "… waiting for the next run: 141 documents are not searchable yet"


def test_what_needs_a_person_stands_at_the_top(app: AppTest, platform: Platform) -> None:
    with_source(platform, held_deletions=60)
    app.run()
    assert [item.value for item in app.warning] == ["Needs attention: 1"]


@pytest.mark.catalogue("F52")
@pytest.mark.parametrize(("page", "language"), [*((page, "en") for page in PAGES), ("overview", "zh")])
def test_every_page_stands_with_every_backend_down_and_recovers(
    app: AppTest, platform: Platform, monkeypatch: pytest.MonkeyPatch, page: str, language: str
) -> None:
    monkeypatch.setattr("console.clients.metrics.LEAST_SECONDS", 0)
    with_source(platform)
    app.session_state["language"] = language
    opened(app, page)
    platform.gateway.peer.failure = grpc.StatusCode.UNAVAILABLE
    platform.dagster.clear()
    app.run()
    assert not app.exception
    said = " ".join(item.value for item in app.warning)
    assert page == "ask" or ("服务不可用" if language == "zh" else "service unavailable") in said
    platform.reset()
    with_source(platform)
    app.run()
    assert not app.exception
    assert not app.warning


@pytest.mark.catalogue("S35")
@pytest.mark.parametrize("page", PAGES)
def test_text_from_documents_is_nowhere_interpreted(app: AppTest, platform: Platform, page: str) -> None:
    with_source(platform)
    peer = platform.gateway.peer
    row = ops.DocumentRow(doc_id="d", source="handbook", locator=HOSTILE, title=HOSTILE, version=1, state=1)
    entry = ops.QuarantineEntry(id=1, source="handbook", locator=HOSTILE, message=HOSTILE, reason="PARSE_FAILED")
    record = ops.AuditRecord(actor=HOSTILE, action="quarantine.redrive", target=HOSTILE)
    record.details.update({"locator": HOSTILE})
    rating = ops.Rating(actor=HOSTILE, judgement=ops.RateAnswerRequest(question=HOSTILE, comment=HOSTILE))
    peer.operations |= {
        "FindDocuments": ops.FindDocumentsResponse(documents=[row]),
        "InspectDocument": ops.InspectDocumentResponse(
            document=row,
            text=HOSTILE,
            flags=[HOSTILE],
            metadata={HOSTILE: HOSTILE},
            acl=[f"group:{HOSTILE}"],
            chunks=[ops.ChunkSpan(start=0, end=9, headings=[HOSTILE])],
            quarantine=entry,
            history=[ops.DocumentEvent(kind=ops.DOCUMENT_EVENT_KIND_ACTION, detail=HOSTILE, actor=HOSTILE)],
        ),
        "ListQuarantine": ops.ListQuarantineResponse(entries=[entry]),
        "ListAudit": ops.ListAuditResponse(records=[record]),
        "ListRatings": ops.ListRatingsResponse(ratings=[rating]),
    }
    if page == "documents":
        app.query_params["doc"] = "d"
    opened(app, page)
    if page == "documents":
        assert HOSTILE in [item.value for item in app.text]
    assert not app.exception
    assert "attacker" not in interpreted(app)
    assert "onerror" not in interpreted(app)


def ask(app: AppTest, question: str, kind: str = "Answer") -> AppTest:
    """Type a question on the page that is open, with what it does chosen in the settings."""
    if kind != "Answer":
        app.radio(key="ask-kind").set_value(kind).run()
    return app.chat_input(key="question").set_value(question).run()


def _ask(app: AppTest, question: str, kind: str = "Answer") -> AppTest:
    return ask(opened(app, "ask"), question, kind)


def answered(app: AppTest) -> list[str]:
    """The paragraphs of the answers that are shown."""
    drawn = [json.loads(item.proto.json) for item in app.get("bidi_component") if item.proto.json]
    return ["".join(part["text"] for part in line) for data in drawn for line in data.get("paragraphs", ())]


def test_the_same_question_asked_again_is_answered_again(app: AppTest, platform: Platform) -> None:
    def says(text: str) -> None:
        final = v2.AnswerFinal(answered=v2.AnswerFinal.Answered(citations=[v2.Citation(number=1)]))
        platform.gateway.peer.answers(text, final)

    says("It is on the third floor.")
    _ask(app, "Where is it?").run()
    assert answered(app) == ["It is on the third floor."]
    says("It is on the second floor.")
    button(app, "New conversation").click().run()
    ask(app, "Where is it?")
    assert answered(app) == ["It is on the second floor."]


@pytest.mark.catalogue("S35")
def test_an_answer_and_its_citations_are_text(app: AppTest, platform: Platform) -> None:
    citation = v2.Citation(number=1, title=HOSTILE, source="s", locator=HOSTILE, quote=HOSTILE)
    platform.gateway.peer.answers(HOSTILE, answered=v2.AnswerFinal.Answered(citations=[citation]))
    _ask(app, "x")
    assert not app.exception
    assert answered(app) == [HOSTILE]
    assert "attacker" not in interpreted(app)


def test_a_follow_up_brings_the_conversation_and_looking_at_the_page_again_asks_nothing(
    app: AppTest, platform: Platform
) -> None:
    final = v2.AnswerFinal(
        answered=v2.AnswerFinal.Answered(citations=[v2.Citation(number=1)]),
        standalone_question=HOSTILE,
        answered_by=v2.AnswerFinal.AnsweredBy(answerer="extractive", fallback_reason="ANSWERER_UNAVAILABLE"),
    )
    peer = platform.gateway.peer
    peer.answers("16 weeks.", final)
    _ask(app, "How long is parental leave?")
    ask(app, "Is it paid?")
    assert not app.exception
    app.run()
    asked = [request for name, request in peer.asked if name == "Answer"]
    assert [(one.query, [message.text for message in one.messages]) for one in asked] == [
        ("How long is parental leave?", []),
        ("Is it paid?", ["How long is parental leave?", "16 weeks."]),
    ]
    assert f"Understood as: {HOSTILE}" in [item.value for item in app.text]
    assert [item.value for item in app.info] == [], "said of the first answer"
    assert "attacker" not in interpreted(app)
    app.button(key="cite-2-1").click().run()
    button(app, "New conversation").click().run()
    assert "16 weeks." not in [item.value for item in app.text]
    ask(app, "Something else?")
    assert [len(request.messages) for name, request in peer.asked if name == "Answer"] == [0, 2, 0]


@pytest.mark.catalogue("S35")
@pytest.mark.parametrize(("language", "said"), [("en", "Best matches"), ("zh", "最相关的内容")])
def test_closest_passages_are_called_so_and_shown_as_text_code_and_tables(
    app: AppTest, platform: Platform, language: str, said: str
) -> None:
    written = f"1. {HOSTILE}\n2. two\n\n```sh\nrag up\n```\n\n| pump | oil |\n| --- | --- |\n| {HOSTILE} | `no` |"
    citation = v2.Citation(number=1, title="Pumps", quote="two")
    excerpt = v2.Excerpt(title="Pumps", heading_path=["Pumps", HOSTILE], page=4, markdown=written, citations=[1])
    platform.gateway.peer.answers(
        "streamed",
        abstained=v2.AnswerFinal.Abstained(reason="NOT_SUPPORTED", citations=[citation]),
        answer_outcome=v2.ANSWER_OUTCOME_CLOSEST_PASSAGES,
        excerpts=[excerpt] * 3,
    )
    app.session_state["language"] = language
    _ask(app, "x")
    assert not app.exception
    assert not app.info, "nothing alarms"
    assert said in [item.value for item in app.header]
    assert ("Other passages (2)" if language == "en" else "其他段落（2）") in [item.label for item in app.expander]
    place = f"Pumps > {HOSTILE}"
    texts = [item.value for item in app.text]
    assert texts[1] == (f"{place}, page 4" if language == "en" else f"{place}，第 4 页")
    assert answered(app)[0].startswith("1. <img src=x onerror=alert(1)> ")
    assert answered(app)[1] == "2. two"
    assert app.code[0].value == "rag up"
    hostile, value = app.table[0].value.iloc[0].tolist()  # Streamlit reads the cells of such a table as Markdown
    assert all(escaped in hostile for escaped in (r"\<img src", r"\(javascript\:", r"\$x\$", r"\:red\[y\]"))
    assert value == "no"
    assert ("Source 1 of 1" if language == "en" else "来源 1 / 1") in [item.value for item in app.caption]
    assert app.button(key="cite-1-0-1")
    assert "attacker" not in interpreted(app)
    assert "onerror" not in interpreted(app)


def test_a_citation_opens_its_span_in_the_document(app: AppTest, platform: Platform) -> None:
    text = "前文。备份每天进行。后文。"
    citation = v2.Citation(number=1, title="手册", doc_id="d", start=3, end=10, quote=text[3:10])
    platform.gateway.peer.answers(
        "备份每天进行。[1]", answered=v2.AnswerFinal.Answered(citations=[citation]), generation="g"
    )
    platform.gateway.peer.operations["InspectDocument"] = ops.InspectDocumentResponse(text=text)
    _ask(app, "什么时候备份?")
    assert answered(app) == ["备份每天进行。[1]"]
    app.button(key="cite-1-1").click().run()
    shown = [item.value for item in app.text]
    assert all(part in shown for part in ("前文。", text[3:10], "后文。"))
    assert "Source 1 of 1" in [item.value for item in app.header], "beside the answer"
    app.button(key="cite-close").click().run()
    assert "前文。" not in [item.value for item in app.text]


def test_a_judged_answer_is_kept_with_its_spans(app: AppTest, platform: Platform) -> None:
    span = v2.Citation(number=1, doc_id="00000000-0000-0000-0000-000000000001", version=2, start=1, end=5)
    platform.gateway.peer.answers("yes [1]", answered=v2.AnswerFinal.Answered(citations=[span]))
    _ask(app, "really?")
    assert "Send" not in [item.label for item in app.button], "a thumb opens the form"
    app.feedback[0].set_value(1).run()
    button(app, "Send").click().run()
    [rating] = [request for name, request in platform.gateway.peer.asked if name == "RateAnswer"]
    assert (rating.question, rating.answer, rating.good, rating.citations[0].end) == ("really?", "yes [1]", True, 5)


@pytest.mark.parametrize(("final", "said"), [
    (v2.AnswerFinal(abstained=v2.AnswerFinal.Abstained(reason="NOT_SUPPORTED")),
     "The sources do not answer this question."),
    (v2.AnswerFinal(failed=v2.AnswerFinal.Failed(reason="DEADLINE")), "The answer was interrupted: DEADLINE."),
])  # fmt: skip
def test_text_of_an_answer_that_did_not_come_is_taken_back(
    app: AppTest, platform: Platform, final: v2.AnswerFinal, said: str
) -> None:
    platform.gateway.peer.answers("half a", final)
    _ask(app, "x")
    assert [item.value for item in app.text] == ["x", said]
    assert not answered(app)


def test_a_search_shows_the_parts_of_each_score(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.passages = [v2.Passage(title="T", score=0.5, dense_score=0.9, lexical_score=2)]
    _ask(app, "x", "Search only")
    row = app.dataframe[0].value.iloc[0]
    assert (row["title"], row["score"], row["dense"], row["lexical"]) == ("T", 0.5, 0.9, 2.0)


def test_an_empty_question_is_not_sent(app: AppTest, platform: Platform) -> None:
    _ask(app, "   ")
    assert not app.exception
    assert "Answer" not in [name for name, _ in platform.gateway.peer.asked]


@pytest.mark.parametrize(("streamed", "age"), [(True, "–"), (False, "never")])
def test_a_source_that_is_never_listed_is_not_called_overdue(
    app: AppTest, platform: Platform, *, streamed: bool, age: str
) -> None:
    with_source(platform)
    platform.gateway.peer.status.sources[0].streamed = streamed
    opened(app, "sources")
    assert list(app.dataframe[0].value["age"]) == [age]
    facts = [fact for frame in app.dataframe[1:3] for fact in frame.value["fact"]]
    assert ("Last complete listing" in facts) is not streamed
    platform.gateway.peer.status.sources[0].freshness_minutes = 60
    opened(app, "overview")
    assert list(app.dataframe[0].value["age"]) == [age if streamed else f"{age} / 60 min"]


def test_the_list_of_sources_says_what_the_state_below_it_says(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    opened(app, "sources")
    before, failed = admin_pb2.GetStatusResponse(), platform.gateway.peer.status.sources[0].condition
    before.CopyFrom(platform.gateway.peer.status)
    failed.state, failed.sentence, failed.reason = admin_pb2.SOURCE_STATE_FAILED, "failed: {reason}", "UNREADABLE"
    platform.gateway.peer.next_status = [before]
    app.run()
    assert [item.value for item in app.error] == ["Failed\\: UNREADABLE"]
    assert list(app.dataframe[0].value["condition"]) == ["✖ failed: UNREADABLE"]


def test_a_sync_is_on_record_before_dagster_is_reported(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    opened(app, "sources")
    app.text_input(key="sync-handbook-why").input("new edition")
    app.button(key="sync-handbook-do").click().run()
    [record] = [request for name, request in platform.gateway.peer.asked if name == "RecordAction"]
    assert (record.action, record.target, record.reason) == ("dagster.launch", "handbook_sync", "new edition")
    assert platform.mutations == ["launchRun"]


@pytest.mark.parametrize(
    ("status", "tags", "launched"),
    [("QUEUED", [], []), ("STARTED", [], []), ("CANCELING", [], ["launchRun"]),
     ("STARTED", [{"key": "rag/listing", "value": "changes"}], ["launchRun"])],
)  # fmt: skip
def test_a_sync_starts_no_second_run_beside_one_that_lists_the_whole_source(
    app: AppTest, platform: Platform, status: str, tags: list[dict[str, str]], launched: list[str]
) -> None:
    with_source(platform)
    platform.gateway.peer.operations["ListSources"].sources[0].last_complete_at.seconds = 1_700_000_000
    run = platform.data["runsOrError"]["results"][0]
    run.update(status=status, tags=tags)
    opened(app, "sources")
    app.button(key="sync-handbook-do").click().run()
    assert platform.mutations == launched
    said = [item.value for item in app.success]
    assert any("No second one was started" in text for text in said) is not bool(launched)


def test_without_a_record_dagster_is_not_told(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    opened(app, "sources")
    platform.gateway.peer.failure = grpc.StatusCode.PERMISSION_DENIED
    app.button(key="sync-handbook-do").click().run()
    assert platform.mutations == []
    assert not app.exception


def test_a_pushed_source_offers_no_run_to_start_and_no_pause(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    platform.gateway.peer.status.sources[0].streamed = True
    opened(app, "sources")
    assert not [item for item in app.button if item.key in {"sync-handbook-do", "pause-handbook-do"}]
    assert any(item.value.startswith("Applications push to this source") for item in app.caption)


def test_pausing_a_source_stops_its_sensor(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    opened(app, "sources")
    app.button(key="pause-handbook-do").click().run()
    assert platform.mutations == ["stopSensor"]


def test_a_check_asks_the_sensor_and_starts_nothing(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    opened(app, "sources")
    app.button(key="troubleshoot-handbook-do").click().run()
    assert platform.mutations == ["sensorDryRun"]
    assert "The source is readable: unchanged." in " ".join(item.value.replace("\\", "") for item in app.success)
    error = {"message": "Error", "causes": [{"message": "FETCH_REFUSED: the share does not answer"}]}
    platform.data["sensorDryRun"]["evaluationResult"] = {"error": error}
    app.button(key="troubleshoot-handbook-do").click().run()
    assert "FETCH_REFUSED" in app.error[0].value.replace("\\", "")


def test_a_viewer_sees_and_is_offered_no_action(app: AppTest, platform: Platform) -> None:
    platform.gateway.peer.scopes = ["ops.read", "query.read"]
    with_source(platform)
    app.run()
    assert "Signed in as ann (viewer)" in [item.value for item in app.sidebar.caption]
    app.switch_page("screens/sources.py").run()
    assert not app.exception
    assert [item for item in app.expander if item.label.startswith("Edit or delete")] == []


def test_a_visitor_without_a_good_token_is_shown_nothing(
    app: AppTest, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_CONSOLE_TOKEN_FILE", str(platform.token_file.with_name("absent")))
    app.run()
    assert not app.exception
    assert "TOKEN_MISSING" in app.warning[0].value
    assert not app.dataframe
    assert platform.asked == []


def test_the_interface_speaks_chinese(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    app.session_state["language"] = "zh"
    app.run()
    assert [item.value for item in app.success] == ["全部 5 个组件均健康。"]


def test_a_webhook_is_created_and_its_secret_shown_once(app: AppTest, platform: Platform) -> None:
    peer = platform.gateway.peer
    peer.scopes = ["admin"]
    hook = webhooks_pb2.Webhook(id="wh_1", url="https://hooks.example/rag", events=["*"], enabled=True, failures=2)
    peer.operations |= {
        "ListWebhooks": webhooks_pb2.ListWebhooksResponse(webhooks=[hook]),
        "CreateWebhook": webhooks_pb2.CreateWebhookResponse(webhook=hook, secret="whsec_c2VjcmV0"),
    }
    opened(app, "webhooks")
    next(item for item in app.text_input if item.label == "Address").set_value("https://hooks.example/rag")
    button(app, "Create webhook").click().run()
    asked = next(request for name, request in peer.asked if name == "CreateWebhook")
    assert (asked.url, list(asked.events)) == ("https://hooks.example/rag", ["*"])
    assert [item.value for item in app.code] == ["whsec_c2VjcmV0"]
    assert app.dataframe[0].value["state"].tolist() == ["failing"]
    button(app, "I have copied it").click().run()
    assert not app.code
