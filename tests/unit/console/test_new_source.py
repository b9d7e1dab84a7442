"""The wizard of a new source: what was typed, as a file that the pipeline accepts, and schedules in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import ParseDict
from streamlit.testing.v1 import AppTest

from console.presenters import new_source as forms
from console.presenters import schedules
from rag_assets.source_admin import describe_kinds, parse_definition
from ragproto.admin.v1 import sources_pb2 as pb
from tests.unit.console.conftest import RUN, Platform
from tests.unit.console.test_pages import opened, with_source

TYPED: dict[str, dict[str, Any]] = {
    "folder": {"root": "/srv/handbook", "include": "**/*.md, **/*.pdf"},
    "site": {"seeds": "https://docs.example.org/", "max_pages": 50},
    "page": {"seeds": "https://docs.example.org/guide"},
    "sql": {"database.driver": "postgresql", "database.host": "db1", "database.name": "shop", "database.user": "reader",
            "database.password": "RAG_SECRET_SHOP", "table": "articles", "key": "id", "updated_at": "changed",
            "content": "title, body"},
    "api": {"url": "https://api.example.org/items", "items": "$.items", "fields.id": "$.id", "fields.content": "$.text",
            "auth.token": "/run/secrets/api"},
    "s3": {"bucket": "handbook", "prefix": "docs/", "endpoint": "https://s3.example.org", "region": "eu-central-1",
           "credentials.type": "keys", "credentials.access_key_id": "RAG_SECRET_S3_ID",
           "credentials.secret_access_key": "/run/secrets/s3"},
    "git": {"repository": "https://git.example.org/acme/docs.git", "ref": "main", "auth.token": "RAG_SECRET_GIT"},
    "sftp": {"host": "files.example.org", "user": "reader", "path": "/srv", "login.type": "password",
             "login.password": "RAG_SECRET_FILES", "host_keys": "SHA256:" + "A" * 43},
    "webdav": {"url": "https://cloud.example.org/dav", "auth.type": "basic", "auth.user": "reader",
               "auth.password": "/run/secrets/dav"},
    "azure": {"account": "acmefiles", "container": "handbook", "credentials.type": "sas",
              "credentials.sas": "RAG_SECRET_SAS"},
    "gcs": {"bucket": "handbook", "credentials.type": "service_account", "credentials.key": "/run/secrets/gcs"},
    "smb": {"host": "files.example.org", "share": "docs", "user": r"ACME\reader", "password": "RAG_SECRET_FILES",
            "directory": "corp", "share_readers": "everyone", "bypass_traverse_checking": True},
    "llama_index": {"reader": "llama_index.readers.wikipedia:WikipediaReader", "name": "title"},
    "imap": {"host": "mail.example.org", "user": "team", "login.type": "password", "login.password": "RAG_SECRET_MAIL",
             "include": "INBOX", "attachments": True, "directory": "corp"},
    "google_drive": {"folders": "1aBcD3fG", "credentials.type": "service_account",
                     "credentials.key": "/run/secrets/drive.json", "subject": "ann@example.org", "directory": "corp"},
    "slack": {"token": "RAG_SECRET_SLACK", "channels": "pumps, support", "private": True, "directory": "corp"},
    "sharepoint": {"sites": "https://acme.sharepoint.com/sites/hr", "tenant_id": "acme.example", "client_id": "app",
                   "client_secret": "RAG_SECRET_GRAPH", "directory": "corp"},
    "notion": {"token": "RAG_SECRET_NOTION", "data_sources": "2f26ee68-df30-4251-aad4-8ddc420cba3d",
               "attachments": True},
    "mediawiki": {"url": "https://wiki.example.org/w/api.php", "login.type": "password", "login.user": "Reader@rag",
                  "login.password": "RAG_SECRET_WIKI", "namespaces": "Help", "attachments": True, "directory": "corp"},
    "redmine": {"url": "https://redmine.example.org", "key": "RAG_SECRET_REDMINE", "projects": "pumps",
                "markup": "markdown", "attachments": True, "directory": "corp"},
    "confluence": {"url": "https://acme.atlassian.net", "edition": "cloud", "auth.type": "basic",
                   "auth.user": "rag@acme.example", "auth.password": "RAG_SECRET_WIKI", "spaces": "DOC",
                   "attachments": True, "directory": "corp"},
    "jira": {"url": "https://jira.acme.example", "edition": "data_center", "auth.type": "bearer",
             "auth.token": "RAG_SECRET_JIRA", "projects": "OPS", "jql": "statusCategory = Done", "attachments": True,
             "directory": "corp"},
    "topic": {"brokers": "b1:9092", "topic": "articles"},
}  # fmt: skip


INSTALLED = ParseDict({"kinds": describe_kinds()}, pb.SourceKinds())
KINDS = {kind.name: kind for kind in forms.kinds_of(INSTALLED)}


def draft(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "form": KINDS[kind], "name": "new-source", "tenant": "acme", "acl": ["group:staff"],
            "cron": "@daily", "timezone": "Europe/Berlin", "interval": 60, "values": TYPED[kind], **more}  # fmt: skip


@pytest.mark.parametrize("kind", TYPED)
def test_every_kind_makes_a_file_that_the_pipeline_accepts(kind: str) -> None:
    assert forms.connection_problems(KINDS[kind], "new-source", "acme", TYPED[kind]) == []
    config = parse_definition(forms.definition(draft(kind)))
    assert (config.name, config.tenant, config.acl) == ("new-source", "acme", ["group:staff"])


@pytest.mark.parametrize("kind", TYPED)
def test_the_form_of_a_file_is_the_one_that_made_it_and_keeps_what_it_has_no_field_for(kind: str) -> None:
    document = yaml.safe_load(forms.definition(draft(kind)))
    document["attributes"] |= {"shards": 1, "metadata": {"team": "docs"}}
    document["attributes"]["options"]["unheard"] = {"of": [1, 2]}
    text = yaml.safe_dump(document, sort_keys=False)
    former = KINDS[kind].former or KINDS[kind].kind
    read = forms.draft_of(text.replace(f"kind: {KINDS[kind].kind}\n", f"kind: {former}\n"), KINDS.values())
    assert read is not None
    assert read["form"] is KINDS[kind]
    assert yaml.safe_load(forms.definition(read)) == document
    read |= {"acl": [], "cron": ""}
    changed = yaml.safe_load(forms.definition(read))["attributes"]
    assert ("acl" in changed, changed["metadata"]) == (False, {"team": "docs"})


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "unheard"},
        {"kind": "folder", "root": ["a, b"]},
        {"kind": "folder", "root": {"a": 1}},
        "no options",
        None,
    ],
)
def test_a_file_that_the_form_could_not_show_whole_is_changed_as_yaml(options: object) -> None:
    text = yaml.safe_dump({"attributes": {"name": "a", "tenant": "acme", "options": options}})
    assert forms.draft_of(text, KINDS.values()) is None
    assert forms.draft_of("a: [", KINDS.values()) is None


def test_a_source_is_edited_in_the_form_of_the_wizard_and_as_yaml(app: AppTest, platform: Platform) -> None:
    with_source(platform)
    text = "# ours\n" + forms.definition(draft("folder", name="handbook"))
    read = pb.SourceFile(name="handbook.yaml", digest="d1", text=text)
    ended = pb.SourceOperation(id=1, state=pb.SOURCE_OPERATION_STATE_SUCCEEDED, kinds=INSTALLED)
    peer = platform.gateway.peer
    peer.operations["StartSourceOperation"] = pb.StartSourceOperationResponse(operation=ended)
    peer.operations["GetSourcePermissions"] = pb.GetSourcePermissionsResponse(allowed=True, unrestricted=True)
    app.session_state["edit-handbook"] = read
    opened(app, "sources")
    assert app.text_input(key="field-root-handbook").value == "/srv/handbook"
    assert app.button(key="edit-handbook-save").disabled, "nothing was changed"
    app.text_input(key="field-root-handbook").input("/srv/other").run()
    assert not app.button(key="edit-handbook-save").disabled
    app.session_state["edit-handbook-mode"] = "yaml"
    app.run()
    assert "root: /srv/other" in app.text_area(key="edit-handbook-text-d1").value


ARTICLES = [("table", "articles", ""), ("table", "orders", ""), ("column", "id", "integer"), ("column", "body", "text")]


def offering(platform: Platform, offers: list[tuple[str, str, str]], **more: Any) -> None:
    """Let the platform answer an operation with these offers."""
    found = pb.SourceOffers(offers=[pb.SourceOffer(type=one, value=value, about=what) for one, value, what in offers],
                            **more)  # fmt: skip
    ended = pb.SourceOperation(id=1, state=pb.SOURCE_OPERATION_STATE_SUCCEEDED, offers=found)
    platform.gateway.peer.operations["StartSourceOperation"] = pb.StartSourceOperationResponse(operation=ended)


def test_what_a_database_has_is_selected_in_the_form(app: AppTest, platform: Platform) -> None:
    known = {name: TYPED["sql"][name] for name in TYPED["sql"] if name.startswith("database.")}
    shown = at_step(app, platform, {**draft("sql", values=known), "step": 1}).run()
    offering(platform, [one for one in ARTICLES if one[0] == "table"])
    shown.button(key="browse").click().run()
    assert shown.selectbox(key="offer-table").options == ["articles", "orders"]
    assert not shown.session_state["new-source"]["values"].get("table"), "nothing is selected for who did not ask"
    offering(platform, ARTICLES, suggested={"key": "id", "content": "body"})
    shown.selectbox(key="offer-table").select("articles").run()
    assert [shown.multiselect(key=f"offer-{name}").value for name in ("key", "content")] == [["id"], ["body"]]
    assert "body  ·  text" in shown.multiselect(key="offer-content").options
    written = yaml.safe_load(forms.definition(shown.session_state["new-source"]))["attributes"]["options"]
    assert (written["table"], written["key"], written["content"]) == ("articles", ["id"], ["body"])
    browsed = [request for name, request in platform.gateway.peer.asked if name == "StartSourceOperation"]
    asked = [yaml.safe_load(request.definition)["attributes"]["options"].get("table") for request in browsed]
    assert asked == [None, "articles"], "it is browsed again when another table is selected, and not otherwise"
    shown.multiselect(key="offer-content").set_value(["id"]).run()
    offering(platform, ARTICLES, suggested={"key": "id", "content": "body"})
    shown.selectbox(key="offer-table").select("orders").run()
    assert shown.multiselect(key="offer-content").value == ["id"], "what was selected by hand stays"


def test_the_fields_of_an_answer_are_selected_in_it(app: AppTest, platform: Platform) -> None:
    shown = at_step(app, platform, {**draft("api", values={}), "step": 1}).run()
    assert shown.button(key="browse").disabled, "where to look is not known"
    shown.text_input(key="field-url").input("https://api.example.org/items").run()
    paths = [("list", "$.data", "2"), ("field", "$.slug", "pump"), ("field", "$.body", "Pump 7 needs <b>oil</b>.")]
    suggested = {"items": "$.data", "fields.id": "$.slug", "fields.content": "$.body"}
    offering(platform, paths, sample='{"data": []}', suggested=suggested)
    shown.button(key="browse").click().run()
    assert [item.value for item in shown.code] == ['{"data": []}']
    options = yaml.safe_load(forms.definition(shown.session_state["new-source"]))["attributes"]["options"]
    assert (options["items"], options["fields"]) == ("$.data", {"id": "$.slug", "content": "$.body"})
    assert [name for name, _ in platform.gateway.peer.asked].count("StartSourceOperation") == 1


def test_a_source_that_cannot_be_browsed_is_typed_as_before(app: AppTest, platform: Platform) -> None:
    shown = at_step(app, platform, {**draft("folder", values={}), "step": 1}).run()
    failed = pb.SourceOperation(id=1, state=pb.SOURCE_OPERATION_STATE_FAILED, reason="UNREADABLE", message="no <b>")
    platform.gateway.peer.operations["StartSourceOperation"] = pb.StartSourceOperationResponse(operation=failed)
    shown.button(key="browse").click().run()
    assert any("UNREADABLE" in item.value for item in shown.error)
    shown.text_input(key="field-root").input("/srv/handbook").run()
    assert shown.session_state["new-source"]["values"]["root"] == "/srv/handbook"


def test_every_kind_of_the_wizard_is_tried() -> None:
    assert {kind.name for kind in KINDS.values()} - {forms.UPLOAD} == TYPED.keys()


def test_one_page_is_no_crawl() -> None:
    options = yaml.safe_load(forms.definition(draft("page")))["attributes"]["options"]
    assert (options["max_pages"], options["max_depth"], options["use_sitemaps"]) == (1, 0, False)


def test_no_schedule_and_nobody_are_written_as_such() -> None:
    config = parse_definition(forms.definition(draft("folder", cron="", acl=[])))
    assert config.schedule is None
    assert config.acl is None


def test_what_was_typed_cannot_add_keys_to_the_file() -> None:
    hostile = draft("folder") | {"values": {"root": "/a\nshards: 99"}}
    assert yaml.safe_load(forms.definition(hostile))["attributes"]["options"]["root"] == "/a\nshards: 99"


@pytest.mark.catalogue("S28")
def test_a_secret_that_was_typed_itself_is_refused() -> None:
    typed = TYPED["sql"] | {"database.password": "hunter2"}
    found = forms.connection_problems(KINDS["sql"], "shop", "acme", typed)
    assert [sentence.partition(":")[0] for sentence in found] == ["Secret"]


@pytest.mark.parametrize(("typed", "port"), [("5433", 5433), ("", None)])
def test_the_port_of_a_database_may_be_left_out(typed: str, port: int | None) -> None:
    values = TYPED["sql"] | {"database.port": typed}
    assert forms.connection_problems(KINDS["sql"], "shop", "acme", values) == []
    options = parse_definition(forms.definition(draft("sql") | {"values": values})).options
    assert options.kind == "sql"
    assert options.database.driver == "postgresql"
    assert options.database.port == port


@pytest.mark.parametrize("typed", ["0", "70000", "http", "-1"])
def test_a_port_that_is_none_is_refused(typed: str) -> None:
    found = forms.connection_problems(KINDS["sql"], "shop", "acme", TYPED["sql"] | {"database.port": typed})
    assert found == ["Port: a number from 1 to 65535."]


def test_what_is_missing_is_said() -> None:
    found = forms.connection_problems(KINDS["folder"], "Bad name", "a b", {"root": ""})
    assert [sentence.partition(":")[0] for sentence in found[:2]] == ["Name", "Tenant"]
    assert found[2:] == ["Fill in every field with an asterisk."]
    assert forms.acl_problems(["role:x"])
    assert forms.acl_problems(["everyone", "user:ann", "group:a"]) == []


@pytest.mark.parametrize("wrong", ["99 99", "99 99 * * *", "often", "0 0 30 2 *", "", "* * * * * *"])
def test_a_schedule_that_never_happens_is_refused(wrong: str) -> None:
    assert schedules.cron_problem(wrong) is not None


@pytest.mark.parametrize("fine", ["0 3 * * *", "@daily", "*/15 9-17 * * mon-fri"])
def test_a_schedule_that_happens_is_accepted(fine: str) -> None:
    assert schedules.cron_problem(fine) is None


def test_a_schedule_is_said_in_both_languages() -> None:
    assert schedules.cron_words("0 3 * * *", "en") == "At 03:00, every day"
    assert schedules.cron_words("*/10 * * * *", "en") == "Every 10 minutes"
    assert schedules.cron_words("0 3 * * mon-fri", "zh") == "在 03:00, 星期一 到 星期五"
    moment = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
    assert schedules.moment_words(moment, "en") == "Sun 2026-11-29 03:00"
    assert schedules.moment_words(moment, "zh") == "2026-11-29 星期日 03:00"


def test_the_next_times_are_those_of_the_time_zone() -> None:
    now = datetime(2026, 10, 24, 12, tzinfo=UTC)  # the clocks of Berlin change in the next night
    times = schedules.next_times("0 3 * * *", "Europe/Berlin", now=now)
    assert [f"{moment:%d %H:%M %z}" for moment in times] == ["25 03:00 +0100", "26 03:00 +0100", "27 03:00 +0100"]


@pytest.mark.parametrize(("kind", "values", "name"), [
    ("folder", {"root": "/srv/Hand Book/"}, "hand-book"), ("site", {"seeds": "https://docs.example.org/x"},
    "docs-example-org"), ("s3", {"bucket": "acme-handbook"}, "acme-handbook"),
    ("git", {"repository": "https://git.example.org/acme/docs.git"}, "docs"),
    ("folder", {"root": ""}, "folder"), ("folder", {"root": "/srv/2024"}, "folder"),
])  # fmt: skip
def test_a_name_is_suggested(kind: str, values: dict[str, str], name: str) -> None:
    assert forms.suggested_name(KINDS[kind], values) == name


def at_step(app: AppTest, platform: Platform, shown: dict[str, Any]) -> AppTest:
    """The wizard at a step that a session has come to."""
    platform.gateway.peer.operations["GetSourcePermissions"] = pb.GetSourcePermissionsResponse(
        allowed=True, unrestricted=True, delete_guard_fraction=0.25, delete_guard_minimum=6
    )
    app.run()
    app.session_state["new-source"] = shown
    return app.switch_page("screens/add_source.py").run()


def test_the_wizard_offers_what_is_installed_and_names_what_is_broken(app: AppTest, platform: Platform) -> None:
    stranger = pb.SourceKind(name="wiki", package="rag-connector-wiki", version="2.1", readers="source")
    stranger.cards.add(name="wiki", title="Wiki", icon="description", location="url").fields.add(
        path="url", label="Url", type="text", required=True
    )
    missing = pb.SourceKind(name="nfs", package="rag-platform", missing="rag-platform[nfs]", cards=[pb.SourceCard(
        name="nfs", title="Share", icon="dns")])  # fmt: skip
    broken = pb.SourceKind(name="odd", package="rag-connector-odd", problem="ImportError: no <b>module</b>")
    kinds = pb.SourceKinds(kinds=[*INSTALLED.kinds, stranger, missing, broken])
    ended = pb.SourceOperation(id=1, state=pb.SOURCE_OPERATION_STATE_SUCCEEDED, kinds=kinds)
    platform.gateway.peer.operations["StartSourceOperation"] = pb.StartSourceOperationResponse(operation=ended)
    shown = at_step(app, platform, {})
    offered = {item.label.removeprefix("Choose "): item for item in shown.button if item.label.startswith("Choose ")}
    assert {"Folder", "SFTP server", "Wiki", "Upload files"} <= offered.keys()
    assert (offered["Share"].disabled, offered["Folder"].disabled) == (True, False)
    assert any("rag\\-connector\\-wiki 2" in item.value for item in shown.caption)
    assert ["rag\\-connector\\-odd" in item.value for item in shown.warning] == [True]
    offered["Wiki"].click().run()
    assert shown.session_state["new-source"]["form"].kind == "wiki"
    assert "Url *" in {item.label for item in shown.text_input}


def first_run(app: AppTest, platform: Platform, *, written_at: float = 1_700_000_001.0, **more: Any) -> AppTest:
    """The last step of the wizard, after the file was written."""
    made = pb.SourceFile(name="handbook.yaml", written=True)
    written = {"step": 6, "made": made, "written_at": written_at, "unchecked": False}
    return at_step(app, platform, {**draft("folder", name="handbook"), **written, **more}).run()


def test_the_schedule_says_which_deletions_are_held(app: AppTest, platform: Platform) -> None:
    shown = at_step(app, platform, {**draft("folder", name="handbook"), "step": 4}).run()
    assert any("more than 25% of the documents, and 6 at least" in item.value for item in shown.caption)


def launches(platform: Platform) -> int:
    return platform.mutations.count("launchRun")


def test_the_suggested_name_replaces_nothing_that_is_being_typed(app: AppTest, platform: Platform) -> None:
    """A value that a run gives to the field would overwrite what its visitor types during the run."""
    shown = at_step(app, platform, {**draft("folder", values={}), "step": 1}).run()

    def name() -> Any:
        return next(item for item in shown.text_input if item.label == "Name of the source")

    shown.text_input(key="field-root").input("/srv/Hand Book").run()
    assert (name().value, name().proto.set_value, name().placeholder) == ("", False, "hand-book")
    assert shown.session_state["new-source"]["name"] == "hand-book"
    name().input("walrus").run()
    shown.text_input(key="field-root").input("/srv/other").run()
    assert (name().value, shown.session_state["new-source"]["name"]) == ("walrus", "walrus")


@pytest.mark.parametrize(
    ("headings", "text", "above"),
    [
        (["Pumps", "Oil"], "Oil\n\nEvery five days.", ["Pumps"]),
        (["Pumps", "Oil"], "Every five days.", ["Pumps › Oil"]),
        (["Pumps"], "Pumps\n\nEvery five days.", []),
        ([], "Every five days.", ["Manual"]),
    ],
)
def test_the_preview_says_a_heading_once(
    app: AppTest, platform: Platform, headings: list[str], text: str, above: list[str]
) -> None:
    chunk = pb.SourcePreviewChunk(title="Manual", headings=headings, text=text)
    previewed = pb.SourceOperation(preview=pb.SourcePreview(chunks=[chunk]))
    seen = {"previewed": previewed, "previewed_definition": forms.definition(draft("folder"))}
    shown = at_step(app, platform, {**draft("folder"), "step": 2, **seen})
    assert [item.value for item in shown.text] == [*above, text]


def test_the_preview_counts_who_will_find_the_items(app: AppTest, platform: Platform) -> None:
    acls = [["group:Sales"]] * 13 + [["everyone", "deny:user:ann"]] * 3 + [["corp/gid:7"]] * 2
    acls += [["group:rag-nobody", "deny:user:a/b"], ["deny:corp/gid:9"]]
    items = [pb.SourcePreviewItem(locator="a", ok=True, acl=acl) for acl in acls]
    previewed = pb.SourceOperation(preview=pb.SourcePreview(items=[*items, pb.SourcePreviewItem(locator="b")]))
    seen = {"previewed": previewed, "previewed_definition": forms.definition(draft("folder"))}
    shown = at_step(app, platform, {**draft("folder"), "step": 2, **seen})
    assert [item.value.replace("\\", "") for item in shown.info] == [
        "13 of 20 readable by everyone in Sales.",
        "3 of 20 readable by everyone of the tenant, but not by ann.",
        "2 of 20 readable by corp/gid:7 (unknown to the directory: nobody).",
        "1 of 20 readable by nobody.",
        "1 of 20 readable by nobody: corp/gid:9 must not read it, and no directory knows who that is.",
    ]


def test_who_finds_the_documents_is_said_once_somebody_is_named(app: AppTest, platform: Platform) -> None:
    shown = at_step(app, platform, {**draft("folder", acl=["everyone"]), "step": 3})
    shown.radio(key="access").set_value("some").run()
    assert not shown.info
    shown.text_area(key="acl").input("group:staff").run()
    assert [item.value for item in shown.info] == ["Of the tenant acme, only members of staff find these documents\\."]


def test_a_kind_is_found_by_a_part_of_its_name(app: AppTest, platform: Platform) -> None:
    ended = pb.SourceOperation(id=1, state=pb.SOURCE_OPERATION_STATE_SUCCEEDED, kinds=INSTALLED)
    platform.gateway.peer.operations["StartSourceOperation"] = pb.StartSourceOperationResponse(operation=ended)
    shown = at_step(app, platform, {})
    every = {item.key for item in shown.button if str(item.key).startswith("kind-")}
    shown.text_input(key="kind-sought").input("WIKI").run()
    found = {item.key for item in shown.button if str(item.key).startswith("kind-")}
    assert found == {"kind-confluence", "kind-mediawiki", "kind-redmine"} < every
    shown.text_input(key="kind-sought").input("no such kind").run()
    assert "HTTP API" in shown.info[0].value


def test_another_kind_of_database_has_its_own_fields_at_once(app: AppTest, platform: Platform) -> None:
    shown = at_step(app, platform, {**draft("sql", values={}), "step": 1}).run()
    assert "Host *" in {item.label for item in shown.text_input}
    shown.selectbox(key="field-database.driver").select("sqlite").run()
    labels = {item.label for item in shown.text_input}
    assert "File (absolute path) *" in labels
    assert "Host *" not in labels


def test_the_sensor_starts_the_first_run_and_the_wizard_no_second_one(app: AppTest, platform: Platform) -> None:
    platform.data["runsOrError"]["results"] = []
    shown = first_run(app, platform)
    assert "Waiting for the first document …" in [item.value for item in shown.caption]
    assert platform.mutations == ["sensorDryRun"]


@pytest.mark.parametrize(("status", "written_at"), [("QUEUED", 1_700_000_001.0), ("SUCCESS", 1_699_999_999.0)])
def test_a_first_run_that_has_begun_is_followed(
    app: AppTest, platform: Platform, status: str, written_at: float
) -> None:
    platform.data["runsOrError"]["results"][0]["status"] = status
    first_run(app, platform, written_at=written_at)
    assert launches(platform) == 0


@pytest.mark.parametrize("because", ["runs of before", "sensor off", "unreadable"])
def test_the_wizard_starts_the_run_that_the_sensor_would_not(app: AppTest, platform: Platform, because: str) -> None:
    """A source that is added again may look as it did in its last good run."""
    if because != "runs of before":
        platform.data["runsOrError"]["results"] = []
    if because == "sensor off":
        platform.data["sensorsOrError"]["results"][0]["sensorState"]["status"] = "STOPPED"
    first_run(app, platform, unchecked=because == "unreadable")
    assert launches(platform) == 1
    assert "RecordAction" in [name for name, _ in platform.gateway.peer.asked]


def test_a_refusal_of_dagster_is_shown_and_not_repeated_until_somebody_asks(app: AppTest, platform: Platform) -> None:
    platform.data["runsOrError"]["results"] = []
    platform.data["job"]["sensors"] = []
    platform.data["launchRun"] = {"__typename": "PythonError", "message": "a partition is needed"}
    shown = first_run(app, platform)
    assert any("DAGSTER_REFUSED" in item.value for item in shown.warning)
    shown.run()
    assert launches(platform) == 1
    next(item for item in shown.button if item.label == "Try again").click().run()
    assert launches(platform) == 2


def test_dagster_that_does_not_answer_is_asked_again_by_itself(app: AppTest, platform: Platform) -> None:
    platform.data["runsOrError"]["results"] = []
    tags, platform.data["sensorOrError"] = platform.data["sensorOrError"], None
    shown = first_run(app, platform)
    assert any("DAGSTER_UNAVAILABLE" in item.value for item in shown.warning)
    platform.data["sensorOrError"] = tags
    shown.run()
    assert not shown.warning


def test_deleting_a_source_ends_its_backfills_and_runs_also_those_that_began_meanwhile(
    app: AppTest, platform: Platform
) -> None:
    with_source(platform)
    peer = platform.gateway.peer
    removal = pb.SourceRemoval(applied=True, file="handbook.yaml")
    ended = pb.SourceOperation(id=1, state=pb.SOURCE_OPERATION_STATE_SUCCEEDED, removal=removal)
    peer.operations["StartSourceOperation"] = pb.StartSourceOperationResponse(operation=ended)
    platform.data["partitionBackfillsOrError"] = {"__typename": "PartitionBackfills", "results": [
        {"id": f"of-{key}", "status": "REQUESTED", "timestamp": 1.0, "numPartitions": 2, "partitionStatusCounts": [],
         "assetSelection": [{"path": [key, "index"]}]} for key in ("handbook", "other")
    ]}  # fmt: skip
    platform.data["cancelPartitionBackfill"] = {"__typename": "CancelBackfillSuccess"}
    app.run()
    app.query_params["source"] = "handbook"
    shown = app.switch_page("screens/sources.py").run()
    next(item for item in shown.button if item.label == "Count what would be removed").click().run()
    shown.text_input(key="delete-handbook-name").input("handbook").run()
    next(item for item in shown.button if item.label == "Delete source").click().run()
    assert not shown.exception
    ends = ["cancelPartitionBackfill", "terminateRun"]
    assert platform.mutations == [*ends, "sensorDryRun", *ends]
    recorded = [(request.action, request.target) for name, request in peer.asked if name == "RecordAction"]
    assert recorded == [("dagster.terminate", "of-handbook"), ("dagster.terminate", RUN)] * 2
