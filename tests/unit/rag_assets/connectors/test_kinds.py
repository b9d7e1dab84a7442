"""Kinds of source are what installed packages register: listed with their package, imported when used, broken alone.
Security descriptors of Windows: the first entry that names a right decides, and what is not understood hides. What the
options of several kinds share."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError
from structlog.testing import capture_logs

from rag_assets.config import COMPONENT_TYPE, load_sources
from rag_assets.connectors import build_connector, kinds
from rag_assets.connectors.fields import NOBODY, AclEntry
from rag_assets.connectors.files.descriptors import READ_DATA, TRAVERSE, rights
from rag_assets.connectors.forms import form_fields, location_options, require_options
from rag_assets.connectors.kind import FORMER_NAMES
from rag_assets.source_admin import describe_kinds, find_card
from rag_assets.source_config import SourceConfig
from rag_core.errors import ConfigError, InvalidInput
from rag_core.governance.access import EVERYONE, is_acl_entry
from ragctl.commands.connector import write_package
from ragctl.local_stack.data_dir import load
from ragctl.local_stack.doctor import examine
from tests.support.descriptors import PASS, READ, Ace, descriptor

WIKI = {"kind": "wiki", "url": "https://wiki.example.org", "token": {"env": "RAG_SECRET_WIKI"}}
FOLDER = {"kind": "folder", "root": "/srv"}
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package with a kind on the path, as an installation does."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(kind: str = "wiki", *, target: str = "", package: str = "rag-connector-wiki") -> Path:
        write_package("wiki", tmp_path / "package")
        for module in (tmp_path / "package" / "src").iterdir():
            if not (tmp_path / module.name).exists():
                module.rename(tmp_path / module.name)
        info = tmp_path / f"{package.replace('-', '_')}-2.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.1\n")
        target = target or "rag_connector_wiki.kind:KIND"
        (info / "entry_points.txt").write_text(f"[{kinds.GROUP}]\n{kind} = {target}\n")
        forget()
        return tmp_path

    yield install
    forget()
    for name in [name for name in sys.modules if name.startswith("rag_connector_wiki")]:
        del sys.modules[name]


def forget() -> None:
    kinds._entry_points.cache_clear()
    kinds._loaded.cache_clear()


def listed() -> dict[tuple[str, str], kinds.InstalledKind]:
    return {(one.name, one.package): one for one in kinds.installed_kinds()}


def source(options: dict[str, object]) -> str:
    return yaml.safe_dump(
        {"type": COMPONENT_TYPE, "attributes": {"name": "docs", "tenant": "acme", "options": options}}
    )


def test_the_kinds_of_the_platform_are_registered_as_those_of_any_package() -> None:
    own = [name for name, package in listed() if package == "rag-platform"]
    assert {"folder", "git", "api", "topic", "s3", "sql", "site"} <= set(own)
    assert [one.name for one in kinds.installed_kinds() if one.problem] == []


@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_a_kind_has_one_name_and_is_found_by_the_one_that_it_had(former: str, name: str, tmp_path: Path) -> None:
    assert kinds.find_kind(former) is kinds.find_kind(name)
    if former == "filesystem":
        (tmp_path / "docs.yaml").write_text(source({"kind": former, "root": "/data/docs"}))
        assert [config.source.kind for config in load_sources(tmp_path)] == [name]


def test_a_package_brings_a_kind_that_a_file_may_name(install: Install, tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "docs.yaml").write_text(source(WIKI))
    with pytest.raises(ConfigError, match="no installed package has the kind 'wiki'"):
        load_sources(folder)
    install()
    (config,) = load_sources(folder)
    assert config.options.location == "https://wiki.example.org"
    assert type(build_connector(config)).__name__ == "WikiConnector"
    (folder / "docs.yaml").write_text(source({**WIKI, "urll": "x"}))
    with pytest.raises(ConfigError, match=r'attributes.options.urll: unknown key; did you mean "url"\?'):
        load_sources(folder)
    (wiki,) = [one for one in describe_kinds() if one["name"] == "wiki"]
    assert (wiki["package"], wiki["version"], wiki["readers"]) == ("rag-connector-wiki", "2.1", "file or source")
    fields = {field["path"]: (field["type"], field["required"]) for field in wiki["cards"][0]["fields"]}
    assert fields == {"url": ("text", True), "token": ("secret", True), "directory": ("text", False)}
    assert "WikiOptions" in str(SourceConfig.model_json_schema()["properties"]["options"])


@pytest.mark.parametrize(
    ("kind", "target", "problem"),
    [
        ("wiki", "rag_connector_gone.kind:KIND", "No module named 'rag_connector_gone'"),
        ("wiki", "rag_connector_wiki.kind:NOTHING", "no attribute 'NOTHING'"),
        ("wiki", "rag_connector_wiki.options:WikiOptions", "not a ConnectorKind"),
        ("wiki2", "rag_connector_wiki.kind:KIND", "is 'wiki', not 'wiki2'"),
        ("wiki", "rag_connector_wiki.exits:KIND", "SystemExit"),
    ],
)
def test_a_broken_package_is_named_and_stops_no_other(install: Install, kind: str, target: str, problem: str) -> None:
    folder = install(kind, target=target)
    (folder / "rag_connector_wiki" / "exits.py").write_text("raise SystemExit(1)\n")
    broken = listed()[kind, "rag-connector-wiki"]
    assert problem in broken.problem
    assert SourceConfig.model_validate({"name": "a", "tenant": "acme", "options": FOLDER}).options.kind == "folder"
    with pytest.raises(ValueError, match="of the package rag-connector-wiki cannot be used"):
        SourceConfig.model_validate({"name": "a", "tenant": "acme", "options": {**WIKI, "kind": kind}})
    with capture_logs() as lines:
        kinds.log_broken_kinds()
    assert [(line["event"], line["kind"], line["package"]) for line in lines] == [
        ("connector_broken", kind, "rag-connector-wiki")
    ]


def test_doctor_names_a_broken_package(install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(target="rag_connector_gone.kind:KIND")
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    found = {check.name: check for check in examine(*load())}
    assert (found["connector wiki"].state, "rag-connector-wiki 2.1" in found["connector wiki"].detail) == (
        "failed",
        True,
    )


def test_no_package_takes_the_name_of_a_kind_of_the_platform(install: Install) -> None:
    install("folder")
    assert listed()["folder", "rag-platform"].problem == ""
    assert "registered by rag-platform too" in listed()["folder", "rag-connector-wiki"].problem
    assert kinds.find_kind("folder").options.__name__ == "FilesystemOptions"


def test_of_two_strangers_with_one_name_neither_is_used(install: Install) -> None:
    install()
    install(package="other-wiki")
    assert {one.problem != "" for (name, _), one in listed().items() if name == "wiki"} == {True}


def test_a_library_that_is_missing_is_named_before_anything_is_read(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    from rag_connector_wiki import kind  # type: ignore[import-not-found]

    monkeypatch.setattr(kind, "KIND", replace(kind.KIND, libraries=("no_such_module",), extra="rag-connector-wiki[x]"))
    config = SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": WIKI})
    with pytest.raises(InvalidInput, match=r"pip install 'rag-connector-wiki\[x\]'"):
        build_connector(config)
    assert listed()["wiki", "rag-connector-wiki"].missing == "rag-connector-wiki[x]"


def test_every_field_of_a_form_is_an_option_of_its_kind() -> None:
    """A card that asks for what no option takes would make a file that is refused."""
    for name, kind in kinds.usable_kinds().items():
        for card in kind.cards:
            for field in form_fields(kind, card):
                assert field.path.partition(".")[0] in kind.options.model_fields, f"{name}: {field.path}"
                assert field.type, f"{name}: {field.path}"


def test_a_source_imports_its_own_kind_and_the_list_imports_no_library() -> None:
    """Every command and run that reads source files would pay for what it does not use."""
    program = """
