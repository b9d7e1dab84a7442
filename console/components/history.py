"""Traffic and pipeline over an hour, a day or a week."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from console.clients.prometheus import ChartLines
from console.components.charts import over_time
from console.components.golden import save_question
from console.components.page_switch import PAGES
from console.components.widgets import at, chosen_row, load_or_report, table
from console.presenters import history as presenters
from console.presenters import traffic
from console.presenters.formats import number
from console.session import PlatformRole, Role, api, platform, role, shared, t

MIB = 1 / 1024**2


def history_of(span: str, *, everyone: bool) -> None:
    """Everything that is known of a span, of the caller's tenant or of all tenants."""
    chart = load_or_report("query server", lambda: presenters.from_message(api().history(span, all_tenants=everyone)))
    if chart is None:
        return
    if not chart.recording:
        st.info(t("Nothing is recorded: RAG_HISTORY_DAYS is 0."), icon=":material/info:")
    source = t("Recorded by the platform. A gap is a time without a record.")
    if everyone:
        own = chart
        more = load_or_report("Prometheus", lambda: shared().metrics.long_history(own))
        if more is not None:
            chart = presenters.with_prometheus(chart, more)
            source = t("Calls, answers, streams and memory from Prometheus, the rest recorded by the platform.")
    st.caption(source)
    _figures(chart)
    _traffic(chart)
    if platform() >= PlatformRole.READER:
        slowest_requests()
    _sources_and_questions(chart, span, everyone=everyone)
    _pipeline(chart)
    if platform() >= PlatformRole.READER:
        _services(chart)


def _figures(chart: ChartLines) -> None:
    calls, answers = presenters.totals(chart, "calls"), presenters.totals(chart, "answers")
    asked = sum(answers.values())
    answered = f"{answers.get('answered', 0) / asked:.0%}" if asked else "–"
    failed = sum(presenters.totals(chart, "failures").values())
    with st.container(horizontal=True):
        for label, value in (
            (t("Searches"), number(calls.get("search", 0))),
            (t("Answers"), number(asked)),
            (t("Clear answers"), answered),
            (t("Failed calls"), number(failed)),
            (t("Documents ingested"), number(sum(presenters.totals(chart, "ingested").values()))),
        ):
            st.metric(label, value, border=True)


def _traffic(chart: ChartLines) -> None:
    st.header(t("Calls"))
    _pair(
        lambda: _chart(chart, "calls", t("Calls per second"), t("Calls per second"), t("Kind"), none=t("No calls.")),
        lambda: _chart(
            chart, "search_seconds", t("Search latency"), "ms", t("Quantile"), scale=1000, none=t("No searches.")
        ),
    )
    _pair(
        lambda: _chart(
            chart, "answers", t("Answers by outcome"), t("Answers"), t("Outcome"), bars=True, none=t("No answers.")
        ),
        lambda: _chart(
            chart, "answer_seconds", t("Answer latency"), "ms", t("Quantile"), scale=1000, none=t("No answers.")
        ),
    )
    if any(line.name == "failures" for line in chart.lines):
        _chart(chart, "failures", t("Failed calls per second, by reason"), t("Calls per second"), t("Reason"), none="")


def _sources_and_questions(chart: ChartLines, span: str, *, everyone: bool) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader(t("Most used sources"))
        columns = {"source": t("Source"), "found": t("Searches that found it"), "cited": t("Answers that cite it")}
        table(presenters.source_rows(chart), columns, empty=t("No source was found or cited."))
    with right:
        st.subheader(t("Questions without a clear answer"))
        if everyone:
            st.caption(t("Shown for your own tenant only."))
        _questions(span)


def _questions(span: str) -> None:
    unanswered = load_or_report("query server", lambda: api().unanswered(span))
    if unanswered is None:
        return
    if unanswered.mode == "off":
        st.caption(t("Not recorded: RAG_UNANSWERED_QUESTIONS is off."))
        return
    found = presenters.question_groups(presenters.question_rows(unanswered.questions))
    rows = [
        {**row, "outcome": t(row["outcome"]), "last": at(row["last"]), "question": row["question"] or row["hash"],
         "alike": len(row["alike"])}
        for row in found
    ]  # fmt: skip
    columns = {"question": t("Question"), "outcome": t("Outcome"), "asked": t("Asked"), "alike": t("Wordings"),
               "last": t("Last asked")}  # fmt: skip
    event = table(rows, columns, empty=t("No question was left without an answer."), key="unanswered",
                  on_select="rerun", selection_mode="single-row")  # fmt: skip
    chosen = chosen_row(event)
    if chosen is not None and found[chosen]["question"]:
        _answer_it(found[chosen])
    if rows and unanswered.mode == "hashed":
        st.caption(
            t(
                "Questions are kept as hashes; a switch on the page Tenants, or RAG_UNANSWERED_QUESTIONS=plain, "
                "keeps their text."
            )
        )
    elif any(row["withheld"] for row in rows):
        st.caption(t("The text is shown to the role admin."))


