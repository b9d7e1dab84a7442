"""A new source, from its kind to its first document that can be asked."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from console.components import source_upload, source_wizard
from console.components.source_operations import operate, show_unwritten, source_kinds
from console.components.source_progress import first_run
from console.components.widgets import load_or_report
from console.i18n import N_
from console.presenters import new_source as forms
from console.session import api, t
from ragproto.admin.v1 import sources_pb2 as pb

_STEPS = N_(("Kind", "Connection", "Preview", "Access", "Schedule", "Review", "First run"))


def wizard(allowed: pb.GetSourcePermissionsResponse) -> None:
    """The step that the session is at."""
    draft: dict[str, Any] = st.session_state.setdefault("new-source", {})
    step = draft.get("step", 0)
    if draft.get("kind") == forms.UPLOAD:
        source_upload.upload(draft)
        if st.button(t("Back")):
            _restart()
        return
    _show_steps(step)
    if step == 0:
        if source_wizard.choose_kind(draft, source_kinds()):
            _go(draft, 1)
    elif step == 1:
        _buttons(draft, step, source_wizard.connection(draft, allowed))
        st.page_link("screens/secrets.py", label=t("Store a secret"), icon=":material/lock:")
    elif step == 2:
        source_wizard.preview(draft)
        _buttons(draft, step, [])
    elif step == 3:
        _buttons(draft, step, source_wizard.access(draft))
    elif step == 4:
        _buttons(draft, step, source_wizard.schedule(draft, allowed))
    elif step == 5:
        source_wizard.review(draft, lambda text, unchecked: _create(draft, text, unchecked))
        _buttons(draft, step, [])
    else:
        _created(draft)


def _show_steps(step: int) -> None:
    words = [
        f"**{number}. {t(name)}**" if number == step + 1 else f":gray[{number}. {t(name)}]"
        for number, name in enumerate(_STEPS, start=1)
    ]
    st.markdown(" → ".join(words))


def _buttons(draft: dict[str, Any], step: int, wrong: list[str]) -> None:
    for sentence in wrong:
        st.caption(f":material/info: {t(sentence)}")
    with st.container(horizontal=True):
        if st.button(t("Back")):
            _go(draft, step - 1)
        if step < 5 and st.button(t("Next"), type="primary", disabled=bool(wrong)):
            # A topic is consumed as messages come, so that it has no schedule.
            following = 5 if step == 3 and draft["form"].stream else step + 1
            _go(draft, following)


def _go(draft: dict[str, Any], step: int) -> None:
    draft["step"] = max(0, step)
    st.rerun()


def _create(draft: dict[str, Any], text: str, unchecked: bool) -> None:
    written_at = time.time()
    made = operate(pb.SOURCE_ACTION_CREATE, draft["name"], t("Writing the source file …"), definition=text,
                   unchecked=unchecked)  # fmt: skip
    if made is not None:
        draft.update(made=made.file, written_at=written_at, unchecked=unchecked)
        _go(draft, 6)


def _created(draft: dict[str, Any]) -> None:
    file: pb.SourceFile = draft["made"]
    if not file.written:
        show_unwritten(file)
        st.code(file.text, language="yaml")
        st.download_button(t("Download the file"), file.text, file.name, "application/yaml")
    else:
        st.success(t("The source {name} is written to {file}.", name=draft["name"], file=file.name))
        first_run(draft)
    if st.button(t("Add another source"), icon=":material/add:"):
        _restart()


def _restart() -> None:
    st.session_state.pop("new-source", None)
    st.rerun()


st.title(t("Add a source"))
permissions = load_or_report("query server", lambda: api().source_admin.permissions())
if permissions is not None:
    if permissions.allowed:
        wizard(permissions)
    else:
        st.info(t("Your tenant has no allow-lists for sources (RAG_SOURCE_ALLOWANCES). Ask a platform administrator."),
                icon=":material/lock:")  # fmt: skip
