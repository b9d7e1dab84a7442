"""Search as another person on the Ask page, for platform admins: what they find, and what is hidden from them."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from console.components.passages import passages
from console.components.widgets import attempt
from console.presenters import evaluation as presenters
from console.session import PlatformRole, api, platform, t, tenant
from ragproto.query.v2 import query_pb2


@dataclass(frozen=True, slots=True)
class SearchPerson:
    """The person that the search is made for, and the reason."""

    tenant: str
    subject: str
    groups: tuple[str, ...]
    reason: str


def may() -> bool:
    """Return whether this person may search as somebody else."""
    return platform() >= PlatformRole.ADMIN


def person() -> SearchPerson:
    """Widgets for whom to ask."""
    st.caption(
        t("Searches with the permissions of somebody else. Each search is in the audit log of their tenant, with"
          " its reason. Text that you may not read yourself is left out.")
    )  # fmt: skip
    left, right = st.columns(2, gap="medium")
    whose = left.text_input(t("Tenant"), tenant(), max_chars=200, key="as-tenant")
    subject = left.text_input(t("User (optional)"), max_chars=200, key="as-subject")
    groups = right.text_area(t("Groups, one in each line"), height=68, key="as-groups")
    reason = right.text_input(t("Reason (for the audit log)"), max_chars=500, key="as-reason")
    return SearchPerson(whose.strip(), subject.strip(), tuple(presenters.lines(groups)), reason)


def search(who: SearchPerson, request: query_pb2.SearchRequest) -> None:
    """Search as the person. The result is stored: choosing a passage must not be another entry in the audit log."""
    if not who.reason.strip():
        st.warning(t("Give a reason first."))
        return
    key = (who, request.SerializeToString(deterministic=True))
    kept = st.session_state.get("asked-as")
    if kept is None or kept[0] != key:
        done = attempt(lambda: api().search_as(who.tenant, who.subject, who.groups, who.reason, request))
        if done is None:
            return
        kept = st.session_state["asked-as"] = (key, done)
    found = kept[1]
    who_text = t("user {subject}", subject=who.subject) if who.subject else t("nobody in particular")
    st.text(t("As {who} of tenant {tenant}, groups: {groups}", who=who_text, tenant=who.tenant,
              groups=", ".join(who.groups) or t("none")))  # fmt: skip
    if found.withheld:
        st.info(t("Passages without text: {count}. You may not read these documents yourself.",
                  count=len(found.withheld)), icon=":material/lock:")  # fmt: skip
    passages(request, found.found, key="as-passages")