def _answer_it(group: dict[str, Any]) -> None:
    """Show a group of questions without an answer, with the pages that can mend it."""
    st.text("\n".join(group["alike"]))
    with st.container(horizontal=True):
        st.page_link("screens/ask.py", label=t("Ask it again"), query_params={"q": group["question"]},
                     icon=":material/search:")  # fmt: skip
        if role() >= Role.OPERATOR:
            st.page_link("screens/evaluation.py", label=t("Write an answer"), icon=":material/edit_note:",
                         query_params={"curate": group["question"]})  # fmt: skip
        if st.session_state.get(PAGES, ()) and "add_source" in st.session_state[PAGES]:
            st.page_link("screens/add_source.py", label=t("Add a document"), icon=":material/note_add:")
    save_question(group["question"], [])


def slowest_requests() -> None:
    """From a peak to its requests."""
    st.subheader(t("Slowest requests"))
    url = shared().settings.trace_url
    rows = [
        {"call": traffic.call_name(call.method), "ms": f"{call.seconds * 1000:,.1f}", "at": at(call.at),
         "trace": url.replace("{trace}", call.trace_id) if url else call.trace_id}
        for call in traffic.slowest(shared().metrics.slow_calls())
    ]  # fmt: skip
    trace = st.column_config.LinkColumn(t("Trace"), display_text=t("Open the trace")) if url else t("Trace")
    columns = {"call": t("Call"), "ms": t("Time (ms)"), "at": t("Ended"), "trace": trace}
    table(rows, columns, empty=t("No request was recorded as a trace yet: `rag up --traces` records and shows them."))


def _pipeline(chart: ChartLines) -> None:
    st.header(t("Pipeline"))
    unit = t("Documents")
    _pair(
        lambda: _chart(
            chart, "ingested", t("Documents ingested per minute"), unit, t("Source"), none=t("Nothing was ingested.")
        ),
        lambda: _chart(
            chart, "pending", t("Documents waiting for the index"), unit, t("Source"), none=t("Nothing waited.")
        ),
    )
    _pair(
        lambda: _chart(
            chart, "quarantined", t("Documents in quarantine"), unit, t("Source"), none=t("Nothing is in quarantine.")
        ),
        lambda: _chart(chart, "queued_runs", t("Runs in the queue"), t("Runs"), t("Source"), none=t("No run waited.")),
    )


def _services(chart: ChartLines) -> None:
    st.header(t("Services"))
    _pair(
        lambda: _chart(chart, "lag_seconds", t("Lag of streams"), t("Seconds"), t("Stream"), none=t("No stream.")),
        lambda: _chart(chart, "lag", t("Changes waiting in streams"), t("Changes"), t("Stream"), none=t("No stream.")),
    )
    _pair(
        lambda: _chart(chart, "memory", t("Memory of services"), "MiB", t("Service"), scale=MIB, none=t("No figures.")),
        lambda: _chart(chart, "disk", t("Disk"), "MiB", t("Used by"), scale=MIB, none=t("No figures.")),
    )
    free = [line for line in chart.lines if line.name == "disk_free" and line.points]
    if free:
        newest = free[0].points[max(free[0].points)]
        st.caption(t("Free on the disk of {name}: {size} GiB", name=free[0].label, size=f"{newest / 1024**3:,.1f}"))


def _pair(left: Callable[[], None], right: Callable[[], None]) -> None:
    for place, draw in zip(st.columns(2, gap="medium"), (left, right), strict=True):
        with place:
            draw()


def _chart(
    chart: ChartLines,
    name: str,
    title: str,
    unit: str,
    legend: str,
    *,
    none: str,
    scale: float = 1.0,
    bars: bool = False,
) -> None:
    st.subheader(title)
    rows = presenters.rows(chart, name, scale=scale)
    if not rows:
        st.caption(none)
        return
    ours = name in presenters.NAMED_BY_US
    shown = [
        {**row, "label": t(presenters.word(row["label"])) if ours or row["label"] == presenters.OTHER else row["label"]}
        for row in rows
    ]
    part = "" if bars else "part"
    window = (chart.begins, chart.ends)
    over_time(shown, "value", unit, by="label", legend=legend, bars=bars, part=part, window=window)
