"""Decisions of editors for a question: the list, and the form that adds or changes an entry."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import streamlit as st

from console.components.widgets import at, attempt, chosen_row, confirm, load_or_report, plain_markdown, table
from console.i18n import N_
from console.presenters import evaluation as presenters
from console.presenters.formats import plain
from console.session import Role, api, role, t, zone
from ragproto.query.v2 import curation_pb2 as pb

ACTIONS = N_(
    {
        pb.CURATION_ACTION_ANSWER: "Written answer",
        pb.CURATION_ACTION_PIN: "Show first",
        pb.CURATION_ACTION_BOOST: "Prefer",
        pb.CURATION_ACTION_HIDE: "Leave out",
    }
)
PARAMETER = "curate"
"""Parameter of the page with a question that is to be answered."""
_SAID = "curations-said"


def curations() -> None:
    """The entries, newest first, and the form for a new or the chosen one."""
    if said := st.session_state.pop(_SAID, None):
        st.success(said, icon=":material/check_circle:")
    st.caption(
        t("An editor's answer is given to the readers that it names, for its wordings and those close to them. It is"
          " shown as curated, with its owner.")
    )  # fmt: skip
    found = load_or_report("query server", lambda: api().curation.curations())
    if found is None:
        return
    asked = st.query_params.get(PARAMETER, "")
    with st.expander(t("Write an answer"), icon=":material/edit_note:", expanded=bool(asked)):
        _form(pb.Curation(questions=[asked] if asked else []))
    rows = [
        {"question": plain(one.questions[0]), "wordings": len(one.questions), "action": t(ACTIONS.get(one.action, "")),
         "what": plain(one.answer or f"{one.source}/{one.locator}" if one.source or one.answer else one.doc_id),
         "acl": plain(", ".join(one.acl)), "owner": plain(one.owner), "ends": _end(one)}
        for one in found
    ]  # fmt: skip
    columns = {"question": t("Question"), "wordings": t("Wordings"), "action": t("Decided"),
               "what": t("Text or document"), "acl": t("For"), "owner": t("Owner"), "ends": t("Ends")}  # fmt: skip
    event = table(rows, columns, empty=t("Nothing is curated yet."), key=f"curations-{len(rows)}", on_select="rerun",
                  selection_mode="single-row")  # fmt: skip
    picked = chosen_row(event)
    if picked is not None and picked < len(found):
        _chosen(found[picked])
    elif rows:
        st.caption(t("Choose a row to act on it."))


def _chosen(one: pb.Curation) -> None:
    def remove(why: str) -> str:
        api().curation.remove(one.id, why)
        return t("The entry is removed.")

    with st.container(border=True):
        _form(one)
        with st.container(horizontal=True):
            confirm(t("Remove"), t("The question is answered from the documents again."), remove, key="curation-remove",
                    icon=":material/delete:")  # fmt: skip
            if role() >= Role.OPERATOR:
                st.page_link("screens/audit.py", label=t("Its audit entries"), icon=":material/history:",
                             query_params={"target": str(one.id)})  # fmt: skip


def _form(one: pb.Curation) -> None:
    """Fields of an entry; a number of 0 adds a new one."""
    key = f"curation-{one.id}"
    action = st.segmented_control(
        t("Decision"), list(ACTIONS), default=one.action or pb.CURATION_ACTION_ANSWER, key=f"{key}-action",
        format_func=lambda number: t(ACTIONS[number]), required=True,
    )  # fmt: skip
    document = "" if action == pb.CURATION_ACTION_ANSWER else _document(one, key)
    barred = role() < Role.OPERATOR
    with st.form(key, border=False):
        left, right = st.columns(2, gap="medium")
        questions = left.text_area(t("Questions, one in each line"), "\n".join(one.questions), key=f"{key}-questions")
        answer = ""
        if action == pb.CURATION_ACTION_ANSWER:
            answer = left.text_area(t("Answer (Markdown)"), one.answer, key=f"{key}-answer", max_chars=8000)
        readers = right.text_input(
            t("Readers, separated by commas"), ", ".join(one.acl), key=f"{key}-acl", placeholder="everyone",
            help=t("As in the permissions of a document: everyone, user:ann, group:hr."),
        )  # fmt: skip
        owner = right.text_input(t("Owner"), one.owner, key=f"{key}-owner", max_chars=256)
        ends = right.date_input(t("Ends on (optional)"), _day(one), key=f"{key}-ends")
        why = right.text_input(t("Reason (for the audit log)"), key=f"{key}-why", max_chars=500)
        note = t("Requires the role {role}.", role=t("operator")) if barred else None
        if not st.form_submit_button(t("Save"), type="primary", disabled=barred, help=note):
            return
    wanted = pb.Curation(
        id=one.id, questions=presenters.lines(questions), action=action, answer=answer, doc_id=document,
        acl=[entry.strip() for entry in readers.split(",") if entry.strip()], owner=owner.strip(),
    )  # fmt: skip
    if isinstance(ends, date):
        wanted.ends_at.FromDatetime(datetime.combine(ends, time.max, zone()).astimezone(UTC))
    saved = attempt(lambda: api().curation.save(wanted, why))
    if saved is not None:
        st.session_state[_SAID] = plain_markdown(t("Saved: “{question}”", question=plain(saved.questions[0])))
        st.query_params.pop(PARAMETER, None)
        st.rerun()


def _document(one: pb.Curation, key: str) -> str:
    """The document that is chosen among those whose name has what was typed; that of the entry at first."""
    typed = st.text_input(t("Document: part of its name"), max_chars=200, key=f"{key}-document").strip()
    known = {one.doc_id: plain(f"{one.source}: {one.locator}")} if one.doc_id else {}
    found = load_or_report("query server", lambda: api().find(typed, limit=20)) if typed else None
    names = known | {item.doc_id: plain(f"{item.source}: {item.locator}") for item in found or []}
    return str(st.selectbox(t("Document"), list(names), format_func=names.__getitem__, key=f"{key}-doc") or "")


def _day(one: pb.Curation) -> date | None:
    return one.ends_at.ToDatetime(UTC).astimezone(zone()).date() if one.HasField("ends_at") else None


def _end(one: pb.Curation) -> str:
    return at(one.ends_at.seconds) if one.HasField("ends_at") else t("open")
