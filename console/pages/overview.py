"""Is all well, and if not, what to do: one glance.

Text that comes from documents is shown on every page by `st.text` and `st.dataframe` only, which interpret nothing: no
HTML, no Markdown, no links, no images. It never becomes a label, a key or a message.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from console.clients import Run, ServiceError
from console.session import api, shared, t
from console.ui import age, at, look, plain_markdown, problem, table
from console.views import health
from console.views.formats import number
from console.views.pipeline import run_rows
from console.views.traffic import overall
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

T = TypeVar("T")

_REFRESH = shared().settings.refresh_seconds
_PAGES = {"sources": "pages/sources.py", "pipeline": "pages/pipeline.py", "quality": "pages/quality.py"}


@st.fragment(run_every=_REFRESH)
def platform() -> None:
    """Verdict, components and figures; looks again by itself, so a part that comes back shows without a reload."""
    status = _attempt(lambda: api().status())
    dagster = _attempt(lambda: shared().dagster.health())
    gateway = _attempt(lambda: shared().gateway.ready())
    runs = _attempt(lambda: shared().dagster.runs(50))
    sources = _attempt(lambda: api().sources())
    rows = health.health_rows(status, dagster, gateway if isinstance(gateway, ServiceError) else None)
    totals = health.Totals() if isinstance(status, ServiceError) else health.totals(status)
    _verdict(rows, [] if isinstance(sources, ServiceError) else sources, runs, totals.quarantined)
    if isinstance(status, ServiceError):
        problem("Figures", status)
    else:
        shared().outages.pop("Figures", None)
        _figures(totals)
    left, right = st.columns([2, 3], gap="large")
    with left:
        _components(rows)
    with right:
        if not isinstance(status, ServiceError):
            _freshness(status)
        _last_runs(runs)


def _attempt(load: Callable[[], T]) -> T | ServiceError:
    try:
        return load()
    except ServiceError as error:
        return error


def _verdict(
    rows: list[health.HealthRow], sources: list[ops.SourceDetail], runs: list[Run] | ServiceError, quarantined: int
) -> None:
    found = health.todos(rows, sources, [] if isinstance(runs, ServiceError) else runs, quarantined, time.time())
    if not found:
        st.success(t("All well: {count} components are healthy.", count=len(rows)), icon=":material/check_circle:")
        return
    broken = any(not row.healthy for row in rows)
    heading = t("Needs attention: {count}", count=len(found))
    (st.error if broken else st.warning)(heading, icon=":material/error:" if broken else ":material/warning:")
    for todo in found:
        values = {key: plain_markdown(str(value)) for key, value in todo.values}
        sentence = t(todo.sentence, **values)
        if todo.page in _PAGES:
            st.page_link(_PAGES[todo.page], label=sentence, icon=":material/arrow_forward:")
        else:
            st.markdown(f"- {sentence}")


def _figures(totals: health.Totals) -> None:
    figures = [
        (t("Documents"), number(totals.documents)),
        (t("Chunks"), number(totals.chunks)),
        (t("Vectors"), number(totals.vectors)),
        (t("To be indexed"), number(totals.pending)),
        (t("Quarantined"), number(totals.quarantined)),
        (t("Held deletions"), number(totals.held)),
    ]
    samples = look("metrics", lambda: shared().metrics.history())
    rate, p95 = overall(samples or [])
    figures.append((t("Queries per second"), f"{rate:.2f}" if samples else "–"))
    figures.append((t("Latency p95"), f"{p95:,.0f} ms" if p95 is not None else "–"))
    for column, (label, value) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(label, value)


def _components(rows: list[health.HealthRow]) -> None:
    st.subheader(t("Components"))
    shown = [
        {
            "component": t(row.component),
            "state": f"✔ {t('healthy')}" if row.healthy else f"✖ {t('not healthy')}",
            "reason": row.reason,
        }
        for row in rows
    ]
    columns = {"component": t("Component"), "state": t("State"), "reason": t("Reason")}
    table(shown, columns, empty="")


def _freshness(status: admin_pb2.GetStatusResponse) -> None:
    st.subheader(t("Freshness"))
    rows = [
        {
            "source": item.name,
            "age": age(item.last_complete_at.seconds or None),
            "documents": number(item.documents),
            "pending": number(item.pending),
        }
        for item in status.sources
    ]
    columns = {
        "source": t("Source"),
        "age": t("Last complete listing"),
        "documents": t("Documents"),
        "pending": t("To be indexed"),
    }
    table(rows, columns, empty=t("No source has run yet."))


def _last_runs(runs: list[Run] | ServiceError) -> None:
    st.subheader(t("Last runs"))
    if isinstance(runs, ServiceError):
        problem("Runs", runs)
        return
    shared().outages.pop("Runs", None)
    rows = [
        {**row, "started": at(row["started"]), "status": t(row["status"])} for row in run_rows(runs[:8], time.time())
    ]
    columns = {"source": t("Source"), "status": t("State"), "started": t("Started"), "seconds": t("Seconds")}
    table(rows, columns, empty=t("No run yet."))


st.title(t("Overview"))
platform()
