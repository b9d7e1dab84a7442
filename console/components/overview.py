"""The parts of the overview: components, alerts, sources with their trends, what changed, runs over time."""

from __future__ import annotations

import time

import streamlit as st

from console.clients.errors import ServiceError
from console.components.charts import run_timeline
from console.components.widgets import age, at, listed_ago, plain_markdown, problem, table
from console.presenters import health, source_history
from console.presenters.conditions import marked
from console.presenters.documents import ANY_STATE
from console.presenters.formats import duration
from console.presenters.pipeline import MARKS, run_rows
from console.session import PlatformRole, language, platform, shared, t
from rag_clients.dagster_answers import DagsterRun
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

_ROWS = 8
_PAGES = {"sources": "screens/sources.py", "pipeline": "screens/pipeline.py", "quality": "screens/quality.py",
          "index": "screens/index.py"}  # fmt: skip


def todo(item: health.Todo, values: dict[str, str]) -> None:
    """One entry of what needs attention: how severe, which source, since when, the cause, and the way to act."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if item.critical:
            st.badge(t("critical"), color="red", icon=":material/error:", width="content")
        else:
            st.badge(t("warning"), color="orange", icon=":material/warning:", width="content")
        name = f"**{plain_markdown(item.source)}** · " if item.source else ""
        began = f" · {t('since {time}', time=at(item.since))}" if item.since else ""
        st.markdown(f"{name}{t(item.sentence, **values)}{began}", width="content")
        if item.page in _PAGES:
            place = {"source": item.source} if item.source else None
            st.page_link(_PAGES[item.page], label=t(item.action), icon=":material/arrow_forward:", query_params=place)


def components(rows: list[health.HealthRow]) -> None:
    """Every component, and why it is not healthy."""
    st.header(t("Components"))
    shown = [
        {
            "component": t(row.component),
            "state": f"✔ {t('healthy')}" if row.healthy else f"✖ {t('not healthy')}",
            "reason": row.why(t, language()),
        }
        for row in rows
    ]
    columns = {"component": t("Component"), "state": t("State"), "reason": t("Reason")}
    table(shown, columns, empty="")


def alerts(found: list[ops.Alert] | ServiceError) -> None:
    """The open alerts."""
    st.header(t("Open alerts"))
    if isinstance(found, ServiceError):
        problem("Alerts", found)
        return
    shared().outages.pop("Alerts", None)
    rows = [
        {**row, "severity": t(row["severity"]), "at": age(row["at"])} for row in health.alert_rows(found, t, language())
    ]
    table(rows, {"severity": t("Severity"), "summary": t("Alert"), "at": t("Since")}, empty=t("None."))


def sources(status: admin_pb2.GetStatusResponse, histories: list[ops.SourceHistory]) -> None:
    """Each source with its state and the trends of its last runs, those that need somebody first."""
    st.header(t("Sources"))
    trends = source_history.trends(histories)
    fresh = {row["source"]: row for row in health.freshness_rows(status.sources, time.time())}
    marks = {True: f"✔ {t('met')}", False: f"✖ {t('missed')}", None: "–"}
    rows = []
    for item in source_history.shown_sources(status.sources):
        row, trend = fresh[item.name], trends.get(item.name, {})
        age = listed_ago(row["age"], streamed=row["streamed"])
        maximum = duration(row["objective"], t) if row["objective"] else "–"
        rows.append(
            {
                "source": item.name,
                "state": marked(item.condition, t, at),
                "documents": item.documents,
                "trend": trend.get("documents", []),
                "met": marks[row["met"]],
                "age": f"{age} / {maximum}" if not row["streamed"] else age,
                "gaps": trend.get("gaps", []),
                "errors": trend.get("errors", []),
                "pending": row["pending"],
            }
        )
    config = st.column_config
    columns = {
        "source": t("Source"),
        "state": t("State"),
        "documents": config.NumberColumn(t("Documents"), format="localized"),
        "trend": config.AreaChartColumn(t("Documents by run"), color="blue", y_min=0),
        "met": t("Objective"),
        "age": t("Age / maximum"),
        "gaps": config.LineChartColumn(t("Hours between listings"), color="gray", y_min=0),
        "errors": config.BarChartColumn(t("Errors by run"), color="orange", y_min=0),
        "pending": config.NumberColumn(t("To be indexed"), format="localized"),
    }
    table(rows, columns, empty=t("No source has run yet."), height="content" if len(rows) <= _ROWS else 420)


def changes(histories: list[ops.SourceHistory], generations: list[admin_pb2.Generation]) -> None:
    """Show what runs changed in the last 24 hours, and generations that were promoted."""
    st.header(t("Changed in the last 24 hours"))
    for name, moment in source_history.promotions(generations, time.time() - source_history.HOURS_SHOWN * 3600):
        said = t("{time}: searches moved to {name}", time=age(moment), name=plain_markdown(name))
        st.page_link("screens/index.py", label=said, icon=":material/database:")
    rows = source_history.change_rows(histories)
    columns = {"source": t("Source"), **{name: t(name) for name in source_history.CHANGES}, "runs": t("Rounds")}
    table(rows, columns, empty=t("No document was added, changed, deleted or quarantined."))
    st.page_link("screens/documents.py", label=t("Documents that changed"), icon=":material/description:",
                 query_params={"changed": "day", "state": ANY_STATE})  # fmt: skip


def run_history(runs: list[DagsterRun] | ServiceError) -> None:
    """The runs of the last 24 hours over time, and the newest with a link to each."""
    st.header(t("Runs of the last 24 hours"))
    if isinstance(runs, ServiceError):
        problem("Runs", runs)
        return
    shared().outages.pop("Runs", None)
    bars = source_history.timeline(runs, time.time())
    if bars:
        failed = sum(bar["outcome"] == "failed" for bar in bars)
        said = t("{count} runs: {sources} sources, {jobs} other jobs, {failed} failed", count=len(bars), failed=failed,
                 sources=len({bar["source"] for bar in bars if bar["of_source"]}),
                 jobs=len({bar["source"] for bar in bars if not bar["of_source"]}))  # fmt: skip
        run_timeline(bars, said)
        st.caption(said)
    settings = shared().settings
    link = f"{settings.dagster_link or settings.dagster_url}/runs/" if platform() >= PlatformRole.READER else ""
    rows = [
        {**row, "started": at(row["started"]), "status": f"{MARKS.get(row['status'], '•')} {t(row['status'])}",
         "seconds": duration(row["seconds"], t) if row["seconds"] is not None else "–",
         "run": f"{link}{row['run']}" if link else row["run"][:8]}
        for row in run_rows(runs[:_ROWS], time.time())
    ]  # fmt: skip
    run = st.column_config.LinkColumn(t("Run"), display_text=r"/runs/([^-/]+)") if link else t("Run")
    columns = {"source": t("Source"), "job": t("Job"), "status": t("State"), "started": t("Started"),
               "seconds": t("Duration"), "run": run}  # fmt: skip
    table(rows, columns, empty=t("No run yet: the stream worker reads small sources without one."))
