"""Traffic: what is called, how fast and with which result, now and over hours and days; what the pipeline does."""

from __future__ import annotations

from urllib.parse import urljoin

import streamlit as st

from console.clients.metrics import Sample
from console.components.charts import over_time
from console.components.history import history_of, slowest_requests
from console.components.page_switch import page_title
from console.components.widgets import at, load_or_report, table
from console.i18n import N_
from console.presenters import traffic as presenters
from console.session import PlatformRole, identity, platform, shared, t

_SPANS = N_({"live": "Now", "hour": "1 hour", "day": "24 hours", "week": "7 days"})
# A further point appears once a minute. (A comment: Streamlit shows a string that stands alone on a page.)
_HISTORY_SECONDS = 60


@st.fragment(run_every=shared().settings.refresh_seconds)
def live() -> None:
    """The last minutes. Refreshes automatically."""
    client = shared().metrics
    samples = load_or_report("metrics", client.history)
    if samples is not None:
        st.header(t("Calls"))
        note = (
            t("Since {time}, from the services' metrics endpoints.")
            if client.has_own_history
            else t("Since {time}, from Prometheus.")
        )
        st.caption(note.format(time=at(samples[0].at) if samples else "–"))
        if platform() >= PlatformRole.READER:
            _charts(samples)
            _methods(samples)
            slowest_requests()
            _refusals(samples)
        _tenants(samples)
    if platform() >= PlatformRole.READER:
        _gateway()


def _charts(samples: list[Sample]) -> None:
    left, right = st.columns(2, gap="medium")
    for place, label, title, legend in (
        (left, "method", t("Calls per second by call"), t("Call")),
        (right, "code", t("Calls per second by result"), t("Result")),
    ):
        with place:
            st.subheader(title)
            rows = presenters.rates(samples, presenters.REQUESTS, label, without=presenters.OWN_CALLS)
            over_time(rows, "rate", t("Calls per second"), by=label, legend=legend)


def _methods(samples: list[Sample]) -> None:
    rows = [
        {
            **row,
            "rate": f"{row['rate']:.2f}",
            "errors": f"{row['errors']:.1%}",
            **{name: f"{row[name]:,.1f}" if row[name] is not None else "–" for name in ("p50", "p95", "p99")},
        }
        for row in presenters.table(samples)
    ]
    columns = {"method": t("Call"), "rate": t("Calls per second"), "p50": "p50 (ms)", "p95": "p95 (ms)",
               "p99": "p99 (ms)", "errors": t("Errors")}  # fmt: skip
    table(rows, columns, empty=t("No calls yet."))


def _refusals(samples: list[Sample]) -> None:
    left, right = st.columns([1, 3])
    left.metric(t("Shed by a full queue"), f"{presenters.shed(samples):,}")
    with right:
        columns = {"reason": t("Reason"), "calls": t("Calls")}
        table(presenters.reasons(samples), columns, empty=t("No call failed."))


def _tenants(samples: list[Sample]) -> None:
    st.subheader(t("Tenants"))
    who, others = identity(), platform() >= PlatformRole.READER
    found = presenters.tenant_rows(samples, who.tenant, who.hashes, others=others)
    rows = [{**row, "rate": f"{row['rate']:.2f}"} for row in found]
    columns = {"tenant": t("Tenant"), "calls": t("Calls"), "rate": t("Calls per second"), "failed": t("Failed"),
               "shed": t("Shed")}  # fmt: skip
    table(rows, columns, empty=t("No calls yet."))
    if others:
        st.caption(t("Other tenants are shown by their hash in the request log."))


def _gateway() -> None:
    client = shared().metrics
    found = load_or_report("gateway", lambda: (client.gateway(), client.replicas()))
    if found is None or found[0] is None:
        return
    st.header(t("Gateway"))
    left, right = st.columns(2, gap="medium")
    with left:
        st.caption(t("Query servers"))
        rows = [{**row, "health": f"{'✔' if row['health'] == 'healthy' else '✖'} {t(row['health'])}"}
                for row in presenters.replica_rows(found[1])]  # fmt: skip
        columns = {"colour": t("Colour"), "address": t("Address"), "health": t("Health"), "weight": t("Weight")}
        table(rows, columns, empty=t("None."))
    with right:
        st.caption(t("Calls by limit, since the gateway started"))
        limits = [{**row, "limit": t(row["limit"]), "refused": f"{row['refused']:,}",
                   "passed": "–" if row["passed"] is None else f"{row['passed']:,}"}
                  for row in presenters.limit_rows(found[0])]  # fmt: skip
        table(limits, {"limit": t("Limit"), "passed": t("Allowed"), "refused": t("Refused")}, empty=t("None."))


@st.fragment(run_every=_HISTORY_SECONDS)
def past(span: str, *, everyone: bool) -> None:
    """The last hours or days. Refreshes automatically."""
    history_of(span, everyone=everyone)


page_title("traffic")
if shared().settings.trace_url and platform() >= PlatformRole.READER:
    viewer = urljoin(shared().settings.trace_url, "/")
    st.link_button(t("Traces of requests, pushes and runs"), viewer, icon=":material/waterfall_chart:")
with st.container(horizontal=True, vertical_alignment="bottom"):
    asked = st.query_params.get("span", "hour")
    chosen = st.segmented_control(
        t("Time"),
        list(_SPANS),
        default=asked if asked in _SPANS else "hour",
        format_func=lambda name: t(_SPANS[name]),
        key="t-span",
        required=True,
    )
    whole = (
        st.toggle(t("All tenants"), value=True, key="t-all")
        if platform() >= PlatformRole.READER and chosen != "live"
        else False
    )
st.query_params["span"] = chosen
if chosen == "live":
    live()
else:
    past(chosen, everyone=whole)
