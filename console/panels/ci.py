"""Pipelines and environments of GitLab, when it is configured."""

from __future__ import annotations

import streamlit as st

from console.session import shared, t
from console.ui import age, look, table
from console.views import deployments as views


@st.fragment(run_every=60)
def ci() -> None:
    """Looks again every minute: GitLab limits how often it may be asked."""
    gitlab = shared().gitlab
    if not gitlab.configured:
        return
    st.subheader("GitLab")
    left, right = st.columns(2, gap="medium")
    with left:
        pipelines = look("GitLab", gitlab.pipelines)
        if pipelines is not None:
            rows = [{**row, "at": age(row["at"])} for row in views.pipeline_rows(pipelines)]
            columns = {"number": t("Pipeline of GitLab"), "status": t("State"), "ref": t("Branch or tag"),
                       "commit": t("Commit"), "at": t("Changed")}  # fmt: skip
            table(rows, columns, empty=t("None."))
    with right:
        environments = look("GitLab", gitlab.environments)
        if environments is not None:
            rows = [{**row, "at": age(row["at"])} for row in views.environment_rows(environments)]
            columns = {"name": t("Environment"), "state": t("State"), "deployed": t("Deployed"), "at": t("Changed")}
            table(rows, columns, empty=t("None."))
