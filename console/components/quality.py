"""Score and drift of a source over time, its checks by severity, the rules that fail, and one quarantined input."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console.components.charts import over_time
from console.components.widgets import at, explain, load_or_report, table
from console.presenters import records as presenters
from console.presenters.formats import plain
from console.session import api, t
from rag_clients.dagster_answers import Check
from ragproto.admin.v1 import operations_pb2 as ops


def history(source: str, checks: list[Check] | None) -> None:
    """Everything about one source."""
    found = load_or_report("query server", lambda: api().quality(source))
    if found is None:
        return
    rows = presenters.history(found.results)
    if not rows:
        st.caption(t("No run has been assessed yet."))
        return
    _charts(rows, presenters.languages(found.results))
    left, right = st.columns([1, 2], gap="medium")
    with left:
        counted = [{**row, "severity": t(row["severity"])} for row in presenters.severities(checks or [])]
        st.caption(t("Checks by severity"))
        table(counted, {"severity": t("Severity"), "passed": t("passed"), "failed": t("failed"), "never": t("never")},
              empty=t("No check has run yet."))  # fmt: skip
        fired = [{**row, "severity": t(row["severity"])} for row in presenters.fired(list(found.results))]
        if fired:
            st.caption(t("Rules that fired in the newest run"))
            table(fired, {"rule": t("Rule"), "severity": t("Severity"), "value": t("Value")}, empty="")
    with right:
        st.caption(t("Documents that matched rules, with samples"))
        columns = {"rule": t("Rule"), "found": t("Found"), "samples": t("Samples")}
        table(presenters.finding_rows(found.findings), columns, empty=t("No rule matched."), row_height=60)


def _charts(rows: list[dict[str, Any]], languages: list[dict[str, Any]]) -> None:
    first, second = st.columns(2, gap="medium"), st.columns(2, gap="medium")
    with first[0]:
        st.caption(t("Score of each run (0 to 100)"))
        over_time(rows, "score", t("Score"), bounds=(0, 100))
    with first[1]:
        st.caption(t("Median size of the documents"))
        over_time(rows, "kibibytes", "KiB")
    with second[0]:
        st.caption(t("Share of duplicates"))
        over_time(rows, "duplicates", t("Share"), bounds=(0, 1), percent=True)
    with second[1]:
        st.caption(t("Languages"))
        over_time(languages, "share", t("Share"), by="language", legend=t("Language"), bounds=(0, 1), percent=True,
                  bars=True)  # fmt: skip


def quarantined_input(number: int) -> ops.QuarantineEntry | None:
    """One entry with what is stored of its input, as text; returns the entry."""
    found = load_or_report("query server", lambda: api().quarantined(number))
    if found is None:
        return None
    st.caption(t("First failure {first}, last failure {last}, run {run}", first=at(found.entry.first_at.seconds),
                 last=at(found.entry.last_at.seconds), run=found.entry.run_id[:8]))  # fmt: skip
    st.text(plain(f"{found.entry.locator}\n{found.entry.reason}"))
    explain(found.entry.reason, found.entry.message, found.entry.remedy, in_run=True, id=found.entry.run_id)
    if found.payload_withheld:
        st.info(t("A payload is stored. Only the role admin may view it."), icon=":material/lock:")
    elif found.payload:
        with st.container(height=300):
            st.text(plain(found.payload))
        if found.payload_truncated:
            st.caption(t("Only the beginning is shown."))
    else:
        st.caption(t("No content is stored for this input: it failed too early."))
    return found.entry
