"""A source that an administrator of its tenant added reads what the tenant's lists name, and looks again each time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stamina

from rag_assets.connectors import connector_context, open_connector
from rag_assets.source_admin import parse_definition, render_definition
from rag_assets.source_admin.definition import restrict_definition
from rag_assets.source_config import SourceConfig
from rag_core.content.sources import SourceItem
from rag_core.errors import ConfigError, PermissionDenied, RagError, Reason
from rag_core.http_client import Fetcher
from rag_core.settings import Settings, SourceAllowance
from tests.support.git_server import Repository

CANARY = "the text of another tenant"


class Home:
    """A folder that a tenant may read, `acme`, and one of somebody else, `other`: with a place of each kind."""

    def __init__(self, root: Path) -> None:
        self.mine, self.other = root / "acme", root / "other"
        for folder, text in ((self.mine, "our text"), (self.other, CANARY)):
            (folder / "docs").mkdir(parents=True)
            (folder / "docs" / "a.md").write_text(text)
            self._database(folder / "notes.db", text)
            Repository(folder / "wiki").change({"a.md": text.encode()})
            (folder / "token").write_text(text)
        self.settings = Settings(
            home=root / "state",
            source_allowances={
                "acme": SourceAllowance(
                    roots=(str(self.mine),), hosts=("api.acme.example",), secrets=(f"file:{self.mine}/*",)
                )
            },
        )

    @staticmethod
    def _database(path: Path, text: str) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE notes (id integer PRIMARY KEY, body text, changed integer)")
            connection.execute("INSERT INTO notes VALUES (1, ?, 1)", (text,))
        connection.close()

    def config(self, name: str, *, restricted: bool = True) -> SourceConfig:
        options: dict[str, Any] = {
            "docs": {"kind": "folder", "root": str(self.mine / "docs")},
            "wiki": {"kind": "git", "repository": str(self.mine / "wiki")},
            "notes.db": {"kind": "sql", "database": {"driver": "sqlite", "path": str(self.mine / "notes.db")},
                         "table": "notes", "key": "id", "updated_at": "changed", "content": "body"},
            "token": {"kind": "api", "url": "https://api.acme.example/", "fields": {"id": "$.i", "content": "$.c"},
                      "auth": {"type": "bearer", "token": {"file": str(self.mine / "token")}}},
        }[name]  # fmt: skip
        given = {"name": "docs", "tenant": "acme", "restricted": restricted, "options": options}
        return SourceConfig.model_validate(given)

    def read(self, name: str, between: Callable[[], object] = lambda: None) -> list[str]:
        """What a run reads; `between` happens when all is listed."""
        config = self.config(name)
        with (
            stamina.set_testing(True, attempts=1),
            open_connector(config, connector_context(config, self.settings)) as connector,
        ):
            listing = connector.list_items()
            items = [entry for entry in listing if isinstance(entry, SourceItem)]
            if not listing.complete:
                raise RagError(Reason.LISTING_INCOMPLETE, str(listing.error))
            between()
            return [connector.fetch(item).content.decode() for item in items]

    def link(self, *parts: str) -> None:
        """Put a link to somebody else's place in the place of ours."""
        mine = self.mine.joinpath(*parts)
        mine.rename(mine.with_name(f"{mine.name}.before"))
        mine.symlink_to(self.other.joinpath(*parts))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


READ = ["docs", "wiki", "notes.db"]


@pytest.mark.catalogue("A24")
@pytest.mark.parametrize("name", READ)
def test_a_place_that_becomes_a_link_out_of_the_list_is_refused_in_the_next_run(home: Home, name: str) -> None:
    assert home.read(name) == ["our text"]
    home.link(name)
    with pytest.raises(PermissionDenied) as caught:
        home.read(name)
    assert caught.value.reason is Reason.SOURCE_NOT_ALLOWED
    assert str(home.other) not in caught.value.message


@pytest.mark.catalogue("A24")
def test_a_folder_that_becomes_a_link_between_the_listing_and_the_reading_is_not_read(home: Home) -> None:
    with pytest.raises(PermissionDenied):
        home.read("docs", between=lambda: home.link("docs"))


