"""Charts over time: units on the axis, moments in the session's time zone, colours for every kind of colour vision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import altair as alt
import streamlit as st

from console.session import t, zone

PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999"]
"""Okabe and Ito's, which keep apart for every kind of colour vision."""
_HEIGHT = 220
_POINTS = 60
"""A line of fewer values has a mark on each."""


def over_time(
    rows: Sequence[dict[str, Any]],
    value: str,
    unit: str,
    *,
    by: str = "",
    legend: str = "",
    bounds: tuple[float, float] | None = None,
    percent: bool = False,
    bars: bool = False,
) -> None:
    """One line, or one per value of `by`; `at` of a row is in seconds since the epoch."""
    if not rows:
        st.caption(t("The first figures appear after a few seconds."))
        return
    # Without an offset Vega takes a moment for local and draws the clock that it is given.
    shown = [{**row, "at": f"{datetime.fromtimestamp(row['at'], zone()):%Y-%m-%dT%H:%M:%S}"} for row in rows]
    marked = _marked(shown, bars=bars)
    scale = alt.Scale(domain=list(bounds)) if bounds else alt.Scale(zero=True, nice=True)
    axis = alt.Axis(format="%" if percent else "~s", tickCount=5)
    chart = marked.encode(
        x=alt.X("at:T", title=_times(rows), axis=alt.Axis(format=_clock(rows), labelOverlap=True, tickCount=6)),
        y=alt.Y(f"{value}:Q", title=unit, scale=scale, axis=axis),
        tooltip=[
            alt.Tooltip("at:T", title=t("Time"), format="%Y-%m-%d %H:%M:%S"),
            alt.Tooltip(f"{value}:Q", title=unit, format=".1%" if percent else ".3~s"),
            *([alt.Tooltip(f"{by}:N", title=legend)] if by else []),
        ],
    )
    if by:
        colour = alt.Color(f"{by}:N", scale=alt.Scale(range=PALETTE), legend=alt.Legend(title=legend, orient="bottom"))
        chart = chart.encode(color=colour)
    st.altair_chart(chart.properties(height=_HEIGHT), width="stretch")


def _marked(rows: list[dict[str, Any]], *, bars: bool) -> alt.Chart:
    chart = alt.Chart(alt.InlineData(values=rows))
    line: alt.Chart = chart.mark_line(point=len(rows) < _POINTS, color=PALETTE[0])
    bar: alt.Chart = chart.mark_bar(size=14)
    return bar if bars else line


def _clock(rows: Sequence[dict[str, Any]]) -> str:
    """How fine the times on the axis must be."""
    moments = [row["at"] for row in rows]
    span = max(moments) - min(moments)
    return "%H:%M:%S" if 0 < span < 3600 else "%m-%d %H:%M"


def _times(rows: Sequence[dict[str, Any]]) -> str:
    return f"{t('Time')} ({datetime.fromtimestamp(rows[-1]['at'], zone()):%Z})"
