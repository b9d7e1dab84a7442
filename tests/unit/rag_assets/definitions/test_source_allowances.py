"""What an administrator of one tenant may connect a source to: what no list names is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rag_assets.connectors.allowances import reach_of, require_allowed
from rag_assets.connectors.kind import SourceOptions
from rag_assets.connectors.kinds import usable_kinds
from rag_assets.source_admin import parse_definition, render_definition
from rag_assets.source_config import SourceConfig
from rag_core.errors import PermissionDenied, Reason
from rag_core.settings import Settings, SourceAllowance

API = {"kind": "api", "url": "https://api.acme.example/items", "fields": {"id": "$.id", "content": "$.text"}}


def config(options: dict[str, Any], tenant: str = "acme") -> SourceConfig:
    return parse_definition(render_definition({"name": "wiki", "tenant": tenant, "options": options}))


def allowed(options: dict[str, Any], **lists: Any) -> bool:
    try:
        require_allowed(config(options), "acme", SourceAllowance(**lists))
    except PermissionDenied as error:
        return error.reason is not Reason.SOURCE_NOT_ALLOWED
    return True


def bearer(**reference: str) -> dict[str, Any]:
    return {**API, "auth": {"type": "bearer", "token": reference}}


def test_without_lists_nothing_is_allowed() -> None:
    with pytest.raises(PermissionDenied, match="RAG_SOURCE_ALLOWANCES"):
        require_allowed(config(API), "acme", None)
    assert not allowed(API)


def test_a_source_of_another_tenant_is_refused_whatever_the_lists_say() -> None:
    with pytest.raises(PermissionDenied, match="your own tenant"):
        require_allowed(config(API, "other"), "acme", SourceAllowance(hosts=("api.acme.example",)))


@pytest.mark.parametrize(("pattern", "fits"), [
    ("api.acme.example", True), ("*.acme.example", True), ("acme.example", False), ("*.example.org", False),
    ("*.api.acme.example", False), ("api.acme.example:443", True), ("*.acme.example:443", True),
    ("api.acme.example:8443", False),
])  # fmt: skip
def test_a_host_is_named_or_below_a_pattern(pattern: str, fits: bool) -> None:
    assert allowed(API, hosts=[pattern]) is fits


def test_a_host_that_only_ends_like_an_allowed_one_is_refused() -> None:
    assert not allowed({**API, "url": "https://evilacme.example/items"}, hosts=["*.acme.example"])


def test_a_secret_goes_to_an_allowed_host_only_when_it_is_named_too() -> None:
    hosts = ["*.acme.example"]
    assert not allowed(bearer(env="RAG_SECRET_OTHER"), hosts=hosts, secrets=["env:RAG_SECRET_ACME_*"])
    assert allowed(bearer(env="RAG_SECRET_ACME_KEY"), hosts=hosts, secrets=["env:RAG_SECRET_ACME_*"])
    assert not allowed(bearer(file="/run/secrets/rag_database_url"), hosts=hosts, secrets=["file:/run/secrets/acme/*"])


def test_a_secret_file_that_is_a_link_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    mine, other = tmp_path / "acme", tmp_path / "database-password"
    mine.mkdir()
    other.write_text("s3cret")
    (mine / "token").write_text("mine")
    (mine / "sly").symlink_to(other)
    lists = {"hosts": ["*.acme.example"], "secrets": [f"file:{mine}/*"]}
    assert allowed(bearer(file=f"{mine}/token"), **lists)
    assert not allowed(bearer(file=f"{mine}/sly"), **lists)
    assert not allowed(bearer(file=f"{mine}/../database-password"), **lists)


def test_a_folder_is_below_a_root_with_its_links_followed(tmp_path: Path) -> None:
    mine, other = tmp_path / "acme", tmp_path / "other"
    for folder in (mine / "docs", other):
        folder.mkdir(parents=True)
    (mine / "sly").symlink_to(other)
    roots = [str(mine)]
    assert allowed({"kind": "folder", "root": str(mine / "docs")}, roots=roots)
    assert not allowed({"kind": "folder", "root": str(mine / "sly")}, roots=roots)
    assert not allowed({"kind": "folder", "root": f"{mine}-archive"}, roots=roots)


def test_every_host_of_a_source_is_found() -> None:
    kafka = config({
        "kind": "topic", "brokers": "b1:9092,b2:9092", "topic": "t",
        "security": {"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER", "token_url": "https://login.example/token",
                     "username": {"env": "RAG_SECRET_ID"}, "password": {"env": "RAG_SECRET_KEY"}},
        "registry": {"url": "https://registry.example/", "auth": {
            "type": "oauth2", "token_url": "https://other-login.example/", "client_id": "c",
            "client_secret": {"file": "/run/registry"}}},
    })  # fmt: skip
    reach = reach_of(kafka)
    assert reach.hosts == ("b1", "b2", "login.example", "registry.example", "other-login.example")
    assert set(reach.secrets) == {"env:RAG_SECRET_ID", "env:RAG_SECRET_KEY", "file:/run/registry"}
    web = config({"kind": "site", "seeds": ["https://a.example/"], "sitemaps": ["https://b.example/s.xml"],
                  "hosts": ["c.example:8443"]})  # fmt: skip
    assert reach_of(web).hosts == ("a.example", "b.example", "c.example")


def test_a_kind_that_does_not_say_what_it_opens_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {name: kind.options for name, kind in usable_kinds().items()}
    assert [name for name, model in own.items() if model.opened is SourceOptions.opened] == []
    monkeypatch.delattr(own["api"], "opened")
    assert not allowed(API, hosts=["api.acme.example"])


def test_allow_lists_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAG_SOURCE_ALLOWANCES", '{"acme": {"roots": ["/srv/acme"], "hosts": ["*.acme.example"]}}')
    assert Settings.load(home=tmp_path).source_allowances["acme"].roots == ("/srv/acme",)
    with pytest.raises(ValidationError):
        SourceAllowance(secrets=("file:/run/*/x",))
