"""What the console is called, how it looks, and what an address that is no page says."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import console
from console.identity import PRODUCT, version
from console.index_page import index_routes
from console.navigation import sections
from console.presenters.records import audit_rows
from console.presenters.tenants import receipt_rows
from console.session import Identity, platform_of, role_of
from console.settings import ConsoleSettings
from console.sign_in import sign_in_routes
from ragproto.admin.v1 import operations_pb2 as ops

SETTINGS = ConsoleSettings(sign_in="local", environment="staging")
THEME = tomllib.loads((Path(console.__file__).parent / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
GROUNDS = {
    f"{scheme}{place}": {**THEME[scheme], **(THEME[scheme]["sidebar"] if place else {})}
    for scheme, place in itertools.product(("light", "dark"), ("", " sidebar"))
}
LEAST_CONTRAST = 4.5


@pytest.fixture
def client() -> TestClient:
    from console.connections import OpenSockets

    routes = [*sign_in_routes(SETTINGS, OpenSockets()), *index_routes(SETTINGS)]
    return TestClient(Starlette(routes=routes), follow_redirects=False)


def channels(colour: str) -> list[float]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def luminance(rgb: list[float]) -> float:
    red, green, blue = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in rgb
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: list[float], other: list[float]) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", GROUNDS)
def test_texts_captions_and_links_can_be_read_on_every_ground_of_the_theme(name: str) -> None:
    colours = GROUNDS[name]
    text = channels(colours["textColor"])
    for ground in (channels(colours["backgroundColor"]), channels(colours["secondaryBackgroundColor"])):
        faded = [0.6 * part + 0.4 * below for part, below in zip(text, ground, strict=True)]  # captions
        for shown in (text, faded, channels(colours["linkColor"])):
            assert contrast(shown, ground) >= LEAST_CONTRAST


def test_the_sign_in_page_says_what_it_is_whose_version_and_where_a_password_comes_from(client: TestClient) -> None:
    shown = client.get("/sign-in").text
    for said in (PRODUCT, f"Version {version()}", "staging", "Answers from your company&#x27;s documents",
                 "rag account add NAME", "<svg"):  # fmt: skip
        assert said in shown


def test_a_language_that_was_chosen_on_the_sign_in_page_stays(client: TestClient) -> None:
    assert 'href="?language=zh&amp;next=%2Fsources"' in client.get("/sign-in", params={"next": "/sources"}).text
    assert "登录" in client.get("/sign-in", params={"language": "zh"}).text
    assert "登录" in client.get("/sign-in").text
    assert "Sign in" in client.get("/sign-in", params={"language": "<en>"}, headers={"cookie": ""}).text


@pytest.mark.parametrize("path", ["/nothing", "/sources/7", "/a.php", "/%3Cscript%3E"])
def test_an_address_that_is_no_page_says_so_under_our_name(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Page not found" in answer.text
    assert PRODUCT in answer.text
    assert "script>" not in answer.text


def test_the_first_page_is_found_by_its_name_too(client: TestClient) -> None:
    answer = client.get("/overview", params={"source": "wiki"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/?source=wiki")


@pytest.mark.parametrize("path", ["/_stcore/health", "/static/js/x.js", "/favicon.png", "/oauth2callback"])
def test_what_streamlit_answers_itself_is_left_to_it(client: TestClient, path: str) -> None:
    assert PRODUCT not in client.get(path).text


def test_the_page_of_the_app_has_the_style_of_the_console(client: TestClient) -> None:
    assert "stMainBlockContainer" in client.get("/ask").text


# --------------------------------------------------------------------------------------------------------------------
# The sidebar.

VIEWER = {"Data": ["Sources", "Documents", "Quality", "Pipeline"],
          "Operate": ["Overview", "Traffic and usage", "Evaluation", "Index"]}  # fmt: skip
ENTRIES: dict[tuple[str, ...], dict[str, list[str]]] = {
    ("query.read",): {"": ["Ask"]},
    ("ops.read",): VIEWER,
    ("query.read", "ops.read", "ops.write"): {
        "": ["Ask"], "Data": VIEWER["Data"], "Operate": [*VIEWER["Operate"], "Audit"],
    },
    ("query.read", "admin"): {
        "": ["Ask"], "Data": ["Sources", "Add a source", "Documents", "Quality", "Pipeline"],
        "Operate": [*VIEWER["Operate"], "Access", "Audit and webhooks"],
    },
    ("ops.read", "platform.read"): {
        "Data": VIEWER["Data"],
        "Operate": ["Overview", "Traffic and usage", "Evaluation", "Index and deployments", "Tenants"],
    },
    ("query.read", "admin", "platform.admin"): {
        "": ["Ask"], "Data": ["Sources", "Add a source", "Documents", "Quality", "Pipeline"],
        "Operate": ["Overview", "Traffic and usage", "Evaluation", "Index and deployments", "Tenants and access",
                    "Audit and webhooks"],
    },
    (): {},
}  # fmt: skip


@pytest.mark.parametrize("scopes", ENTRIES)
def test_a_role_sees_the_groups_and_pages_that_it_may_use_at_most_twelve(scopes: tuple[str, ...]) -> None:
    who = Identity("lin", "acme", role_of(scopes), platform_of(scopes), may_ask="query.read" in scopes)
    shown = {
        group: [title for _, title, icon in entries if icon]
        for group, entries in sections(who, str.format).items()
        if entries
    }
    assert shown == ENTRIES[scopes]
    assert sum(map(len, shown.values())) <= 12


# --------------------------------------------------------------------------------------------------------------------
# Values are words, never Python or JSON.


def test_nested_facts_of_an_action_and_a_receipt_are_words() -> None:
    record = ops.AuditRecord(actor="bob", action="tenant.egress")
    record.details.update({"egress": {"hosts": ["a", "b"], "allowed": True}})
    [row] = audit_rows([record])
    assert row["details"] == "egress: allowed: yes, hosts: a b"
    rows: list[dict[str, Any]] = receipt_rows('{"tenant": "x", "rows": {"documents": 3, "keys": []}}')
    assert [(row["name"], row["value"]) for row in rows] == [
        ("tenant", "x"), ("rows › documents", "3"), ("rows › keys", "–"),
    ]  # fmt: skip
