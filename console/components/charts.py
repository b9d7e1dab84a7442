"""Charts over time: units on the axis, moments in the session's time zone, colours for every kind of colour vision."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import altair as alt
import streamlit as st

from console.session import t, zone

PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999"]
"""Okabe and Ito's, which keep apart for every kind of colour vision."""
_HEIGHT, _HEIGHT_OF_WINDOW = 220, 280
_DAY = 86_400
_POINTS = 60
"""A line of fewer values has a mark on each."""
_BARS_WIDTH = 400
"""Pixels that all bars of a chart may take, when they are many."""


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
    part: str = "",
    window: tuple[float, float] | None = None,
) -> None:
    """One line, or one per value of `by`; `at` of a row is in seconds since the epoch.

    Rows that differ in `part` are not joined: there is a gap between them. `window` is the time that the axis shows.
    """
    if not rows:
        st.caption(t("The first figures appear after a few seconds."))
        return
    shown = [{**row, "at": _local(row["at"])} for row in rows]
    marked = _marked(shown, bars=bars, slots=_slots(rows, window))
    scale = alt.Scale(domain=list(bounds)) if bounds else alt.Scale(zero=True, nice=True)
    # Of figures in a window many are below 1, where `~s` would write thousandths as `m`.
    axis = alt.Axis(format="%" if percent else ",.3~r" if window else "~s", tickCount=5)
    chart = marked.encode(
        x=alt.X(
            "at:T",
            title=_times(rows),
            axis=alt.Axis(format=_clock([row["at"] for row in rows], window), labelOverlap=True, tickCount=6),
            scale=alt.Scale(domain=[_local(moment) for moment in window]) if window else alt.Undefined,
        ),
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
    if part:
        chart = chart.encode(detail=alt.Detail(f"{part}:N"))
    st.altair_chart(chart.properties(height=_HEIGHT_OF_WINDOW if window else _HEIGHT), width="stretch")


def _marked(rows: list[dict[str, Any]], *, bars: bool, slots: int) -> alt.Chart:
    chart = alt.Chart(alt.InlineData(values=rows))
    line: alt.Chart = chart.mark_line(point=len(rows) < _POINTS, color=PALETTE[0])
    bar: alt.Chart = chart.mark_bar(size=max(2, min(14, _BARS_WIDTH // slots)))
    return bar if bars else line


def _local(moment: float) -> str:
    # Without an offset Vega takes a moment for local and draws the clock that it is given.
    return f"{datetime.fromtimestamp(moment, zone()):%Y-%m-%dT%H:%M:%S}"


def _slots(rows: Sequence[dict[str, Any]], window: tuple[float, float] | None) -> int:
    """How many bars the axis has room for, those without a value counted."""
    moments = sorted({row["at"] for row in rows})
    if window is None or len(moments) < 2:
        return len(moments)
    return int((window[1] - window[0]) // min(after - before for before, after in pairwise(moments)))


def _clock(moments: Sequence[float], window: tuple[float, float] | None) -> str:
    """How fine the times on the axis must be."""
    if window is not None:
        return "%H:%M" if window[1] - window[0] <= _DAY else "%m-%d %H:%M"
    span = max(moments) - min(moments)
    return "%H:%M:%S" if 0 < span < 3600 else "%m-%d %H:%M"


def _times(rows: Sequence[dict[str, Any]]) -> str:
    return f"{t('Time')} ({datetime.fromtimestamp(rows[-1]['at'], zone()):%Z})"


OUTCOME_COLOURS = {"succeeded": PALETTE[2], "failed": PALETTE[5], "running": PALETTE[0], "canceled": PALETTE[6]}
WORDS = {"succeeded": "succeeded", "failed": "failure", "running": "running", "canceled": "canceled"}
"""Of a run: what a check does is another word in other languages."""
_ROW_HEIGHT, _FRAME_HEIGHT = 26, 110
"""Of a line of the timeline, and of its axis and legend."""


def run_timeline(bars: Sequence[dict[str, Any]], alt_text: str) -> None:
    """Runs as bars over time, a line per source; pointing at one names its run. The colour is not alone: a failed run
    has a mark too."""
    shown = [
        {**bar, "begin": _local(bar["start"]), "until": _local(bar["end"]), "ended": t(WORDS[bar["outcome"]]),
         "mark": "✖" if bar["outcome"] == "failed" else ""}
        for bar in bars
    ]  # fmt: skip
    names = sorted({bar["source"] for bar in bars})
    words = [t(WORDS[name]) for name in OUTCOME_COLOURS]
    colour = alt.Color(
        "ended:N",
        scale=alt.Scale(domain=words, range=list(OUTCOME_COLOURS.values())),
        legend=alt.Legend(title=None, orient="bottom"),
    )
    place = alt.Y("source:N", title=None, sort=names, axis=alt.Axis(labelLimit=180))
    base = alt.Chart(alt.InlineData(values=shown))
    drawn = base.mark_bar(height=12, cornerRadius=2).encode(
        x=alt.X("begin:T", title=_times([{"at": bars[-1]["end"]}]), axis=alt.Axis(format="%m-%d %H:%M", tickCount=6)),
        x2="until:T",
        y=place,
        color=colour,
        tooltip=[
            alt.Tooltip("source:N", title=t("Source")),
            alt.Tooltip("ended:N", title=t("State")),
            alt.Tooltip("begin:T", title=t("Started"), format="%Y-%m-%d %H:%M:%S"),
            alt.Tooltip("seconds:Q", title=t("Seconds"), format=",.1f"),
            alt.Tooltip("run:N", title=t("Run")),
        ],
    )
    marks = base.mark_text(dy=0, fontSize=11, align="left", dx=4).encode(x="until:T", y=place, text="mark:N")
    chart = (drawn + marks).properties(height=_FRAME_HEIGHT + _ROW_HEIGHT * len(names))
    st.altair_chart(chart, width="stretch", alt=alt_text)
