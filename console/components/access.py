"""The lists of the page Access: filter, sort, export, and what can be done with the row that is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import streamlit as st

from console.components.access_forms import new_account, new_key, revoke_subject
from console.components.widgets import at, chosen_row, confirm, load_or_report, plain_markdown, table, today
from console.presenters import access as presenters
from console.presenters.records import as_csv
from console.session import PlatformRole, Role, api, platform, role, t, tenant, zone
from ragproto.admin.v1 import access_pb2 as pb

CHANGES = "access-changes"
"""Number of changes in this session: after one, no row is chosen."""
_DONE = "access-done"
"""Message of the last action: its row may have left the list, and with it what was said there."""
Row = TypeVar("Row")


def keys(*, all_tenants: bool) -> None:
    """API keys: create, revoke."""
    new_key()
    found = load_or_report("query server", lambda: api().access.keys(all_tenants=all_tenants))
    if found is None:
        return
    wanted = st.segmented_control(
        t("State"), ["valid", "revoked", "expired"], selection_mode="multi", default=["valid"], key="access-key-states",
        format_func=t,
    )  # fmt: skip
    items = [item for item in found.keys if not wanted or presenters.KEY_STATES.get(item.state) in wanted]
    columns = {"key_id": t("Key"), "name": t("Purpose"), "tenant": t("Tenant"), "scopes": t("Scopes"),
               "groups": t("Groups"), "state": t("State"), "created_by": t("Created by"),
               "created_at": t("Created"), "last_used_at": t("Last used"), "expires_at": t("Expires")}  # fmt: skip
    rows = [{**row, "state": t(row["state"])} for row in presenters.key_rows(items)]
    chosen = _list("keys", items, rows, columns, t("No API key matches."), more=bool(found.next_page_token))
    if chosen is None:
        return

    def revoke(why: str) -> str:
        api().access.revoke_key(chosen.key_id, why)
        return _done("keys", t("The key {name} is revoked; it is refused within a second.", name=chosen.key_id))

    with st.container(horizontal=True):
        explain = t("Programs that send this key are refused from then on. It cannot be undone; create another key.")
        confirm(t("Revoke"), explain, revoke, key="access-key-revoke", icon=":material/block:", need=needed(),
                disabled=chosen.state != pb.ACCESS_KEY_STATE_VALID)  # fmt: skip
        _audit_link(chosen.key_id, chosen.tenant)


def accounts(*, all_tenants: bool) -> None:
    """Accounts of the console: create, unlock, remove."""
    new_account()
    found = load_or_report("query server", lambda: api().access.accounts(all_tenants=all_tenants))
    if found is None:
        return
    columns = {"name": t("Name"), "tenant": t("Tenant"), "role": t("Role"),
               "platform": st.column_config.CheckboxColumn(t("Platform")), "groups": t("Groups"),
               "created_by": t("Created by"), "created_at": t("Created"), "last_used_at": t("Last sign-in"),
               "second_factor": st.column_config.CheckboxColumn(t("Second factor")),
               "failures": t("Failed since")}  # fmt: skip
    rows = [{**row, "role": t(row["role"])} for row in presenters.account_rows(found)]
    empty = t("No account matches. Where an identity provider knows the people there are none.")
    chosen = _list("accounts", found, rows, columns, empty)
    if chosen is None:
        return
    if chosen.failures:
        said = t("{count} failed sign-ins since the last one that succeeded, the last at {time}.",
                 count=chosen.failures, time=at(chosen.last_failure_at.seconds))  # fmt: skip
        (st.warning if chosen.failures >= presenters.MANY_FAILURES else st.info)(said)

    def unlock(why: str) -> str:
        api().access.unlock_account(chosen.name, why)
        return _done("accounts", t("{name} may try again at once.", name=chosen.name))

    def remove(why: str) -> str:
        api().access.remove_account(chosen.name, why)
        return _done("accounts", t("The account {name} is removed and its sessions have ended.", name=chosen.name))

    with st.container(horizontal=True):
        explain = t(
            "Somebody who failed to sign in too often waits 30 seconds. This ends the wait, whatever the address."
        )
        confirm(t("Unlock"), explain, unlock, key="access-account-unlock", icon=":material/lock_open:", need=needed())
        explain = t("The person cannot sign in any more, and every token of theirs is refused within a second.")
        confirm(t("Remove"), explain, remove, key="access-account-remove", icon=":material/person_remove:",
                need=needed())  # fmt: skip
        _audit_link(chosen.name, chosen.tenant)


def sessions(*, all_tenants: bool) -> None:
    """Open sessions: end."""
    st.caption(t("Tokens that are used at the console now, also those of an identity provider. They are not stored."))
    found = load_or_report("query server", lambda: api().access.sessions(all_tenants=all_tenants))
    if found is None:
        return
    columns = {"subject": t("Person"), "tenant": t("Tenant"), "scopes": t("Scopes"),
               "own": st.column_config.CheckboxColumn(t("This one")), "issued_at": t("Signed in"),
               "last_used_at": t("Last used"), "expires_at": t("Expires"), "id": t("Session")}  # fmt: skip
    rows = presenters.session_rows(found.sessions)
    chosen = _list(
        "sessions", found.sessions, rows, columns, t("No open session matches."), more=bool(found.next_page_token)
    )
    if chosen is None:
        return

    def end(why: str) -> str:
        api().access.end_session(chosen.id, why)
        return _done("sessions", t("The session of {name} has ended.", name=chosen.subject))

    with st.container(horizontal=True):
        explain = t("Its token is refused everywhere within a second. The person can sign in again.")
        confirm(t("End session"), explain, end, key="access-session-end", icon=":material/logout:", need=needed())
        _audit_link(chosen.subject, chosen.tenant)


def tokens(*, all_tenants: bool) -> None:
    """Subjects whose tokens were revoked: revoke those of another."""
    st.caption(
        t("Tokens are signed by the identity provider, or by `rag token` on one machine, and are not stored: there is"
          " no list of them, and none can be created here. A program that needs lasting access gets an API key.")
    )  # fmt: skip
    revoke_subject()
    found = load_or_report("query server", lambda: api().access.token_revocations(all_tenants=all_tenants))
    if found is None:
        return
    columns = {"subject": t("Subject"), "tenant": t("Tenant"), "issued_before": t("Refused if issued before"),
               "revoked_by": t("Revoked by"), "expires_at": t("Matters until")}  # fmt: skip
    rows = presenters.revocation_rows(found.revocations)
    empty = t("No tokens are revoked.")
    chosen = _list("tokens", found.revocations, rows, columns, empty, more=bool(found.next_page_token))
    if chosen is not None:
        _audit_link(chosen.subject, chosen.tenant)


def needed() -> Role | PlatformRole:
    """The role that acts here: an admin of the tenant, or of the platform."""
    return PlatformRole.ADMIN if role() < Role.ADMIN and platform() >= PlatformRole.ADMIN else Role.ADMIN


def _done(where: str, said: str) -> str:
    st.session_state[CHANGES] = st.session_state.get(CHANGES, 0) + 1
    st.session_state[_DONE] = (where, said)
    return said


def _list(
    name: str,
    items: Sequence[Row],
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Any],
    empty: str,
    *,
    more: bool = False,
) -> Row | None:
    """A table that is narrowed by words and exported; returns what is chosen in it. Times are columns named `…_at`."""
    where, said = st.session_state.get(_DONE, ("", ""))
    if where == name:
        st.session_state.pop(_DONE)
        st.success(plain_markdown(said), icon=":material/check_circle:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(t("Filter"), key=f"access-{name}-filter", max_chars=256, icon=":material/search:",
                             width=320, help=t("Words that stand anywhere in a row."))  # fmt: skip
        numbers = presenters.matching(rows, text)
        shown = [rows[number] for number in numbers]
        st.download_button(
            t("Export CSV"), as_csv([_exported(row) for row in shown]), f"{name}-{today()}.csv", "text/csv",
            key=f"access-{name}-export", icon=":material/download:", disabled=not shown, on_click="ignore",
        )  # fmt: skip
    if more:
        st.info(t("Only the newest 10,000 are shown."))
    times = {key for row in rows[:1] for key in row if _is_time(key)}
    event = table(
        [{key: _shown(value) if key in times else value for key, value in row.items()} for row in shown],
        {key: _time_column(label) if _is_time(key) else label for key, label in columns.items()},
        empty=empty,
        placeholder="–",
        on_select="rerun",
        selection_mode="single-row",
        key=f"access-{name}-{hash((text, len(shown), st.session_state.get(CHANGES, 0)))}",
    )
    picked = chosen_row(event)
    if picked is None or picked >= len(numbers):
        if shown:
            st.caption(t("Choose a row to act on it."))
        return None
    return items[numbers[picked]]


def _is_time(name: str) -> bool:
    return name.endswith(("_at", "_before"))


def _time_column(label: str) -> Any:
    return st.column_config.DatetimeColumn(label, format="YYYY-MM-DD HH:mm", timezone=str(zone()))


def _shown(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _exported(row: Mapping[str, Any]) -> dict[str, Any]:
    """Times as ISO 8601: a spreadsheet of another time zone must read the same moment."""
    return {
        key: datetime.fromtimestamp(value, UTC).isoformat() if _is_time(key) and value is not None else value
        for key, value in row.items()
    }


def _audit_link(target: str, whose: str) -> None:
    """Link to what the audit log says of the target."""
    if role() < Role.OPERATOR:
        return
    wanted = {"target": target} | ({"tenant": whose} if whose != tenant() else {})
    st.page_link("screens/audit.py", label=t("Its audit entries"), icon=":material/history:", query_params=wanted)
