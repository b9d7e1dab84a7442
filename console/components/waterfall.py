"""A trace as a waterfall: a bar per span, under the span that it is part of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import streamlit as st

from console.components.charts import PALETTE
from console.session import t

_ROW_HEIGHT = 24
_LABELS = 300
"""Pixels for the names."""
_LEAST_SHARE = 0.003
"""Of the whole time, that a bar has at least: a span of microseconds must be seen."""
_ROOM = 1.12
"""The axis is so much longer than the trace, for the figure behind the last bar."""


def waterfall_chart(rows: Sequence[dict[str, Any]], total: float) -> None:
    """The rows of `console.presenters.traces.waterfall`; `total` is in milliseconds."""
    whole = max(total, 0.001)
    shown = [
        {**row, "end": max(row["end"], row["begin"] + whole * _LEAST_SHARE), "took": f"{row['ms']:,.1f} ms"}
        for row in rows
    ]
    labels = [f"{'✖ ' if row['failed'] else ''}{row['label']}" for row in rows]
    base = alt.Chart(alt.InlineData(values=shown)).encode(
        y=alt.Y(
            "row:O",
            title=None,
            axis=alt.Axis(
                labelExpr=f"{json.dumps(labels)}[datum.value]",
                labelAlign="left",
                labelPadding=_LABELS,
                labelLimit=_LABELS,
                ticks=False,
                domain=False,
            ),
        )
    )
    scale = alt.Scale(domain=[0, whole * _ROOM], nice=False)
    bars = base.mark_bar(height=_ROW_HEIGHT * 0.5, cornerRadius=2).encode(
        x=alt.X("begin:Q", title=t("Milliseconds"), scale=scale),
        x2="end:Q",
        color=alt.Color(
            "service:N", scale=alt.Scale(range=PALETTE), legend=alt.Legend(title=t("Service"), orient="top")
        ),
        tooltip=[
            alt.Tooltip("name:N", title=t("Span")),
            alt.Tooltip("service:N", title=t("Service")),
            alt.Tooltip("begin:Q", title=t("Begins after (ms)"), format=",.2f"),
            alt.Tooltip("ms:Q", title=t("Took (ms)"), format=",.2f"),
        ],
    )
    figures = base.mark_text(align="left", dx=4, fontSize=11).encode(x=alt.X("end:Q", scale=scale), text="took:N")
    chart = alt.layer(bars, figures).properties(height=alt.Step(_ROW_HEIGHT))
    st.altair_chart(chart.configure_view(stroke=None), width="stretch")
