"""The page Tenants: what there is, where text may go, and what can be done with the tenant that is chosen."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from console.components.widgets import chosen_row, confirm, load_or_report, plain_markdown, table, today
from console.presenters import tenants as presenters
from console.session import PlatformRole, api, platform, t, zone
from ragproto.admin.v1 import tenants_pb2 as pb

_CHANGES = "tenants-changes"
"""Number of changes in this session: after one, no row is chosen."""
_DONE = "tenants-done"
_MEMORY = 16_000_000
ADMIN = PlatformRole.ADMIN


def tenants() -> None:
    """The list, and what is chosen in it."""
    _new()
    found = load_or_report("query server", lambda: api().tenants.all())
    if found is None:
        return
    items, more = found
    if said := st.session_state.pop(_DONE, ""):
        st.success(plain_markdown(said), icon=":material/check_circle:")
    if more:
        st.info(t("Only the first 10,000 are shown."))
    rows = [
        {**row, "state": t(row["state"]), "uses": ", ".join(map(t, row["uses"])) or t("nowhere"),
         "changed_at": None if row["changed_at"] is None else datetime.fromtimestamp(row["changed_at"], UTC)}
        for row in presenters.tenant_rows(items)
    ]  # fmt: skip
    columns: dict[str, Any] = {
        "name": t("Tenant"), "state": t("State"), "sources": t("Sources"), "documents": t("Documents"),
        "uses": t("Text may go to"), "reason": t("Reason"), "changed_by": t("Changed by"),
        "changed_at": st.column_config.DatetimeColumn(t("Changed"), format="YYYY-MM-DD HH:mm", timezone=str(zone())),
    }  # fmt: skip
    event = table(rows, columns, empty=t("No tenant yet. The first source or account makes one."), placeholder="–",
                  on_select="rerun", selection_mode="single-row",
                  key=f"tenants-{hash((len(rows), st.session_state.get(_CHANGES, 0)))}")  # fmt: skip
    picked = chosen_row(event)
    if picked is None or picked >= len(items):
        st.caption(t("Choose a row to act on it."))
        return
    chosen = items[picked]
    _actions(chosen)
    _receipt(chosen)
    _questions(chosen)
    _egress(chosen)


def _new() -> None:
    with st.expander(t("Create a tenant"), icon=":material/add:"):
        name = st.text_input(t("Name"), key="tenant-name", max_chars=64)

        def create(why: str) -> str:
            api().tenants.create(name.strip(), None, why)
            return _done(t("The tenant {name} is created. Accounts, keys and sources can name it now.", name=name))

        confirm(t("Create tenant"), t("It has the egress policy of the installation until it gets another."), create,
                key="tenant-create", need=ADMIN, disabled=not name.strip())  # fmt: skip


def _actions(chosen: pb.Tenant) -> None:
    name = chosen.name

    def suspend(why: str) -> str:
        api().tenants.suspend(name, why)
        return _done(t("The tenant {name} is suspended. Nothing of it is lost.", name=name))

    def resume(why: str) -> str:
        api().tenants.resume(name, why)
        return _done(t("The tenant {name} is active.", name=name))

    def erase(why: str) -> str:
        api().tenants.erase(name, why)
        return _done(t("The tenant {name} is closed and is being erased. Its receipt appears here.", name=name))

    active, suspended = chosen.state == pb.TENANT_STATE_ACTIVE, chosen.state == pb.TENANT_STATE_SUSPENDED
    with st.container(horizontal=True, vertical_alignment="bottom"):
        explain = t("Its tokens, keys and sessions are refused within a second, and its sources make no runs.")
        confirm(t("Suspend"), explain, suspend, key="tenant-suspend", icon=":material/pause:", need=ADMIN,
                disabled=not active)  # fmt: skip
        confirm(t("Resume"), t("Its tokens, keys, sessions and sources work again."), resume, key="tenant-resume",
                icon=":material/play_arrow:", need=ADMIN, disabled=not suspended)  # fmt: skip
        _export(chosen)
        typed = st.text_input(t("Type the name to erase it"), key="tenant-erase-name", max_chars=64, width=240)
        explain = t("Every document, row, point and file of it is removed for good. Export it first.")
        confirm(t("Erase"), explain, erase, key="tenant-erase", icon=":material/delete_forever:", need=ADMIN,
                must_say=True, disabled=not (active or suspended) or typed != name)  # fmt: skip


def _export(chosen: pb.Tenant) -> None:
    made = st.session_state.get("tenant-export")
    if made is not None and made[0] == chosen.name:
        made[1].seek(0)
        st.download_button(t("Download {name}", name=f"{chosen.name}.zip"), made[1], f"{chosen.name}-{today()}.zip",
                           "application/zip", key="tenant-download", icon=":material/download:")  # fmt: skip
        return

    def export(why: str) -> str:
        file = tempfile.SpooledTemporaryFile(_MEMORY)  # noqa: SIM115  the session keeps it until it is downloaded
        size = api().tenants.export(chosen.name, why, file)
        st.session_state["tenant-export"] = (chosen.name, file)
        return t("The archive is ready: {size} MB.", size=f"{size / 1e6:.1f}")

    explain = t("Rows as JSON lines with a manifest and checksums. Source files are added by `rag tenant export`.")
    confirm(t("Export"), explain, export, key="tenant-export-do", icon=":material/archive:", need=ADMIN)


def _receipt(chosen: pb.Tenant) -> None:
    if chosen.receipt_json:
        with st.expander(t("Receipt of the last erasure"), icon=":material/receipt_long:"):
            rows = presenters.receipt_rows(chosen.receipt_json)
            table(rows, {"name": t("Name"), "value": t("Value")}, empty="")
            st.download_button(t("Download the receipt"), chosen.receipt_json, f"{chosen.name}-{today()}.json",
                               "application/json", key="tenant-receipt")  # fmt: skip


def _questions(chosen: pb.Tenant) -> None:
    st.header(t("Questions without a clear answer"))
    inherited, readable = chosen.question_words_inherited, chosen.question_words
    words = {None: t("as the installation says"), True: t("in words, for administrators"),
             False: t("only how often each was asked")}  # fmt: skip
    now = t("in words, for administrators") if readable else t("only how often each was asked")
    st.caption(t("They are kept now: {how}.", how=now))
    if platform() < ADMIN:
        return
    key = f"questions-{chosen.name}-{st.session_state.get(_CHANGES, 0)}"
    place = 0 if inherited else 1 if readable else 2
    wanted = st.radio(t("Keep them"), list(words), place, key=key, format_func=words.__getitem__, horizontal=True)

    def change(why: str) -> str:
        api().tenants.set_question_words(chosen.name, wanted, why)
        return _done(t("Questions of {name} without an answer: {how}.", name=chosen.name, how=words[wanted]))

    explain = t("What people ask may be confidential. Texts that are stored go at once when they are not to be kept.")
    confirm(t("Change what is kept"), explain, change, key="tenant-questions", icon=":material/contact_support:",
            need=ADMIN, disabled=wanted == (None if inherited else readable))  # fmt: skip


def _egress(chosen: pb.Tenant) -> None:
    st.header(t("Where its text may go"))
    policy = chosen.egress
    st.caption(t("What is not allowed is refused before it leaves. Models on our own hosts need no permission."))
    rows = [
        {**row, "uses": ", ".join(map(t, row["uses"])) or t("nowhere"), "set_by": t(row["set_by"])}
        for row in presenters.source_rows(policy)
    ]
    if rows:
        table(rows, {"source": t("Source"), "uses": t("Text may go to"), "set_by": t("Set by")}, empty="")
    if platform() < ADMIN:
        return
    key, name = f"egress-{chosen.name}-{st.session_state.get(_CHANGES, 0)}", chosen.name
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        st.markdown(f"**{t('The tenant')}**")
        uses, said = _choose_uses(key, t("as the installation says"), policy.inherited, policy.uses)
    explain = [t("Text of {name} may then go to: {uses}.", name=name, uses=said)]
    with right, st.container(border=True, height="stretch"):
        st.markdown(f"**{t('One of its sources')}**")
        known = [item.name for item in load_or_report("query server", lambda: api().sources(name)) or []]
        source = st.selectbox(
            t("Source"), ["", *known], key=f"{key}-source", format_func=lambda item: item or t("none")
        )
        before = less = presenters.narrower(policy, source)
        if source:
            shown = policy.uses if before is None else before
            less, said = _choose_uses(f"{key}-of-{source}", t("as its tenant"), before is None, shown)
            explain += [t("Text of {name} may then go to: {uses}.", name=source, uses=said)]
    explain += [t("Text that is refused is not sent. Answers say so.")]

    def change(why: str) -> str:
        api().tenants.set_egress(name, uses, presenters.narrowed(policy, source, less), why)
        return _done(t("The egress policy of {name} is changed; it holds within a second.", name=name))

    changed = presenters.is_changed(policy, uses) or less != before
    confirm(t("Change the policy"), " ".join(explain), change, key="tenant-egress", icon=":material/policy:",
            need=ADMIN, disabled=not changed)  # fmt: skip


def _choose_uses(key: str, as_above: str, inherits: bool, uses: Sequence[int]) -> tuple[Sequence[int] | None, str]:
    """The endpoints that are ticked, `None` when what stands above decides; and the same in words."""
    words = {True: as_above, False: t("only to what is ticked")}
    chosen = st.radio(t("Its text may go to"), words, 0 if inherits else 1, key=key, format_func=words.__getitem__)
    ticked = [use for use, word in presenters.USES.items()
              if st.checkbox(t(word), use in uses, key=f"{key}-{use}", disabled=bool(chosen))]  # fmt: skip
    if chosen:
        return None, as_above
    return ticked, ", ".join(t(presenters.USES[use]) for use in ticked) or t("nowhere")


def _done(said: str) -> str:
    st.session_state[_CHANGES] = st.session_state.get(_CHANGES, 0) + 1
    st.session_state[_DONE] = said
    return said