import sys
from rag_assets.source_config import SourceConfig
SourceConfig.model_validate({"name": "a", "tenant": "t", "options": {"kind": "folder", "root": "/srv"}})
print(sorted(name for name in sys.modules if name.startswith("rag_assets.connectors.") and name.endswith(".options")))
from rag_assets.connectors.kinds import usable_kinds
print(sorted({name for kind in usable_kinds().values() for name in kind.libraries if name in sys.modules}))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["['rag_assets.connectors.filesystem.options']", "[]"]


@pytest.mark.parametrize(
    ("word", "location", "given", "needed"),
    [
        ("smb", r"\\files\docs\team", {}, {"user", "password"}),
        ("imap", "mail.example.com", {}, {"user", "login.password"}),
        ("imap", "mail.example.com",
         {"user": "a", "login": {"type": "oauth2", "token_url": "https://x", "client_id": "y"}},
         {"login.client_secret"}),
        ("sql", "articles", {"key": ["id"], "updated_at": "u", "content": ["c"], "database": {"driver": "sqlite"}},
         {"database.path"}),
        ("folder", "/srv/handbook", {}, set()),
    ],
)  # fmt: skip
def test_what_a_new_source_needs_beside_its_location_is_named_at_once(
    word: str, location: str, given: dict[str, Any], needed: set[str]
) -> None:
    kind, card = find_card(word)
    options = location_options(kind, card, location) | given
    if not needed:
        require_options(kind, card, options)
        return
    with pytest.raises(InvalidInput, match=f"^USAGE: {word} also needs ") as caught:
        require_options(kind, card, options)
    named = str(caught.value).partition("also needs ")[2].partition(": give")[0]
    assert {part.partition(" ")[0] for part in re.split(r"\), ", named)} == needed


