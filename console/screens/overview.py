"""Overview: health of the platform and what needs attention.

Text that comes from documents is shown on every page by `st.text` and `st.dataframe` only, which interpret nothing: no
HTML, no Markdown, no links, no images. It never becomes a label, a key or a message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from console.clients.errors import ServiceError
from console.clients.grpc_api import Api
from console.clients.http import GatewayClient
from console.clients.metrics import MetricsClient, Sample
from console.components import overview as summary
from console.components.start_here import start_here
from console.components.widgets import at, load_or_report, plain_markdown, problem
from console.presenters import health
from console.presenters.conditions import bringing_up_to_date, trouble
from console.presenters.formats import duration, number
from console.presenters.sources import canary
from console.presenters.traffic import overall
from console.session import ahead, api, dagster, language, shared, t
from rag_clients.dagster import DagsterClient
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

T = TypeVar("T")

_FIGURES_IN_A_ROW = 5
_NAMES_SHOWN = 5
_RUNS = 100
_REFRESH = shared().settings.refresh_seconds


@st.fragment(run_every=_REFRESH)
def platform() -> None:
    """Overall state, components and figures; refreshes automatically."""
    place = shared()
    status_call = ahead(api, Api.status)
    histories_call = ahead(api, Api.source_history)
    runs_call = ahead(dagster, lambda client: client.runs(_RUNS))
    health_call = ahead(lambda: place.dagster, DagsterClient.health)
    gateway_call = ahead(lambda: place.gateway, GatewayClient.ready)
    alerts_call = ahead(api, Api.alerts)
    metrics_call = ahead(lambda: place.metrics, MetricsClient.history)
    status, orchestrator, gateway = _attempt(status_call), _attempt(health_call), _attempt(gateway_call)
    runs, alerts, histories = _attempt(runs_call), _attempt(alerts_call), _attempt(histories_call)
    rows = health.health_rows(status, orchestrator, gateway if isinstance(gateway, ServiceError) else None)
    sources = [] if isinstance(status, ServiceError) else list(status.sources)
    found = health.todos(rows, sources, _known(runs, []), alerts=_known(alerts, []),
                         generations=[] if isinstance(status, ServiceError) else list(status.generations))  # fmt: skip
    _overall_state(rows, found, bringing_up_to_date(sources))
    if isinstance(status, ServiceError):
        problem("Figures", status)
    else:
        shared().outages.pop("Figures", None)
        _figures(health.totals(status), load_or_report("metrics", metrics_call) or [])
    if not isinstance(status, ServiceError):
        summary.sources(status, _known(histories, []))
    left, right = st.columns(2, gap="large")
    with left:
        summary.changes(_known(histories, []), [] if isinstance(status, ServiceError) else list(status.generations))
        summary.alerts(alerts)
    with right:
        summary.run_history(runs)
    with st.expander(t("Components"), expanded=any(not row.healthy for row in rows)):
        summary.components(rows)


def _attempt(load: Callable[[], T]) -> T | ServiceError:
    try:
        return load()
    except ServiceError as error:
        return error


def _known(found: T | ServiceError, otherwise: T) -> T:
    return otherwise if isinstance(found, ServiceError) else found


def _overall_state(rows: list[health.HealthRow], found: list[health.Todo], unfinished: list[str]) -> None:
    if unfinished:
        names = ", ".join(unfinished[:_NAMES_SHOWN]) + (" …" if len(unfinished) > _NAMES_SHOWN else "")
        st.info(t("Not all is searchable yet: {names}", names=plain_markdown(names)), icon=":material/hourglass_top:")
    if not found and not unfinished:
        st.success(t("All {count} components are healthy.", count=len(rows)), icon=":material/check_circle:")
    if not found:
        return
    broken = any(not row.healthy for row in rows)
    heading = t("Needs attention: {count}", count=len(found))
    (st.error if broken else st.warning)(heading, icon=":material/error:" if broken else ":material/warning:")
    for todo in found:
        summary.todo(todo, {key: plain_markdown(_said(value)) for key, value in todo.values})


def _said(value: object) -> str:
    match value:
        case admin_pb2.SourceStatus():
            return trouble(value, t, at, language())
        case health.HealthRow():
            return value.why(t, language())
        case ops.Alert():
            return health.alert_words(value, t, language())
        case _:
            return t(str(value))  # the name of a component; others have no translation


def _figures(totals: health.Totals, samples: list[Sample]) -> None:
    figures = [
        (t("Documents"), number(totals.documents)),
        (t("Chunks"), number(totals.chunks)),
        (t("Vectors"), number(totals.vectors)),
        (t("To be indexed"), number(totals.pending)),
        (t("Quarantined"), number(totals.quarantined)),
        (t("Held deletions"), number(totals.held)),
    ]
    rate, p95 = overall(samples)
    figures.append((t("Queries per second"), f"{rate:.2f}" if samples else "–"))
    figures.append((t("Latency p95"), f"{p95:,.0f} ms" if p95 is not None else "–"))
    found = canary(samples)
    figures.append((t("Push to searchable, p95"), duration(found, t) if found is not None else "–"))
    places = [*st.columns(_FIGURES_IN_A_ROW), *st.columns(_FIGURES_IN_A_ROW)]
    for place, (label, value) in zip(places, figures, strict=False):
        place.metric(label, value)


st.title(t("Overview"))
start_here()
platform()
