"""A page of Streamlit that draws a dashboard from what Prometheus answered: its panels in two columns.

Grafana comes in no package. This shows what a reader of the dashboard meets: titles, units, legends, empty panels.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import altair as alt
import streamlit as st

# Labels of an axis in each of Grafana's units that the dashboards use.
_LABELS = {
    "s": "format(datum.value, '~s') + 's'",
    "ms": "datum.value + ' ms'",
    "bytes": "format(datum.value, '~s') + 'B'",
    "percentunit": "format(datum.value, '.2~%')",
    "reqps": "format(datum.value, ',~r') + '/s'",
    "ops": "format(datum.value, ',~r') + '/s'",
    "short": "format(datum.value, ',~r')",
}


def chart(panel: dict[str, Any]) -> alt.Chart:
    rows = (len({point["series"] for point in panel["points"]}) + 1) // 2
    shown = alt.Legend(orient="bottom", title=None, columns=2, labelLimit=280, symbolLimit=20)
    return (
        alt.Chart(alt.Data(values=panel["points"]), height=190 + 20 * min(rows, 10))
        .mark_line(interpolate="linear")
        .encode(
            x=alt.X("at:T", title=None, axis=alt.Axis(format="%H:%M:%S", tickCount=6, grid=False)),
            y=alt.Y("value:Q", title=None, axis=alt.Axis(labelExpr=_LABELS[panel["unit"]], tickCount=4)),
            color=alt.Color("series:N", legend=shown),
        )
    )


def draw(panel: dict[str, Any]) -> None:
    st.markdown(f"**{panel['title']}**")
    if panel["points"]:
        st.altair_chart(chart(panel))
    else:
        st.caption(f"No data. Empty while all is well: {panel['quiet']}.")


st.set_page_config(layout="wide")
boards = json.loads(Path(sys.argv[1]).read_text("utf-8"))
board = boards[st.query_params["board"]]
st.header(f"RAG platform: {board['title']}")
for first in range(0, len(board["panels"]), 2):
    for column, one in zip(st.columns(2), board["panels"][first : first + 2], strict=False):
        with column, st.container(border=True):
            draw(one)
