"""Source files are written, replaced and deleted by name, and never over another one. What an administrator of one
tenant may connect a source to: what no list names is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

from rag_assets.config import files_fingerprint, load_sources
from rag_assets.connectors.allowances import reach_of, require_allowed
from rag_assets.connectors.kind import SourceOptions
from rag_assets.connectors.kinds import usable_kinds
from rag_assets.defs.sources.files import files_sensor
from rag_assets.resources import PIPELINE
from rag_assets.source_admin import SourceFolder, parse_definition, render_definition
from rag_assets.source_config import SourceConfig
from rag_core.content.sources import problem_store
from rag_core.database import Store
from rag_core.errors import ConfigError, Conflict, NotFound, PermissionDenied, Reason
from rag_core.ingestion.pipeline import Pipeline
from rag_core.settings import Settings, SourceAllowance


def text_of(name: str, root: str = "/srv/docs") -> str:
    return render_definition({"name": name, "tenant": "acme", "options": {"kind": "folder", "root": root}})


def config(name: str) -> SourceConfig:
    return parse_definition(text_of(name))


def test_a_new_source_is_read_back_by_the_code_location(tmp_path: Path) -> None:
    made = SourceFolder(tmp_path / "sources").add(config("hand-book"), text_of("hand-book"))
    assert (made.file, made.written) == ("hand-book.yaml", True)
    assert [source.name for source in load_sources(tmp_path / "sources")] == ["hand-book"]


def test_the_same_request_again_is_no_error_and_another_one_is(tmp_path: Path) -> None:
    files = SourceFolder(tmp_path)
    files.add(config("wiki"), text_of("wiki"))
    assert files.add(config("wiki"), text_of("wiki")).written
    with pytest.raises(Conflict) as refused:
        files.add(config("wiki"), text_of("wiki", "/srv/other"))
    assert refused.value.reason is Reason.DUPLICATE_SOURCE


def test_names_that_dagster_takes_for_the_same_are_the_same(tmp_path: Path) -> None:
    files = SourceFolder(tmp_path)
    files.add(config("hand-book"), text_of("hand-book"))
    with pytest.raises(Conflict):
        files.add(config("hand_book"), text_of("hand_book"))


def test_a_change_is_refused_when_the_file_is_no_longer_what_was_read(tmp_path: Path) -> None:
    files = SourceFolder(tmp_path)
    read = files.add(config("wiki"), text_of("wiki"))
    files.replace("wiki", config("wiki"), text_of("wiki", "/srv/second"), read.digest)
    with pytest.raises(Conflict) as refused:
        files.replace("wiki", config("wiki"), text_of("wiki", "/srv/third"), read.digest)
    assert refused.value.reason is Reason.SOURCE_CHANGED
    assert "/srv/second" in files.find("wiki").text


def test_a_change_keeps_the_name_of_the_source(tmp_path: Path) -> None:
    files = SourceFolder(tmp_path)
    files.add(config("wiki"), text_of("wiki"))
    with pytest.raises(Conflict):
        files.replace("wiki", config("pages"), text_of("pages"))


def test_a_deleted_file_is_gone_and_deleting_it_again_is_no_error(tmp_path: Path) -> None:
    files = SourceFolder(tmp_path)
    files.add(config("wiki"), text_of("wiki"))
    gone = files.delete("wiki")
    assert gone is not None
    assert gone.text == text_of("wiki")
    assert files.delete("wiki") is None
    with pytest.raises(NotFound):
        files.find("wiki")


def test_a_definition_with_mistakes_names_all_of_them() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_definition(text_of("wiki").replace("acme", "a b").replace("root: /srv", "root: srv"))
    assert "attributes.tenant" in refused.value.message
    assert "options.root" in refused.value.message


def test_a_definition_without_bounds_is_refused() -> None:
    with pytest.raises(ConfigError, match="longer than"):
        parse_definition("#" * 70_000)


def test_the_watcher_says_which_files_it_saw_and_stores_what_is_wrong(settings: Settings, store: Store) -> None:
    """`rag source reload`, `rag up` and the console wait until what it saw is what is loaded."""
    folder = settings.effective_sources_dir
    folder.mkdir(parents=True)
    (folder / "broken.yaml").write_text("type: [")
    loaded = files_fingerprint(folder)
    with Pipeline(settings) as pipeline, dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance, resources={PIPELINE: pipeline})
        files_sensor(settings, loaded)(context)
        assert context.cursor == loaded
        with pipeline.store.engine.connect() as connection:
            assert {problem.place for problem in problem_store.of(connection, None)} == {"sources/broken.yaml"}


API = {"kind": "api", "url": "https://api.acme.example/items", "fields": {"id": "$.id", "content": "$.text"}}


def allowed_config(options: dict[str, Any], tenant: str = "acme") -> SourceConfig:
    return parse_definition(render_definition({"name": "wiki", "tenant": tenant, "options": options}))


def allowed(options: dict[str, Any], **lists: Any) -> bool:
    try:
        require_allowed(allowed_config(options), "acme", SourceAllowance(**lists))
    except PermissionDenied as error:
        return error.reason is not Reason.SOURCE_NOT_ALLOWED
    return True


def bearer(**reference: str) -> dict[str, Any]:
    return {**API, "auth": {"type": "bearer", "token": reference}}


def test_without_lists_nothing_is_allowed() -> None:
    with pytest.raises(PermissionDenied, match="RAG_SOURCE_ALLOWANCES"):
        require_allowed(allowed_config(API), "acme", None)
    assert not allowed(API)


def test_a_source_of_another_tenant_is_refused_whatever_the_lists_say() -> None:
    with pytest.raises(PermissionDenied, match="your own tenant"):
        require_allowed(allowed_config(API, "other"), "acme", SourceAllowance(hosts=("api.acme.example",)))


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
    kafka = allowed_config({
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
    web = allowed_config({"kind": "site", "seeds": ["https://a.example/"], "sitemaps": ["https://b.example/s.xml"],
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