OWNER = "S-1-5-21-1-2-3-500"
ANN, SALES = "S-1-5-21-1-2-3-1000", "S-1-5-21-1-2-3-1100"
WORLD, NETWORK, SIGNED_IN = "S-1-1-0", "S-1-5-2", "S-1-5-11"
INHERITED, INHERIT_ONLY = 0x10, 0x08


@pytest.mark.parametrize(
    ("aces", "acl"),
    [
        ([(0, 0, READ, SALES)], (f"corp/sid:{SALES}",)),
        ([(1, 0, READ, ANN), (0, INHERITED, READ, SALES)], (f"corp/sid:{SALES}", f"deny:corp/sid:{ANN}")),
        ([(0, 0, READ, SALES), (1, INHERITED, READ, SALES)], (f"corp/sid:{SALES}",)),  # its own entry comes first
        ([(1, 0, READ, SALES), (0, 0, READ, SALES)], (NOBODY,)),
        ([(0, 0, READ, WORLD)], (EVERYONE,)),
        ([(0, 0, READ, SIGNED_IN), (1, 0, READ, ANN)], (EVERYONE,)),
        ([(1, 0, READ, ANN), (0, 0, READ, NETWORK)], (EVERYONE, f"deny:corp/sid:{ANN}")),
        ([(0, 0, READ, ANN), (1, 0, READ, WORLD), (0, 0, READ, SALES)], (f"corp/sid:{ANN}",)),
        ([(0, INHERIT_ONLY, READ, SALES)], (NOBODY,)),
        ([(0, 0, 0x1000_0000, SALES)], (f"corp/sid:{SALES}",)),  # all, as a generic right
        ([(0, 0, 0x0012_0116, SALES)], (NOBODY,)),  # write, not read
        ([(0, 0, READ, "S-1-22-1-1000"), (0, 0, READ, "S-1-22-2-100")], ("corp/gid:100", "corp/uid:1000")),
        ([(1, 0, READ, "S-1-3-4"), (0, 0, READ, SALES)], (f"corp/sid:{SALES}", f"deny:corp/sid:{OWNER}")),
        ([(9, 0, READ, SALES)], (NOBODY,)),  # on a condition
        ([(0, 0, READ, SALES), (6, 0, READ, ANN)], (NOBODY,)),  # refuses somebody who is not read
        ([], (NOBODY,)),
        (None, (NOBODY,)),
    ],
)
def test_the_entries_of_a_file_make_its_acl(aces: list[Ace] | None, acl: tuple[str, ...]) -> None:
    assert rights(descriptor(aces), READ_DATA).acl("corp") == acl


def test_a_folder_is_passed_by_another_right_than_a_file_is_read() -> None:
    found = descriptor([(0, 0, READ, ANN), (0, 0, PASS, SALES)])
    assert [rights(found, right).allowed for right in (READ_DATA, TRAVERSE)] == [{f"sid:{ANN}"}, {f"sid:{SALES}"}]


def test_a_descriptor_that_breaks_off_shows_the_document_to_nobody_it_did_not_name() -> None:
    whole = descriptor([(1, 0, READ, ANN), (0, 0, READ, SALES), (0, 0, READ, WORLD)])
    assert rights(whole, READ_DATA).acl("corp") == (EVERYONE, f"corp/sid:{SALES}", f"deny:corp/sid:{ANN}")
    for length in range(len(whole)):
        assert EVERYONE not in rights(whole[:length], READ_DATA).allowed


GOOD = ["everyone", "deny:everyone", "deny:user:ann", "user:ann", "group:a-b", "user:" + "x" * 256]
BAD = ["", "deny:", "deny:deny:everyone", "everyone\n", "user:ann\n", "user:", "user:a b", "team:a", "xuser:a"]
BAD += ["user:" + "x" * 257]


@pytest.mark.parametrize("entry", GOOD)
def test_an_entry_that_can_admit_someone(entry: str) -> None:
    assert is_acl_entry(entry)
    assert TypeAdapter(AclEntry).validate_python(entry) == entry


@pytest.mark.parametrize("entry", BAD)
def test_an_entry_that_cannot_is_none_in_options_and_in_what_a_source_says(entry: str) -> None:
    assert not is_acl_entry(entry)
    with pytest.raises(ValidationError):
        TypeAdapter(AclEntry).validate_python(entry)
