"""The lists of the page Webhooks, and what can be done with the row that is chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import streamlit as st
from google.protobuf.json_format import MessageToDict

from console.components.access import needed
from console.components.widgets import attempt, chosen_row, confirm, load_or_report, plain_markdown, table
from console.i18n import N_
from console.presenters import webhooks as presenters
from console.session import PlatformRole, Role, api, platform, role, t, tenant, zone
from ragproto.admin.v1 import webhooks_pb2 as pb

SECRET = "webhooks-secret-made-now"  # noqa: S105  a key of the session
"""The thing that was created just now: the webhook and its secret."""
_CHANGES = "webhooks-changes"
_DONE = "webhooks-done"


def subscriptions(*, all_tenants: bool) -> None:
    """Webhooks: create, test, switch, rotate, remove."""
    _new()
    _show_secret()
    found = load_or_report("query server", lambda: api().webhooks.webhooks(all_tenants=all_tenants))
    if found is None:
        return
    columns = {"url": t("Address"), "events": t("Events"), "state": t("State"), "pending": t("Waiting"),
               "description": t("Purpose"), "id": t("Webhook"), "created_by": t("Created by"),
               "created_at": _time(t("Created"))}  # fmt: skip
    if all_tenants:
        columns["tenant"] = t("Tenant")
    rows = [{**row, "state": t(row["state"])} for row in presenters.webhook_rows(found)]
    number = _choose("subscriptions", rows, columns, t("Nothing is sent yet. Create a webhook."))
    if number is not None:
        _act_on(found[number])


def deliveries(*, all_tenants: bool) -> None:
    """The log: filter, read one, send again."""
    known = load_or_report("query server", lambda: api().webhooks.webhooks(all_tenants=all_tenants))
    if known is None:
        return
    addresses = {item.id: item.url for item in known}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        webhook = st.selectbox(
            t("Webhook"), ["", *addresses], key="webhooks-of", width=420,
            format_func=lambda one: addresses.get(one, one) or t("All"),
        )  # fmt: skip
        state = st.segmented_control(
            t("State"), list(presenters.STATES), key="webhooks-state", format_func=lambda one: t(presenters.STATES[one])
        )
        st.button(t("Refresh"), key="webhooks-refresh", icon=":material/refresh:")
    found = load_or_report(
        "query server",
        lambda: api().webhooks.deliveries(
            all_tenants=all_tenants, webhook=webhook or "", state=state or pb.WEBHOOK_DELIVERY_STATE_UNSPECIFIED,
            page_token=_page((webhook, state, all_tenants)),
        ),
    )  # fmt: skip
    if found is None:
        return
    columns = {"occurred_at": _time(t("Happened")), "type": t("Event"), "about": t("About"), "state": t("State"),
               "attempts": t("Tries"), "answer": t("Last answer"),
               "milliseconds": st.column_config.NumberColumn(t("Duration"), format="%d ms"),
               "next_attempt_at": _time(t("Next try")), "id": t("Delivery")}  # fmt: skip
    rows = [{**row, "state": t(row["state"])} for row in presenters.delivery_rows(found.deliveries)]
    number = _choose("deliveries", rows, columns, t("Nothing was sent."))
    _pages(found.next_page_token)
    if number is not None:
        _show(found.deliveries[number], addresses)


def _new() -> None:
    with (
        st.expander(t("Create a webhook"), icon=":material/add:"),
        st.form("webhooks-new", border=False, clear_on_submit=False),
    ):
        left, right = st.columns(2, gap="medium")
        url = left.text_input(t("Address"), max_chars=2048, placeholder="https://example.com/hooks/rag",
                              help=t("Messages are posted there. It must begin with https:// and be public, unless an "
                                     "operator allows its network."))  # fmt: skip
        events = left.multiselect(
            t("Events"),
            presenters.EVENTS,
            placeholder=t("All"),
            help=t("When none is chosen, all are sent, also those of later releases."),
        )
        whose = ""
        if platform() >= PlatformRole.ADMIN:
            whose = left.text_input(t("Tenant"), tenant(), max_chars=64, key="webhooks-tenant").strip()
        purpose = right.text_input(t("Purpose"), max_chars=256, key="webhooks-purpose")
        why = right.text_input(t("Reason (for the audit log)"), max_chars=500, key="webhooks-why")
        if st.form_submit_button(t("Create webhook"), type="primary"):
            made = attempt(lambda: api().webhooks.create(whose, url.strip(), events or ["*"], purpose.strip(), why))
            if made is not None:
                st.session_state[SECRET] = (made.webhook.url, made.secret)


def _show_secret() -> None:
    made = st.session_state.get(SECRET)
    if made is None:
        return
    with st.container(border=True):
        st.success(t("This secret verifies the messages to {name}:", name=plain_markdown(made[0])),
                   icon=":material/check_circle:")  # fmt: skip
        st.code(made[1], language=None)
        st.caption(t("Copy it now: it is shown only this once and stored nowhere."))
        st.button(t("I have copied it"), key="webhooks-put-away", on_click=st.session_state.pop, args=(SECRET,))


def _act_on(chosen: pb.Webhook) -> None:
    if chosen.disabled_reason:
        st.warning(t("It was switched off by itself, because its receiver said that it is gone: {code}.",
                     code=chosen.disabled_reason))  # fmt: skip
    elif chosen.enabled and chosen.failures:
        st.warning(t("{count} messages in a row did not arrive. They are tried again.", count=chosen.failures))

    def test(_why: str) -> str:
        number = api().webhooks.test(chosen.id)
        return _done("subscriptions", t("Delivery {number} is sent; see the tab Deliveries.", number=number))

    def switch(why: str) -> str:
        api().webhooks.set_enabled(chosen.id, why, enabled=not chosen.enabled)
        said = N_("The webhook is off. What happens now is not sent later." if chosen.enabled else "The webhook is on.")
        return _done("subscriptions", t(said))

    def rotate(why: str) -> str:
        made = api().webhooks.rotate(chosen.id, why)
        st.session_state[SECRET] = (chosen.url, made.secret)
        return _done("subscriptions", t("There is a new secret. The old one signs as well for a while."))

    def remove(why: str) -> str:
        api().webhooks.remove(chosen.id, why)
        return _done("subscriptions", t("The webhook and its log are deleted."))

    with st.container(horizontal=True):
        confirm(t("Send a test"), t("Sends the event webhook.test."), test, key="webhooks-test",
                icon=":material/send:", need=needed(), asks=False, disabled=not chosen.enabled)  # fmt: skip
        explain = t("Messages are signed with both secrets for a while, so that the receiver can change without a gap.")
        confirm(t("New secret"), explain, rotate, key="webhooks-rotate", icon=":material/key:", need=needed())
        explain = t("What happens while a webhook is off is not sent later.")
        confirm(t("Switch off") if chosen.enabled else t("Switch on"), explain, switch, key="webhooks-switch",
                icon=":material/power_settings_new:", need=needed())  # fmt: skip
        explain = t("Its log is deleted too. It cannot be undone.")
        confirm(t("Remove"), explain, remove, key="webhooks-remove", icon=":material/delete:", need=needed())
        _audit_link(chosen.id, chosen.tenant)


def _show(chosen: pb.WebhookDelivery, addresses: Mapping[str, str]) -> None:
    st.text(t("To {name}", name=addresses.get(chosen.webhook_id, chosen.webhook_id)))
    event = {"type": chosen.type, "webhook-id": chosen.event_id, "data": MessageToDict(chosen.data)}
    st.code(json.dumps(event, ensure_ascii=False, indent=2), language=None)

    def again(why: str) -> str:
        api().webhooks.redeliver(chosen.id, "", why)
        return _done("deliveries", t("Delivery {number} is sent again.", number=chosen.id))

    def all_failed(why: str) -> str:
        count = api().webhooks.redeliver(0, chosen.webhook_id, why)
        return _done("deliveries", t("{count} deliveries are sent again.", count=count))

    with st.container(horizontal=True):
        explain = t("The receiver knows a repeated message by its webhook-id.")
        confirm(t("Send again"), explain, again, key="webhooks-again", icon=":material/replay:", need=needed())
        explain = t("Every delivery of this webhook that failed is sent again.")
        confirm(t("Send all failed again"), explain, all_failed, key="webhooks-all-again",
                icon=":material/restart_alt:", need=needed())  # fmt: skip


def _choose(name: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any], empty: str) -> int | None:
    """A table; returns the number of the row that is chosen in it."""
    where, said = st.session_state.get(_DONE, ("", ""))
    if where == name:
        st.session_state.pop(_DONE)
        st.success(plain_markdown(said), icon=":material/check_circle:")
    shown = [{key: _moment(value) if key.endswith("_at") else value for key, value in row.items()} for row in rows]
    event = table(
        shown, columns, empty=empty, placeholder="–", on_select="rerun", selection_mode="single-row",
        key=f"webhooks-{name}-{hash((len(rows), st.session_state.get(_CHANGES, 0)))}",
    )  # fmt: skip
    picked = chosen_row(event)
    if picked is None or picked >= len(rows):
        if rows:
            st.caption(t("Choose a row to act on it."))
        return None
    return picked


def _page(wanted: object) -> str:
    """The token of the page that is shown; another choice begins at the first."""
    if st.session_state.get("webhooks-chosen") != wanted:
        st.session_state["webhooks-chosen"], st.session_state["webhooks-pages"] = wanted, [""]
    return str(st.session_state["webhooks-pages"][-1])


def _pages(following: str) -> None:
    pages: list[str] = st.session_state["webhooks-pages"]
    if len(pages) == 1 and not following:
        return
    with st.container(horizontal=True):
        st.button(t("Newer"), key="webhooks-newer", disabled=len(pages) == 1, on_click=pages.__delitem__, args=(-1,))
        st.button(t("Older"), key="webhooks-older", disabled=not following, on_click=pages.append, args=(following,))


def _done(where: str, said: str) -> str:
    st.session_state[_CHANGES] = st.session_state.get(_CHANGES, 0) + 1
    st.session_state[_DONE] = (where, said)
    return said


def _time(label: str) -> Any:
    return st.column_config.DatetimeColumn(label, format="YYYY-MM-DD HH:mm:ss", timezone=str(zone()))


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _audit_link(target: str, whose: str) -> None:
    if role() >= Role.OPERATOR:
        wanted = {"target": target} | ({"tenant": whose} if whose != tenant() else {})
        st.page_link("screens/audit.py", label=t("Its audit entries"), icon=":material/history:", query_params=wanted)
