"""Charts over time: units on the axis, moments in the session's time zone, colours for every kind of colour vision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import streamlit as st

from console.i18n import N_
from console.session import t, zone

PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999"]
"""Okabe and Ito's, which keep apart for every kind of colour vision."""
_HEIGHT, _HEIGHT_OF_WINDOW = 220, 280
_DAY = 86_400
_MOMENT = "%Y-%m-%d %H:%M:%S"
_POINTS = 60
"""A line of fewer values has a mark on each."""
_LEGEND_COLUMNS, _LEGEND_ROW = 2, 20
"""Names side by side in a chart of half the page's width, which would cut off more; pixels of a row of them."""
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
    # Of figures in a window many are below 1, where `~s` would write thousandths as `m`.
    figures = "%" if percent else ",.3~r" if window else "~s"
    time_axis = {"format": _clock([row["at"] for row in rows], window), "labelOverlap": True, "tickCount": 6}
    encoding: dict[str, Any] = {
        "x": {"field": "at", "type": "temporal", "title": _times(rows), "axis": time_axis},
        "y": {
            "field": value,
            "type": "quantitative",
            "title": unit,
            "scale": {"domain": list(bounds)} if bounds else {"zero": True, "nice": True},
            "axis": {"format": figures, "tickCount": 5},
        },
        "tooltip": [
            {"field": "at", "type": "temporal", "title": t("Time"), "format": _MOMENT},
            {"field": value, "type": "quantitative", "title": unit, "format": ".1%" if percent else ".3~s"},
            *([{"field": by, "type": "nominal", "title": legend}] if by else []),
        ],
    }
    if window:
        encoding["x"]["scale"] = {"domain": [_local(moment) for moment in window]}
    if by:
        encoding["color"] = {
            "field": by,
            "type": "nominal",
            "scale": {"range": PALETTE},
            "legend": {"title": legend, "orient": "bottom", "columns": _LEGEND_COLUMNS},
        }
    if part:
        encoding["detail"] = {"field": part, "type": "nominal"}
    mark: dict[str, Any] = {"type": "line", "point": len(rows) < _POINTS, "color": PALETTE[0]}
    if bars:
        mark = {"type": "bar", "size": max(2, min(14, _BARS_WIDTH // _slots(rows, window)))}
    names = len({row[by] for row in rows}) if by else 0
    height = (_HEIGHT_OF_WINDOW if window else _HEIGHT) + _LEGEND_ROW * max(0, (names - 1) // _LEGEND_COLUMNS)
    draw({"mark": mark, "encoding": encoding}, shown, height=height)


def draw(chart: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], *, height: Any, alt: str | None = None) -> None:
    """A chart over rows, written as Vega-Lite takes it: Altair's check of one took a third of the time of a page."""
    spec = {"data": {"values": list(rows)}, "height": height, **chart}
    st.vega_lite_chart(spec=spec, width="stretch", alt=alt)


def _local(moment: float) -> str:
    # Without an offset Vega takes a moment for local and draws the clock that it is given.
    return f"{datetime.fromtimestamp(moment, zone()):%Y-%m-%dT%H:%M:%S}"


def _slots(rows: Sequence[dict[str, Any]], window: tuple[float, float] | None) -> int:
    """Return how many bars the axis has room for, those without a value counted."""
    moments = sorted({row["at"] for row in rows})
    if window is None or len(moments) < 2:
        return len(moments)
    return int((window[1] - window[0]) // min(after - before for before, after in pairwise(moments)))


def _clock(moments: Sequence[float], window: tuple[float, float] | None) -> str:
    """Return the format of the times on the axis."""
    if window is not None:
        return "%H:%M" if window[1] - window[0] <= _DAY else "%m-%d %H:%M"
    span = max(moments) - min(moments)
    return "%H:%M:%S" if 0 < span < 3600 else "%m-%d %H:%M"


def _times(rows: Sequence[dict[str, Any]]) -> str:
    return f"{t('Time')} ({datetime.fromtimestamp(rows[-1]['at'], zone()):%Z})"


OUTCOME_COLOURS = {"succeeded": PALETTE[2], "failed": PALETTE[5], "running": PALETTE[0], "canceled": PALETTE[6]}
WORDS = N_({"succeeded": "succeeded", "failed": "failure", "running": "running", "canceled": "canceled"})
"""Outcomes of a run: those of a check are other words in other languages."""
_ROW_HEIGHT, _FRAME_HEIGHT = 26, 110
"""Heights of a line of the timeline, and of its axis and legend."""


def run_timeline(bars: Sequence[dict[str, Any]], alt_text: str) -> None:
    """Runs as bars over time, a line per source or job; pointing at one names its run. The colour is not alone: a
    failed run has a mark too."""
    shown = [
        {**bar, "begin": _local(bar["start"]), "until": _local(bar["end"]), "ended": t(WORDS[bar["outcome"]]),
         "mark": "✖" if bar["outcome"] == "failed" else ""}
        for bar in bars
    ]  # fmt: skip
    names = sorted({bar["source"] for bar in bars})
    words = [t(WORDS[name]) for name in OUTCOME_COLOURS]
    source = {"field": "source", "type": "nominal", "title": None, "sort": names, "axis": {"labelLimit": 180}}
    begin = {
        "field": "begin",
        "type": "temporal",
        "title": _times([{"at": bars[-1]["end"]}]),
        "axis": {"format": "%m-%d %H:%M", "tickCount": 6},
    }
    colour = {
        "field": "ended",
        "type": "nominal",
        "scale": {"domain": words, "range": list(OUTCOME_COLOURS.values())},
        "legend": {"title": None, "orient": "bottom"},
    }
    tooltip = [
        {"field": "source", "type": "nominal", "title": t("Source or job")},
        {"field": "ended", "type": "nominal", "title": t("State")},
        {"field": "begin", "type": "temporal", "title": t("Started"), "format": _MOMENT},
        {"field": "seconds", "type": "quantitative", "title": t("Seconds"), "format": ",.1f"},
        {"field": "run", "type": "nominal", "title": t("Run")},
    ]
    drawn = {
        "mark": {"type": "bar", "height": 12, "cornerRadius": 2},
        "encoding": {"x": begin, "x2": {"field": "until"}, "y": source, "color": colour, "tooltip": tooltip},
    }
    marks = {
        # Of a colour of its own: without one it is black, also on a dark page.
        "mark": {"type": "text", "align": "left", "dx": 4, "dy": 0, "fontSize": 11, "color": OUTCOME_COLOURS["failed"]},
        "encoding": {
            "x": {"field": "until", "type": "temporal"},
            "y": source,
            "text": {"field": "mark", "type": "nominal"},
        },
    }
    draw({"layer": [drawn, marks]}, shown, height=_FRAME_HEIGHT + _ROW_HEIGHT * len(names), alt=alt_text)
