"""The wizard that writes the YAML of a new source."""

from __future__ import annotations

import streamlit as st

from console.session import t
from console.views import wizard


@st.fragment
def add_source() -> None:
    """The wizard. It writes no file: sources live in version control."""
    with st.form("wizard", border=False):
        left, right = st.columns(2)
        answers = wizard.Answers(
            name=left.text_input(t("Name"), max_chars=63),
            tenant=right.text_input(t("Tenant"), "default", max_chars=64),
            root=left.text_input(t("Folder (absolute path)"), max_chars=1024),
            acl=right.text_input(t("Who may see it (everyone, user:NAME, group:NAME)"), "everyone", max_chars=2048),
            include=left.text_input(t("Only these patterns (**/*.md, …)"), max_chars=2048),
            exclude=right.text_input(t("Not these patterns"), max_chars=2048),
            cron=left.text_input(t("Full comparison (cron)"), "0 3 * * *", max_chars=64),
            interval_seconds=int(right.number_input(t("Look for changes every (seconds)"), 5, 86_400, 30)),
        )
        if not st.form_submit_button(t("Make the YAML"), type="primary"):
            return
    for sentence in wizard.problems(answers):
        st.warning(t(sentence))
    if wizard.problems(answers):
        return
    st.code(wizard.source_yaml(answers), language="yaml")
    st.caption(
        t("Commit it as {file} in the folder of sources, then run: rag source check", file=f"{answers.name}.yaml")
    )
