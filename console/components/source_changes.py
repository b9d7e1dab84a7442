"""Change the file of a source, and remove a source with a receipt."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st
from google.protobuf.json_format import MessageToDict

from console.clients.errors import ServiceError
from console.components import source_wizard
from console.components.source_operations import operate, show_check, show_preview, show_unwritten, source_kinds
from console.components.widgets import problem, today
from console.i18n import N_
from console.presenters import new_source as forms
from console.presenters.formats import number
from console.presenters.sources import key_of
from console.session import api, shared, t
from ragproto.admin.v1 import sources_pb2 as pb


@st.fragment
def source_changes(name: str) -> None:
    """Edit and delete, each in a part of its own that opens on demand."""
    edit, delete = st.tabs([t("Edit"), t("Delete")])
    with edit:
        _edit(name)
    with delete:
        _delete(name)


def _edit(name: str) -> None:
    key = f"edit-{name}"
    # Each part has its place from the first drawing on: keyed inputs that move are left behind in the browser when a
    # drawing is interrupted.
    entrance, form = st.empty(), st.container()
    if key not in st.session_state and not _opened(entrance, key, name):
        return
    file: pb.SourceFile = st.session_state[key]
    with form:
        text = _edited_text(key, file)
    with st.container(horizontal=True):
        tests = st.button(t("Test connection"), key=f"{key}-test")
        previews = st.button(t("Preview"), key=f"{key}-preview")
        saves = st.button(t("Save"), key=f"{key}-save", type="primary", disabled=text == file.text)
        if st.button(t("Close"), key=f"{key}-close"):
            del st.session_state[key], st.session_state[f"{key}-edit"]
            st.rerun(scope="fragment")
    if tests and (found := operate(pb.SOURCE_ACTION_CHECK, name, t("Connecting …"), definition=text)):
        show_check(found.check)
    if previews:
        shown = operate(pb.SOURCE_ACTION_PREVIEW, name, t("Reading the first items …"), definition=text)
        if shown is not None:
            show_preview(shown.preview)
    if saves:
        saved = operate(pb.SOURCE_ACTION_UPDATE, name, t("Writing the source file …"), definition=text,
                        digest=file.digest)  # fmt: skip
        if saved is not None:
            st.session_state[key] = st.session_state[f"{key}-saved"] = saved.file
            del st.session_state[f"{key}-edit"]
            st.rerun(scope="fragment")  # begins with what was written: the platform may add to what was sent
    if file == st.session_state.pop(f"{key}-saved", None):
        _saved(file)


_MODES = N_({"form": "Form", "yaml": "YAML"})


def _edited_text(key: str, file: pb.SourceFile) -> str:
    """The file as it is being changed: by the form of the wizard, or as YAML. What one shows the other begins with."""
    edit: dict[str, Any] = st.session_state.setdefault(f"{key}-edit", {"text": file.text, "mode": ""})
    mode = st.segmented_control(t("Edit as"), list(_MODES), default="form", required=True, key=f"{key}-mode",
                                format_func=lambda name: t(_MODES[name]))  # fmt: skip
    if mode != edit["mode"]:
        draft = forms.draft_of(edit["text"], source_kinds()) if mode == "form" else None
        edit.update(mode=mode, begun=edit["text"], draft=draft, same=forms.definition(draft) if draft else "")
    if mode == "form" and edit["draft"] is None:
        st.caption(t("The form cannot show everything that this file says: change it as YAML."))
        return str(edit["text"])
    if mode == "form":
        for sentence in source_wizard.edit(edit["draft"], api().source_admin.permissions()):
            st.caption(f":material/info: {t(sentence)}")
        text = forms.definition(edit["draft"])
        edit["text"] = edit["begun"] if text == edit["same"] else text
        return str(edit["text"])
    edit["text"] = st.text_area(t("Source file (YAML)"), edit["begun"], height=320, max_chars=65_536,
                                key=f"{key}-text-{file.digest}")  # fmt: skip
    return str(edit["text"])


def _opened(place: st.delta_generator.DeltaGenerator, key: str, name: str) -> bool:
    with place.container():
        st.write(t("Reads the file of the source, which can then be changed, tested and saved."))
        asked = st.button(t("Open the source file"), key=f"{key}-open")
    if not asked or (read := operate(pb.SOURCE_ACTION_READ, name, t("Reading …"))) is None:
        return False
    place.empty()
    st.session_state[key] = read.file
    return True


def _saved(file: pb.SourceFile) -> None:
    if not file.written:
        show_unwritten(file)
        return
    if _reload():
        st.success(t("Saved. The next run uses it."))


def _reload() -> bool:
    try:
        with st.spinner(t("Loading the sources into Dagster …"), show_time=True):
            shared().dagster.load_sources()
    except ServiceError as error:
        problem("Dagster", error)
        return False
    return True


def _delete(name: str) -> None:
    key = f"delete-{name}"
    st.write(t("Removes the source file, its documents from every index, and what the platform remembers of it."))
    if st.button(t("Count what would be removed"), key=f"{key}-count"):
        counted = operate(pb.SOURCE_ACTION_DELETE, name, t("Counting …"), dry_run=True)
        if counted is not None:
            st.session_state[key] = counted.removal
    removal: pb.SourceRemoval | None = st.session_state.get(key)
    if removal is None:
        return
    st.warning(_counts(removal), icon=":material/delete:")
    why = st.text_input(t("Reason (for the audit log)"), key=f"{key}-why", max_chars=500)
    typed = st.text_input(t("Type the name of the source to confirm"), key=f"{key}-name", max_chars=63)
    if st.button(t("Delete source"), key=f"{key}-do", type="primary", disabled=typed != name):
        _end_runs(name, why)
        done = operate(pb.SOURCE_ACTION_DELETE, name, t("Deleting …"), reason=why)
        if done is not None:
            del st.session_state[key]
            _receipt(name, done)
            if _reload():
                _end_runs(name, why)  # those that a sensor started before Dagster forgot the source


def _counts(removal: pb.SourceRemoval) -> str:
    found = removal.found
    return t("Documents: {documents}, chunks: {chunks}, quarantined inputs: {quarantined}; file {file}.",
             documents=number(found.documents), chunks=number(found.chunks), quarantined=number(found.quarantined),
             file=removal.file or "–")  # fmt: skip


def _end_runs(name: str, why: str) -> None:
    """A run that is under way would hold the source, and one that waits would fail, or bring it back."""
    place = shared().dagster
    try:
        backfills, runs = place.active_work(key_of(name))
        for ids, end in ((backfills, place.cancel_backfill), (runs, place.terminate)):
            for found in ids:
                api().record("dagster.terminate", found, why, name)
                end(found)
    except ServiceError as error:
        problem("Dagster", error)


def _receipt(name: str, done: pb.SourceOperation) -> None:
    removal = done.removal
    if removal.applied:
        st.success(t("The source {name} is deleted.", name=name), icon=":material/check:")
    else:
        st.warning(t("The documents are hidden; an index has still to apply it. Delete the source again later."))
    st.text(_counts(removal))
    receipt = json.dumps(MessageToDict(done), ensure_ascii=False, indent=2)
    st.download_button(t("Download the receipt"), receipt, f"{name}-{today()}.json", "application/json")
