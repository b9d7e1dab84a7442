"""Score and drift of a source over time, its checks by severity, and the rules that fail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from console.clients import Check
from console.session import api, t, zone
from console.ui import look, table
from console.views import quality as views

_HEIGHT = 200


def history(source: str, checks: list[Check] | None) -> None:
    """Everything about one source."""
    found = look("query server", lambda: api().quality(source))
    if found is None:
        return
    rows = views.history(found.results)
    if not rows:
        st.caption(t("No run has been judged yet."))
        return
    _charts(_zoned(rows), _zoned(views.languages(found.results)))
    left, right = st.columns([1, 2], gap="medium")
    with left:
        counted = [{**row, "severity": t(row["severity"])} for row in views.severities(checks or [])]
        st.caption(t("Checks by severity"))
        table(counted, {"severity": t("Severity"), "passed": t("passed"), "failed": t("failed"), "never": t("never")},
              empty=t("No check has run yet."))  # fmt: skip
        fired = [{**row, "severity": t(row["severity"])} for row in views.fired(list(found.results))]
        if fired:
            st.caption(t("Rules that fired in the newest run"))
            table(fired, {"rule": t("Rule"), "severity": t("Severity"), "value": t("Value")}, empty="")
    with right:
        st.caption(t("Documents that rules found, with samples"))
        table(views.finding_rows(found.findings), {"rule": t("Rule"), "found": t("Found"), "samples": t("Samples")},
              empty=t("No rule found anything."), row_height=60)  # fmt: skip


def _zoned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "at": datetime.fromtimestamp(row["at"], zone())} for row in rows]


def _charts(rows: list[dict[str, Any]], languages: list[dict[str, Any]]) -> None:
    charts = (
        (t("Score of each run (0 to 100)"), rows, "score", t("Score")),
        (t("Median size of the documents"), rows, "kibibytes", "KiB"),
        (t("Share of duplicates"), rows, "duplicates", t("Share")),
    )
    first, second = st.columns(2, gap="medium"), st.columns(2, gap="medium")
    places = (*first, *second)
    for place, (title, data, name, unit) in zip(places, charts, strict=False):
        place.caption(title)
        place.scatter_chart(data, x="at", y=name, x_label=t("Time"), y_label=unit, height=_HEIGHT)
    places[-1].caption(t("Languages"))
    places[-1].bar_chart(languages, x="at", y="share", color="language", x_label=t("Time"), y_label=t("Share"),
                         height=_HEIGHT)  # fmt: skip
