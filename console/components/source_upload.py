"""A few files from the visitor's computer, pushed as documents of a source that the platform keeps."""

from __future__ import annotations

from typing import Any

import streamlit as st

from console.clients.errors import ServiceError
from console.components import source_wizard
from console.components.source_progress import follow
from console.components.widgets import problem
from console.i18n import N_
from console.presenters import new_source as forms
from console.session import api, t


def upload(draft: dict[str, Any]) -> None:
    """Choose files, say who may read them, and push them."""
    st.caption(t("Files are kept by the platform itself. At most {count} files of {size} MB at once.",
                 count=forms.MAX_FILES, size=forms.MAX_MEGABYTES))  # fmt: skip
    name = st.text_input(t("Name of the source") + " *", draft.get("name") or "uploads", max_chars=63)
    files = st.file_uploader(t("Files"), accept_multiple_files=True, max_upload_size=forms.MAX_MEGABYTES) or []
    wrong = source_wizard.access(draft)
    if len(files) > forms.MAX_FILES:
        wrong = [*wrong, N_("Choose fewer files.")]
    wrong = [*wrong, *forms.connection_problems(forms.UPLOAD_KIND, name, draft["tenant"], {})]
    for sentence in wrong:
        st.caption(f":material/info: {t(sentence)}")
    if st.button(t("Upload files: {count}", count=len(files)), type="primary", disabled=bool(wrong) or not files):
        draft["name"], draft["uploaded"] = name, _push(name, files, draft["acl"])
    if draft.get("uploaded"):
        st.success(t("Files accepted: {count}.", count=draft["uploaded"]))
        follow(draft["name"])


def _push(name: str, files: list[Any], acl: list[str]) -> int:
    done = 0
    with st.spinner(t("Uploading …"), show_time=True):
        for file in files:
            try:
                api().put_document(name, file.name, file.getvalue(), acl)
            except ServiceError as error:
                st.text(file.name)
                problem("query server", error)
            else:
                done += 1
    return done
