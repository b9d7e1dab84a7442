"""Secrets: credentials of sources, written and removed here, and shown nowhere."""

from __future__ import annotations

import streamlit as st

from console.clients.errors import ServiceError
from console.components.widgets import confirm, explain, load_or_report, plain_markdown, table
from console.session import Role, api, t
from ragproto.admin.v1 import sources_pb2 as pb

_DONE, _WRITTEN = "secrets-done", "secrets-written"


def secrets(found: pb.ListSourceSecretsResponse) -> None:
    """Names of what is stored, a form to write one, and a way to remove one."""
    if said := st.session_state.pop(_DONE, ""):
        st.success(plain_markdown(said), icon=":material/check_circle:")
    table([{"name": name} for name in found.names], {"name": t("Name")}, empty=t("No secret is stored yet."))
    _write()
    if found.names:
        _remove(list(found.names))


def _write() -> None:
    st.header(t("Store a secret"))
    # Another key after each: the fields are empty again, and the browser keeps nothing of what was typed.
    turn = st.session_state.get(_WRITTEN, 0)
    with st.form(f"secret-{turn}", clear_on_submit=True):
        note = t("shop-password is RAG_SECRET_SHOP_PASSWORD in forms and source files.")
        name = st.text_input(
            t("Name"), max_chars=100, placeholder="shop-password", key=f"secret-name-{turn}", help=note
        )
        value = st.text_input(t("Secret"), type="password", max_chars=65_536, autocomplete="new-password",
                              key=f"secret-value-{turn}")  # fmt: skip
        why = st.text_input(t("Reason (for the audit log)"), max_chars=500, key=f"secret-why-{turn}")
        stored = st.form_submit_button(t("Store"), type="primary", icon=":material/lock:")
    if not stored:
        return
    if not name.strip() or not value:
        st.warning(t("Fill in the name and the secret."))
        return
    try:
        full = api().source_admin.set_secret(name.strip(), value, why)
    except ServiceError as error:
        st.error(t("Not done: {code}.", code=error.code), icon=":material/error:")
        explain(error.code, error.detail, id=error.id)
        return
    _again(t("{name} is stored. The next run, check or preview uses it.", name=full))


def _remove(names: list[str]) -> None:
    st.header(t("Remove a secret"))
    name = st.selectbox(t("Name"), names, key="secret-gone")

    def remove(why: str) -> str:
        api().source_admin.remove_secret(name, why)
        st.session_state[_DONE] = said = t("{name} is removed. Sources that name it cannot be read.", name=name)
        return said

    confirm(t("Remove"), t("Sources that name it cannot be read until it is stored again."), remove,
            key="secret-remove", icon=":material/delete:", need=Role.ADMIN)  # fmt: skip


def _again(said: str) -> None:
    st.session_state[_DONE], st.session_state[_WRITTEN] = said, st.session_state.get(_WRITTEN, 0) + 1
    st.rerun()


st.title(t("Secrets"))
listed = load_or_report("query server", lambda: api().source_admin.secrets())
if listed is not None and listed.can_store:
    st.write(t("Credentials that sources refer to by name. They are kept encrypted outside of the database, used at "
               "once, and shown to nobody."))  # fmt: skip
    secrets(listed)
elif listed is not None:
    st.info(t("In this installation credentials are kept in its own Secret, as variables RAG_SECRET_… and as files. "
              "Set them there; forms and source files name them."), icon=":material/lock:")  # fmt: skip
