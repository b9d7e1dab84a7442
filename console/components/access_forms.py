"""Forms of the page Access. A secret is shown once, until the person puts it away or leaves the page."""

from __future__ import annotations

import streamlit as st

from console.components.widgets import attempt
from console.i18n import N_
from console.presenters import access as presenters
from console.session import PlatformRole, api, platform, t, tenant

MADE = "access-made-now"
"""The thing that was created just now: its kind, its name and its secret."""
MAX_DAYS = 730


def new_key() -> None:
    """Create an API key."""
    with st.expander(t("Create an API key"), icon=":material/add:"), st.form("access-new-key", border=False):
        left, right = st.columns(2, gap="medium")
        name = left.text_input(t("Purpose"), max_chars=256, help=t("What the key is for, such as nightly-report."))
        days = left.number_input(t("Days until it expires"), 1, MAX_DAYS, 90)
        whose = _tenant(left, "access-key-tenant")
        scopes = right.multiselect(
            t("Scopes"),
            _scopes(),
            default=["query.read"],
            placeholder=t("none"),
            help=t("What the key may do, within its tenant."),
        )
        groups = right.text_input(t("Groups, separated by commas"), max_chars=2000, key="access-key-groups",
                                  help=t("Documents of these groups can be found with it."))  # fmt: skip
        why = right.text_input(t("Reason (for the audit log)"), max_chars=500, key="access-key-why")
        if st.form_submit_button(t("Create key"), type="primary"):
            made = attempt(
                lambda: api().access.create_key(name.strip(), whose, scopes, presenters.names(groups), int(days), why)
            )
            if made is not None:
                st.session_state[MADE] = ("key", made.key_id, made.key)
    _show_once("key")


def new_account() -> None:
    """Create an account of the console."""
    with st.expander(t("Create an account"), icon=":material/person_add:"), st.form("access-new-account", border=False):
        left, right = st.columns(2, gap="medium")
        name = left.text_input(t("Name"), max_chars=63, key="access-account-name",
                               help=t("Lower-case letters, digits, dot, dash and underscore."))  # fmt: skip
        role = left.selectbox(t("Role"), presenters.ROLES, format_func=t)
        whose = _tenant(left, "access-account-tenant")
        groups = right.text_input(t("Groups, separated by commas"), max_chars=2000, key="access-account-groups",
                                  help=t("Documents of these groups can be read by the person."))  # fmt: skip
        why = right.text_input(t("Reason (for the audit log)"), max_chars=500, key="access-account-why")
        beyond = False
        if platform() >= PlatformRole.ADMIN:
            beyond = right.checkbox(t("Also act on the platform"), help=t("Generations, deployments, every tenant."))
        if st.form_submit_button(t("Create account"), type="primary"):
            password = attempt(
                lambda: api().access.create_account(
                    name.strip(), whose, role, presenters.names(groups), why, platform=beyond
                )
            )
            if password is not None:
                st.session_state[MADE] = ("account", name.strip(), password)
    _show_once("account")


def revoke_subject() -> None:
    """Refuse the tokens that a subject got until now."""
    with (
        st.expander(t("Revoke the tokens of a subject"), icon=":material/block:"),
        st.form("access-revoke", border=False, clear_on_submit=True),
    ):
        st.caption(t("Every token that was issued to it until now is refused within a second. New tokens work."))
        left, right = st.columns(2, gap="medium")
        subject = left.text_input(t("Subject (`sub` of the tokens)"), max_chars=256)
        whose = _tenant(left, "access-revoke-tenant")
        why = right.text_input(t("Reason (for the audit log)"), max_chars=500, key="access-revoke-why")
        if st.form_submit_button(t("Revoke tokens")):
            done = attempt(lambda: api().access.revoke_tokens(whose, subject.strip(), why))
            if done is not None:
                st.session_state["access-revoked"] = subject.strip()
    revoked = st.session_state.pop("access-revoked", None)
    if revoked:
        st.success(t("The tokens of this subject are refused:"))
        st.text(revoked)


def _show_once(kind: str) -> None:
    """The secret of what was created just now."""
    made = st.session_state.get(MADE)
    if made is None or made[0] != kind:
        return
    with st.container(border=True):
        said = N_("The key {name} was created." if kind == "key" else "The account {name} was created. Its password:")
        st.success(t(said, name=made[1]), icon=":material/check_circle:")
        st.code(made[2], language=None)
        st.caption(t("Copy it now: it is shown only this once and stored nowhere."))
        st.button(t("I have copied it"), key=f"access-{kind}-put-away", on_click=st.session_state.pop, args=(MADE,))


def _tenant(place: st.delta_generator.DeltaGenerator, key: str) -> str:
    """The tenant of what is created: one's own, or for an admin of the platform any."""
    if platform() < PlatformRole.ADMIN:
        return ""
    return place.text_input(t("Tenant"), tenant(), max_chars=64, key=key).strip()


def _scopes() -> list[str]:
    return [*presenters.TENANT_SCOPES, *(presenters.PLATFORM_SCOPES if platform() >= PlatformRole.ADMIN else ())]
