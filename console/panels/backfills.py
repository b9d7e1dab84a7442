"""Backfills and how far each is."""

from __future__ import annotations

import streamlit as st

from console.session import dagster, shared, t
from console.ui import age, look, table
from console.views import pipeline as views


@st.fragment(run_every=shared().settings.refresh_seconds)
def backfills() -> None:
    """The newest backfills; looks again by itself."""
    found = look("Dagster", lambda: dagster().backfills())
    if found is None:
        return
    rows = [{**row, "at": age(row["at"]), "status": t(row["status"])} for row in views.backfill_rows(found)]
    columns = {
        "source": t("Source"),
        "status": t("State"),
        "at": t("Started"),
        "progress": st.column_config.ProgressColumn(t("Progress"), format="percent", min_value=0, max_value=1),
        "done": t("Shards done"),
        "failed": t("Failed"),
    }
    table(rows, columns, empty=t("None."))
