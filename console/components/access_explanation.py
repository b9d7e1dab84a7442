"""Explain on the page of a document why a person finds it or does not, for those who manage access."""

from __future__ import annotations

import streamlit as st

from console.components.widgets import at, attempt, table
from console.i18n import N_
from console.presenters import evaluation
from console.presenters.formats import plain
from console.session import Role, api, role, t
from ragproto.documents.v1 import documents_pb2 as pb

_CHECKS = N_(
    {
        pb.ACCESS_CHECK_KIND_CREDENTIALS: "The person may call",
        pb.ACCESS_CHECK_KIND_TENANT: "The document is of the person's tenant",
        pb.ACCESS_CHECK_KIND_STORED: "The document is not deleted",
        pb.ACCESS_CHECK_KIND_ADMITTED: "Its ACL admits the person",
        pb.ACCESS_CHECK_KIND_NOT_REFUSED: "Its ACL does not refuse the person",
        pb.ACCESS_CHECK_KIND_NOT_REVOKED: "No lost permission and no deletion waits for the index",
        pb.ACCESS_CHECK_KIND_INDEXED: "The index has it with this ACL",
    }
)
_ORIGINS = N_(
    {
        pb.ACCESS_ORIGIN_TENANT: "every caller of the tenant",
        pb.ACCESS_ORIGIN_TOKEN: "the token",
        pb.ACCESS_ORIGIN_ACCOUNT: "the account",
        pb.ACCESS_ORIGIN_API_KEY: "the API key",
        pb.ACCESS_ORIGIN_DIRECTORY: "a directory",
        pb.ACCESS_ORIGIN_DOCUMENT: "the document at its source",
        pb.ACCESS_ORIGIN_SOURCE: "the default of its source",
    }
)


def access_explanation(doc_id: str) -> None:
    """Ask for a person, and show the answer. Each question is on record, so it is asked by the button alone."""
    if role() < Role.ADMIN:
        return
    with st.expander(t("Why does somebody find it, or not?")):
        _form(doc_id)


def _form(doc_id: str) -> None:
    with st.form(f"access-{doc_id}", border=False):
        user = st.text_input(t("User, account, or key: with the id of an API key"), max_chars=200)
        groups = st.text_area(t("Groups of their token, one in each line; empty: those of the account"), height=68)
        reason = st.text_input(t("Reason (for the audit log)"), max_chars=500)
        sent = st.form_submit_button(t("Explain"))
    if not sent:
        return
    if not user.strip():
        st.warning(t("Name a user first."))
        return
    named = evaluation.lines(groups)
    explained = attempt(lambda: api().explain_access(doc_id, user.strip(), named, reason.strip()))
    if explained is not None:
        _show(explained)


def _show(explained: pb.ExplainAccessResponse) -> None:
    if explained.allowed:
        st.success(t("A search of this person finds it now."), icon=":material/check_circle:")
    else:
        st.warning(t("No search of this person finds it."), icon=":material/lock:")
    for check in explained.checks:
        st.text(f"{'✔' if check.passed else '✖'} {t(_CHECKS.get(check.kind, 'unknown'))}"
                f"{': ' + plain(check.detail) if check.detail else ''}"
                f"{' · ' + at(check.since.seconds) if check.HasField('since') else ''}")  # fmt: skip
    rows = [
        {"whose": t(whose), "entry": plain(one.entry), "matches": "✔" if one.matches else "",
         "origin": t(_ORIGINS.get(one.origin, "unknown")), "detail": plain(one.detail),
         "since": at(one.since.seconds) if one.HasField("since") else ""}
        for whose, entries in ((N_("Person"), explained.entries), (N_("Document"), explained.acl))
        for one in entries
    ]  # fmt: skip
    columns = {"whose": t("Of"), "entry": t("ACL entry"), "matches": t("Decides"), "origin": t("Comes from"),
               "detail": t("Details"), "since": t("Since")}  # fmt: skip
    table(rows, columns, empty=t("Nobody may read it."))
