"""The frame of every page: signed-in user, language and time zone, navigation."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from console.clients.errors import SIGNED_OUT, ServiceError
from console.components.page_language import set_page_language
from console.components.widgets import DOWN, problem
from console.i18n import LANGUAGES
from console.session import Platform, Role, api, identify, language, shared, t
from console.sign_in import sign_in_address

# Not `pages`: Streamlit runs the files of that folder automatically, without this frame, for any visitor.
_PAGES = Path(__file__).parent / "screens"
_NAMES = sorted(path.stem for path in _PAGES.glob("*.py"))
FIRST_PAGE = "overview"
_DRAWN, _SEEN = "page-was-drawn-just-now", "parts-that-were-down-then"


def _navigation(role: Role, beyond: Platform) -> list[StreamlitPage]:
    wanted = [
        ("overview", t("Overview"), ":material/monitoring:"),
        ("sources", t("Sources"), ":material/folder_open:"),
        ("add_source", t("Add a source"), ":material/add:"),
        ("documents", t("Documents"), ":material/description:"),
        ("pipeline", t("Pipeline"), ":material/account_tree:"),
        ("quality", t("Quality"), ":material/fact_check:"),
        ("evaluation", t("Evaluation"), ":material/quiz:"),
        ("index", t("Index"), ":material/database:"),
        ("ask", t("Ask"), ":material/forum:"),
        ("traffic", t("Traffic"), ":material/speed:"),
        ("usage", t("Usage"), ":material/payments:"),
    ]
    if beyond >= Platform.READER:
        if shared().traces.configured:
            wanted.append(("traces", t("Traces"), ":material/waterfall_chart:"))
        wanted.append(("deployments", t("Deployments"), ":material/rocket_launch:"))
        wanted.append(("tenants", t("Tenants"), ":material/apartment:"))
    if role >= Role.OPERATOR:
        wanted.append(("audit", t("Audit"), ":material/history:"))
    if role >= Role.ADMIN or beyond >= Platform.ADMIN:
        wanted.append(("webhooks", t("Webhooks"), ":material/webhook:"))
        wanted.append(("access", t("Access"), ":material/key:"))
    if role < Role.ADMIN and beyond < Platform.ADMIN:
        wanted = [page for page in wanted if page[0] != "add_source"]
    return [
        st.Page(_PAGES / f"{name}.py", title=title, icon=icon, url_path=name, default=name == FIRST_PAGE)
        for name, title, icon in wanted
    ]


def _sidebar(name: str, role: Role) -> None:
    with st.sidebar:
        names = list(LANGUAGES)
        st.segmented_control(
            "Language / 语言",
            names,
            default=language(),
            required=True,
            key="language",
            format_func=LANGUAGES.__getitem__,
        )
        st.toggle(t("Show times in UTC"), key="utc", help=t("When off, times are in your browser's time zone."))
        if name:
            st.caption(t("Signed in as {name} ({role})", name=name, role=t(role.name.lower())))
        _sign_out()


def _sign_out() -> None:
    mode = shared().settings.sign_in
    if mode == "oidc" and st.user.is_logged_in:
        st.button(t("Sign out"), on_click=_leave)
    elif mode == "local":
        st.link_button(t("Sign out"), "/sign-out")


def _leave() -> None:
    """End the session at the API, whose token others may hold, then in this browser."""
    with suppress(ServiceError):
        api().sign_out()
    st.logout()


def _show_sign_in(error: ServiceError) -> None:
    """The page of a visitor whom the API did not verify."""
    st.title(t("RAG platform"))
    mode = shared().settings.sign_in
    if error.code not in SIGNED_OUT:
        problem("query server", error)
        st.caption(t("Your sign-in cannot be verified now. This page retries automatically."))
        _retry()
    elif mode == "oidc":
        st.button(t("Sign in"), type="primary", on_click=st.login)
    elif mode == "local":
        st.info(t("You are signed out."))
        address = urlsplit(st.context.url or "")
        page = f"{address.path}?{urlencode(st.query_params.to_dict())}" if len(st.query_params) else address.path
        st.link_button(t("Sign in"), sign_in_address(page or "/"), type="primary")
    else:
        st.warning(t("No valid access token: {code}.", code=error.code))


@st.fragment(run_every=shared().settings.refresh_seconds)
def _retry() -> None:
    try:
        identify()
    except ServiceError as error:
        if error.code not in SIGNED_OUT:
            return
    st.rerun()


@st.fragment(run_every=shared().settings.refresh_seconds)
def _recover() -> None:
    """Redraw the page when a service went down or came back, and while a panel waits for one."""
    place = shared()
    try:
        identify()
    except ServiceError as error:
        if error.code in SIGNED_OUT:
            st.rerun()
    # Alerts are read from the database, so that this is asked for as well.
    down = place.health_cache.down({"query server": lambda: api().alerts(), "Dagster": lambda: place.dagster.health()})
    if st.session_state.pop(_DRAWN, False):
        st.session_state[_SEEN] = down
    elif st.session_state.get(DOWN) or down != st.session_state.get(_SEEN):
        st.rerun()


def _main() -> None:
    st.session_state.pop(DOWN, None)
    try:
        st.session_state["identity"] = who = identify()
    except ServiceError as error:
        refusal = error
        st.session_state.pop("identity", None)
        _sidebar("", Role.NONE)
        # Without a navigation of our own Streamlit would offer what it finds itself; without all addresses it would lay
        # "page not found" over the sign-in of somebody who opened a deep link.
        places = [
            st.Page(partial(_show_sign_in, refusal), title="RAG platform", url_path=name, default=name == FIRST_PAGE)
            for name in _NAMES
        ]
        st.navigation(places, position="hidden").run()
        return
    pages = _navigation(who.role, who.platform)
    _sidebar(who.subject, who.role)
    with st.sidebar:
        set_page_language(language())
    # Expanded: Streamlit would hide all pages after the tenth behind words of its own, which are not translated.
    st.navigation(pages, expanded=True).run()
    st.session_state[_DRAWN] = True
    _recover()


# A bundled icon: without one Streamlit fetches the icon of the page from a host on the internet.
st.set_page_config(page_title="RAG platform", page_icon=str(Path(__file__).parent / "icon.png"), layout="wide")
_main()
