"""Traffic: rates, latencies and refusals of the last minutes, and what the gateway sees."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from console.clients import Sample
from console.session import shared, t, zone
from console.ui import at, look, table
from console.views import traffic as views


@st.fragment(run_every=shared().settings.refresh_seconds)
def traffic() -> None:
    """Looks again by itself."""
    client = shared().metrics
    samples = look("metrics", client.history)
    if samples is not None:
        note = (
            t("Since {time}, from the services' own metrics pages.")
            if client.remembers
            else t("Since {time}, from Prometheus.")
        )
        st.caption(note.format(time=at(samples[0].at) if samples else "–"))
        _charts(samples)
        _methods(samples)
        _refusals(samples)
    gateway = look("gateway", client.gateway)
    if gateway is not None:
        st.subheader(t("Gateway"))
        st.metric(t("Refused by a rate limit (since it started)"), f"{views.limited(gateway):,}")
        columns = {"cluster": t("Cluster"), "hosts": t("Hosts"), "healthy": t("Healthy"), "retries": t("Retries")}
        table(views.gateway_rows(gateway), columns, empty=t("None."))


def _charts(samples: list[Sample]) -> None:
    zoned = zone()
    left, right = st.columns(2)
    for place, label, title in (
        (left, "method", t("Calls per second by method")),
        (right, "code", t("Calls per second by result")),
    ):
        rows = [
            {**row, "at": datetime.fromtimestamp(row["at"], zoned)}
            for row in views.rates(samples, views.REQUESTS, label, without="/ragproto.admin.")
        ]
        place.subheader(title)
        if rows:
            place.line_chart(
                rows, x="at", y="rate", color=label, x_label=t("Time"), y_label=t("Calls per second"), height=260
            )
        else:
            place.caption(t("The first figures come after a few seconds."))


def _methods(samples: list[Sample]) -> None:
    rows = [
        {
            **row,
            "rate": f"{row['rate']:.2f}",
            "errors": f"{row['errors']:.1%}",
            **{name: f"{row[name]:,.1f}" if row[name] is not None else "–" for name in ("p50", "p95", "p99")},
        }
        for row in views.table(samples)
    ]
    columns = {"method": t("Method"), "rate": t("Calls per second"), "p50": "p50 (ms)", "p95": "p95 (ms)",
               "p99": "p99 (ms)", "errors": t("Errors")}  # fmt: skip
    table(rows, columns, empty=t("No calls yet."))


def _refusals(samples: list[Sample]) -> None:
    left, right = st.columns([1, 3])
    left.metric(t("Shed by a full queue"), f"{views.shed(samples):,}")
    with right:
        columns = {"reason": t("Reason"), "calls": t("Calls")}
        table(views.reasons(samples), columns, empty=t("No call failed."))


st.title(t("Traffic"))
traffic()
