"""A trace as a waterfall: a bar per span, under the span that it is part of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from console.components.charts import PALETTE, draw
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
    names = {
        "field": "row",
        "type": "ordinal",
        "title": None,
        "axis": {
            "labelExpr": f"{json.dumps(labels)}[datum.value]",
            "labelAlign": "left",
            "labelPadding": _LABELS,
            "labelLimit": _LABELS,
            "ticks": False,
            "domain": False,
        },
    }
    scale = {"domain": [0, whole * _ROOM], "nice": False}
    bars = {
        "mark": {"type": "bar", "height": _ROW_HEIGHT * 0.5, "cornerRadius": 2},
        "encoding": {
            "y": names,
            "x": {"field": "begin", "type": "quantitative", "title": t("Milliseconds"), "scale": scale},
            "x2": {"field": "end"},
            "color": {
                "field": "service",
                "type": "nominal",
                "scale": {"range": PALETTE},
                "legend": {"title": t("Service"), "orient": "top"},
            },
            "tooltip": [
                {"field": "name", "type": "nominal", "title": t("Span")},
                {"field": "service", "type": "nominal", "title": t("Service")},
                {"field": "begin", "type": "quantitative", "title": t("Begins after (ms)"), "format": ",.2f"},
                {"field": "ms", "type": "quantitative", "title": t("Took (ms)"), "format": ",.2f"},
            ],
        },
    }
    figures = {
        "mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 11},
        "encoding": {
            "y": names,
            "x": {"field": "end", "type": "quantitative", "scale": scale},
            "text": {"field": "took", "type": "nominal"},
        },
    }
    chart = {"layer": [bars, figures], "config": {"view": {"stroke": None}}}
    draw(chart, shown, height={"step": _ROW_HEIGHT})