@pytest.mark.catalogue("A24")
@pytest.mark.parametrize("below", [
    ("objects",), ("objects", "pack"), ("refs",), ("refs", "heads"), ("HEAD",), ("config",), ("packed-refs",),
])  # fmt: skip
def test_a_link_below_git_is_refused(home: Home, below: tuple[str, ...]) -> None:
    """Of any source: who may write there would choose what is read."""
    control = home.mine / "wiki"
    control = control / ".git" if (control / ".git").is_dir() else control
    place = control.joinpath(*below)
    if place.exists():
        place.rename(home.mine / "elsewhere")
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        (home.mine / "elsewhere").mkdir()
    place.symlink_to(home.mine / "elsewhere")
    with pytest.raises(RagError) as caught:
        home.read("wiki")
    assert "SYMLINK_ESCAPE" in str(caught.value)


@pytest.mark.catalogue("A24")
@pytest.mark.parametrize("end", ["-wal", "-journal", "-shm"])
def test_a_log_beside_a_database_that_is_a_link_is_refused(home: Home, end: str) -> None:
    beside = home.mine / f"notes.db{end}"
    beside.unlink(missing_ok=True)
    beside.symlink_to(home.other / f"notes.db{end}")
    with pytest.raises(RagError, match="SYMLINK_ESCAPE"):
        home.read("notes.db")


@pytest.mark.catalogue("A24")
def test_a_database_is_the_file_that_was_accepted_though_its_name_leads_elsewhere_when_it_is_opened(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def late(*given: Any, **named: Any) -> sqlite3.Connection:
        home.link("notes.db")
        return connect(*given, **named)

    monkeypatch.setattr(sqlite3.dbapi2, "connect", late)
    with pytest.raises(RagError, match="replaced"):
        home.read("notes.db")


@pytest.mark.catalogue("A24")
def test_the_file_of_a_secret_that_becomes_a_link_is_not_read(home: Home) -> None:
    config = home.config("token")
    connector_context(config, home.settings)
    secret = config.options.auth.token  # type: ignore[union-attr]
    assert secret.read().get_secret_value() == "our text"
    home.link("token")
    with pytest.raises(PermissionDenied):
        secret.read()
    with pytest.raises(PermissionDenied):
        connector_context(config, home.settings)


def test_a_database_in_the_installations_own_folder_is_no_source(home: Home) -> None:
    (home.mine / "notes.db").rename(home.mine / "before.db")
    state = home.settings.home
    state.mkdir()
    (home.mine / "before.db").rename(state / "usage.db")
    (home.mine / "notes.db").symlink_to(state / "usage.db")
    config = home.config("notes.db", restricted=False)
    with open_connector(config, connector_context(config, home.settings)) as connector:
        assert "PATH_OUTSIDE_ROOT" in connector.check()["error"]


def test_another_host_is_refused_on_every_hop(home: Home) -> None:
    config = home.config("token")
    policy = connector_context(config, home.settings).fetch_policy
    with Fetcher(policy) as fetcher, pytest.raises(PermissionDenied) as caught:
        fetcher.get("https://elsewhere.example/")
    assert caught.value.reason is Reason.SOURCE_NOT_ALLOWED


def test_lists_that_were_shortened_hold_from_the_next_run_on(home: Home) -> None:
    config = home.config("docs")
    for lists in ({"acme": SourceAllowance()}, {}):
        with pytest.raises(PermissionDenied):
            connector_context(config, home.settings.model_copy(update={"source_allowances": lists}))
    free = home.config("docs", restricted=False)
    connector_context(free, home.settings.model_copy(update={"source_allowances": {}}))


@pytest.mark.parametrize("text", [
    render_definition({"name": "docs", "tenant": "acme", "options": {"kind": "folder", "root": "/srv/acme"}}),
    "# ours\ntype: rag_assets.components.DocumentSource\nattributes:\n    name: docs # a name\n    tenant: acme\n"
    "    options: {kind: folder, root: /srv/acme}\n",
    '{"type": "rag_assets.components.DocumentSource", "attributes": {"name": "docs", "tenant": "acme", "options":'
    ' {"kind": "folder", "root": "/srv/acme"}}}',
    "type: rag_assets.components.DocumentSource\nattributes:\n  restricted: false\n  name: docs\n  tenant: acme\n"
    "  options: {kind: folder, root: /srv/acme}\n",
])  # fmt: skip
def test_a_definition_is_restricted_and_stays_as_it_was_written(text: str) -> None:
    made = restrict_definition(text)
    assert parse_definition(made) == parse_definition(text).model_copy(update={"restricted": True})
    assert made.replace("restricted: true", "").split() == text.replace("restricted: false", "").split() or "{" in made
    assert restrict_definition(made) == made


def test_what_is_no_source_is_not_restricted() -> None:
    with pytest.raises(ConfigError):
        restrict_definition("attributes: []")
