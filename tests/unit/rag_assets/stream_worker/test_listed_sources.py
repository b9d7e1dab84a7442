"""Listed sources that a worker observes: what changes in them is searchable, or gone, without a run."""

from __future__ import annotations

import time
from typing import Any, cast

import dagster as dg
import pytest
from sqlalchemy import event

from rag_assets.defs.alerts.sensors import CHECKS
from rag_assets.lib.generation_runs import ACTIVE
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.listed.leases import Leases
from rag_assets.stream_worker.listed.observed import ObservedSource
from rag_assets.stream_worker.listed.observer import next_due
from rag_assets.stream_worker.listed.reports import report
from rag_assets.testing import FakeServer
from rag_core.database import Store, locks
from rag_core.errors import Reason
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.source_status import ObservableSource, RunState, observable_store
from tests.support.graph_server import GraphServer
from tests.support.waiting import eventually
from tests.unit.rag_assets.connectors.listings import settle
from tests.unit.rag_assets.stream_worker.installation import Installation, Table


def test_a_look_that_finds_nothing_opens_no_connection_to_the_database(installation: Installation) -> None:
    root, opened = installation.add("handbook"), list[object]()
    one = ObservedSource(installation.configs["handbook"], installation.newest_run("handbook"))
    settle(root)
    one.look(installation.resources)
    event.listen(installation.stream.store.engine, "checkout", lambda *_: opened.append(1))
    one.look(installation.resources)
    assert (one.reason, opened) == ("", [])
    (root / "0.md").write_text("Changed: valve.")
    one.look(installation.resources)
    assert installation.texts()["0.md"] == "Changed: valve."
    assert opened


def test_small_sources_are_read_as_soon_as_their_files_are_there_without_dagster_and_without_a_run(
    installation: Installation,
) -> None:
    installation.start(refresh=3600)  # what is not reported is not seen
    names = [f"s{number}" for number in range(6)]
    for name in names:
        installation.write(name, 2)
        installation.configure(name, follows=None)
    installation.configure("broken", follows=None)
    installation.configure("off", follows=None, enabled=False)
    assert eventually(lambda: installation.read() == set(names))
    found = " ".join(installation.texts().values())
    assert all(f"Document {number} of {name} says pump." in found for name in names for number in range(2))
    assert installation.observed("off") is None
    assert installation.left(*names, "broken", "off") == set(), "no worker lives that has said so"
    installation.beat()
    assert installation.left(*names, "broken", "off") == {"broken", "off"}
    (installation.folder / "s0" / "0.md").write_text("Changed: valve.")
    assert eventually(lambda: "Changed: valve." in installation.texts()["0.md"])


def test_a_first_load_beyond_small_changes_wants_a_run_and_leaves_it_to_it(installation: Installation) -> None:
    installation.limit(stream_source_items=4)
    installation.write("large", 5)
    installation.configure("large", follows=None)
    installation.start()
    assert eventually(lambda: ("acme", "large") in installation.wanted)
    installation.beat()
    assert (installation.texts(), installation.left("large")) == ({}, set())
    installation.run("large")
    assert eventually(lambda: installation.wanted == {})


def test_permissions_of_a_row_follow_at_its_interval_and_a_changed_interval_at_once(
    installation: Installation,
) -> None:
    table = Table(installation.folder / "wiki.sqlite")
    table.write(1, "Row one says pump.", "everyone")
    installation.configure("wiki", options=table.options, acl=None, sensor={"interval_seconds": 86_400})
    installation.run("wiki")
    installation.start()
    assert eventually(lambda: installation.is_looked_at("wiki"))
    table.write(1, "Row one says pump.", "group:board")
    # The file of the source is all that changes: nothing else would be looked at for a day.
    installation.configure("wiki", options=table.options, acl=None, sensor={"interval_seconds": 5})
    assert eventually(lambda: installation.acl("1") == ["group:board"])
    table.write(1, "Row one says pump.", "user:ann")
    assert eventually(lambda: installation.acl("1") == ["user:ann"])
    table.delete(1)
    assert eventually(lambda: installation.texts() == {})


def test_a_service_that_says_what_changed_is_asked_from_where_the_last_listing_ended(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_SECRET_GRAPH", "secret")
    installation.limit(fetch_allow_networks="127.0.0.0/8", fetch_ports="1-65535")
    with FakeServer() as server, FakeServer() as downloads:
        graph = GraphServer(server, downloads)
        for number in range(12):
            graph.put(f"{number}.txt", f"Document {number} says pump.")
        installation.configure("library", options=graph.options, sensor={"interval_seconds": 5})
        installation.run("library")
        first = graph.calls("/root/delta")
        installation.start()
        assert eventually(lambda: installation.is_looked_at("library"))
        assert (first, graph.calls("/root/delta")) == (3, 4), "a look reads no page that the run has read"
        graph.put("new.txt", "A new document says turbine.")
        graph.remove("3.txt")
        assert eventually(lambda: "turbine" in str(installation.texts()) and len(installation.texts()) == 12)


def test_deletions_of_most_of_a_source_are_held_and_changes_go_on(installation: Installation) -> None:
    root = installation.add("handbook", files=10)
    installation.start()
    assert eventually(lambda: installation.is_looked_at("handbook"))
    for number in range(8):
        (root / f"{number}.md").unlink()
    (root / "9.md").write_text("Changed: valve.")
    assert eventually(lambda: installation.texts().get("9.md") == "Changed: valve.")
    assert len(installation.texts()) == 10
    assert installation.held() == 8
    one = installation.observed("handbook")
    assert one is not None
    assert eventually(lambda: one.reason == Reason.MASS_DELETE_HELD)
    assert eventually(lambda: ("acme", "handbook") in installation.wanted), "its run fails where operators see it"


def test_dagster_gets_one_summary_with_the_checks_of_a_run(installation: Installation) -> None:
    root, pipeline = installation.add("handbook", files=10), cast(Pipeline, installation.stream)
    one = ObservedSource(installation.configs["handbook"], installation.newest_run("handbook"))
    with dg.DagsterInstance.ephemeral() as instance:
        assert report(pipeline, instance, [one]) == 0, "nothing was brought in"
        for word in ("valve", "rotor"):
            (root / "0.md").write_text(f"Changed: {word}.")
            one.look(installation.resources)
        assert report(pipeline, instance, [one]) == 1
        assert report(pipeline, instance, [one]) == 0, "each is reported once"
        event = instance.get_latest_materialization_event(dg.AssetKey(["handbook", "documents"]))
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.metadata["updated"].value == 2
        assert instance.get_latest_materialization_event(dg.AssetKey(["handbook", "index"])) is not None
        assert instance.get_latest_materialization_event(ACTIVE) is not None
        assert failed_checks(instance) == set()
        for number in range(8):
            (root / f"{number}.md").unlink()
        one.look(installation.resources)
        report(pipeline, instance, [one])
        assert failed_checks(instance) == {"deletion_guard"}


def failed_checks(instance: dg.DagsterInstance) -> set[str]:
    keys = [dg.AssetCheckKey(dg.AssetKey(["handbook", "index"]), name) for name in CHECKS["index"]]
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert len(found) == len(keys), "every blocking check is reported"
    return {key.name for key, record in found.items() if record.status.value != "SUCCEEDED"}


def test_more_than_small_changes_are_left_to_a_run_and_nothing_of_them_is_written(installation: Installation) -> None:
    root = installation.add("handbook")
    installation.limit(stream_source_items=4)
    installation.start()
    assert eventually(lambda: installation.is_looked_at("handbook"))
    installation.stop()  # all of them are there before it looks
    for number in range(10, 16):
        (root / f"{number}.md").write_text(f"Document {number} says turbine.")
    (root / "0.md").unlink()
    settle(root / "15.md")  # a run that lists young files would make the next look at them want one more
    installation.start()
    assert eventually(lambda: ("acme", "handbook") in installation.wanted)
    assert set(installation.texts()) == {"0.md", "1.md", "2.md"}
    installation.run("handbook")
    assert len(installation.texts()) == 8
    (root / "1.md").write_text("After the run: valve.")
    assert eventually(lambda: installation.texts()["1.md"] == "After the run: valve.")
    assert eventually(lambda: installation.wanted == {})


def test_a_run_and_the_worker_never_work_on_a_source_at_once(installation: Installation) -> None:
    root = installation.add("handbook")
    installation.start()
    assert eventually(lambda: installation.is_looked_at("handbook"))
    one = installation.observed("handbook")
    assert one is not None
    with locks.shard_connection(installation.stream.store, "acme", "handbook", 0, wait=1):
        looked = one.due
        (root / "1.md").write_text("Changed: valve.")
        assert eventually(lambda: one.due != looked and not one.working), "it looks, and puts the change off"
        assert installation.texts()["1.md"] != "Changed: valve."
        assert one.failures == 0
    assert eventually(lambda: installation.texts()["1.md"] == "Changed: valve."), "the run's end leaves it the source"


def test_a_source_that_fails_is_looked_at_ever_less_and_a_run_is_wanted_that_says_so(
    installation: Installation,
) -> None:
    table = Table(installation.folder / "wiki.sqlite")
    table.write(1, "Row one says pump.", "everyone")
    installation.configure("wiki", options=table.options, acl=None)
    installation.run("wiki")
    one = ObservedSource(installation.configs["wiki"], installation.newest_run("wiki"))
    resources = installation.resources
    one.look(resources)
    assert one.wanted is None
    table.path.rename(away := table.path.with_suffix(".away"))
    pauses = []
    for _ in range(8):
        one.look(resources)
        pauses.append(round(one.due - time.monotonic()))
    assert all(low <= pause <= high for pause, low, high in zip(pauses, *BACK_OFF, strict=True)), pauses
    assert one.wanted is not None
    assert set(installation.texts()) == {"1"}, "a source that is away deletes nothing"
    away.rename(table.path)
    one.look(resources)
    assert (one.failures, one.wanted) == (0, None)
    one.configure(one.config, ObservableSource("acme", "wiki", "a run", RunState.RUNNING))
    one.look(resources)
    one.configure(one.config, ObservableSource("acme", "wiki", "a run", RunState.FAILED))
    assert one.wanted is None, "it was not looked at since"
    one.look(resources)
    assert one.wanted == one.tag, "a run that succeeds ends the failure"


def test_a_source_that_is_refused_wants_a_run_that_says_so(installation: Installation) -> None:
    installation.add("handbook")
    one = ObservedSource(installation.configs["handbook"], installation.newest_run("handbook"))
    one.look(installation.resources)
    read, state = one.tag, installation.stream.settings.home / "state"
    state.mkdir(parents=True)
    installation.configure("handbook", options={"kind": "folder", "root": str(state)})
    new = ObservedSource(installation.configs["handbook"], ObservableSource("acme", "handbook", None, None))
    one.configure(installation.configs["handbook"], one.newest_run)
    for refused in (new, one):
        for _ in range(2):
            refused.look(installation.resources)
        assert (refused.reason, refused.wanted) == (Reason.PATH_OUTSIDE_ROOT, refused.tag)
    assert new.tag == one.tag != read, "the sensor starts no run of what is searchable already"


def test_a_run_that_failed_for_the_same_is_told_once_until_something_changes(installation: Installation) -> None:
    """A hold that waits a night for its approval is no row of failed runs."""
    root = installation.add("handbook", files=8)
    one = ObservedSource(installation.configs["handbook"], installation.newest_run("handbook"))
    for number in range(7):
        (root / f"{number}.md").unlink()
    for _ in range(2):
        one.look(installation.resources)
    assert (one.reason, one.wanted) == ("MASS_DELETE_HELD", one.tag)
    for number in range(3):
        one.configure(one.config, ObservableSource("acme", "handbook", f"run {number}", RunState.FAILED))
        one.look(installation.resources)
        assert (one.failures, one.wanted) == (3 + number, None)
    (root / "9.md").write_text("A change: valve.")
    one.look(installation.resources)
    assert one.wanted == one.tag, "the source is not what the run failed for"
    for number in range(8):
        (root / f"{number}.md").write_text(f"Document {number} of handbook says pump.")
    one.configure(one.config, ObservableSource("acme", "handbook", "last", RunState.FAILED))
    one.look(installation.resources)
    assert (one.failures, one.wanted) == (0, one.tag), "a run that succeeds ends the failure"


BACK_OFF = ([3, 9, 18, 36, 72, 144, 270, 270], [6, 11, 22, 44, 88, 176, 330, 330])
"""Shortest and longest seconds between two looks, with their jitter."""


def test_what_fails_here_and_not_in_runs_is_left_to_them(installation: Installation) -> None:
    table = Table(installation.folder / "wiki.sqlite")
    table.write(1, "Row one says pump.", "everyone")
    installation.configure("wiki", options=table.options, acl=None)
    one = ObservedSource(installation.configs["wiki"], ObservableSource("acme", "wiki", "first", RunState.SUCCEEDED))
    table.path.unlink()
    one.look(installation.resources)
    one.look(installation.resources)
    assert one.left_until == 0
    one.configure(one.config, ObservableSource("acme", "wiki", "second", RunState.SUCCEEDED))
    one.look(installation.resources)
    assert one.left_until > 0


def test_a_paused_source_is_left_alone_until_it_is_resumed(installation: Installation) -> None:
    root = installation.add("handbook")
    installation.switch("handbook", follows=False)
    other = installation.add("other")
    installation.start()
    (root / "paused.md").write_text("Changed: valve.")
    (other / "9.md").write_text("Other: rotor.")
    assert eventually(lambda: "9.md" in installation.texts())
    assert installation.observed("handbook") is None
    installation.switch("handbook", follows=True)
    assert eventually(lambda: installation.texts().get("paused.md") == "Changed: valve.")


def test_sources_are_divided_and_those_of_a_dead_worker_are_taken_over(store: Store) -> None:
    names = [("acme", f"s{number}") for number in range(6)]
    one, two = Leases(store, spare_seconds=3600), Leases(store, spare_seconds=3600)
    one.share(names, 1)
    assert len(one.held) == 6
    two.share(names, 2)
    one.share(names, 2)
    two.share(names, 2)
    assert (len(one.held), len(two.held), one.held & two.held) == (3, 3, set())
    one.close()  # as its session ends
    with store.engine.connect() as connection:
        assert observable_store.observed(connection, names) == two.held
    two.share(names, 1)
    assert two.held == set(names)
    two.share(names[:2], 1)
    assert two.held == set(names[:2])
    two.close()


def test_sources_that_another_worker_cannot_open_are_taken_beyond_a_share(store: Store) -> None:
    names = [("acme", f"s{number}") for number in range(4)]
    leases = Leases(store, spare_seconds=0)
    leases.share(names, 2)
    assert leases.held == set(names)
    leases.close()


def test_tenants_take_turns_and_folders_keep_a_thread(installation: Installation) -> None:
    def observed(tenant: str, name: str, **state: Any) -> ObservedSource:
        options = state.pop("options", {"kind": "folder", "root": "/srv/docs"})
        config = SourceConfig.model_validate({"name": name, "tenant": tenant, "options": options})
        one = ObservedSource(config, ObservableSource(tenant, name, None, None))
        for field, value in state.items():
            setattr(one, field, value)
        return one

    many = [observed("acme", f"a{number}", due=number) for number in range(3)]
    few = observed("zeta", "z", due=9)
    assert next_due([*many, few], {"acme": 5.0, "zeta": 4.0}, 2, 10) is few, "its tenant waits longer"
    many[0].working = True
    assert next_due([*many, few], {"acme": 5.0, "zeta": 6.0}, 3, 10) is few, "the other tenant has one at work"
    many[2].changed = True
    assert next_due(many, {}, 3, 10) is many[2], "a change that was reported is first"
    assert next_due(many, {}, 1, 10) is None, "no thread is free"
    site = observed("zeta", "site", due=0, options={"kind": "site", "seeds": ["https://a.example/"]})
    assert next_due([many[0], site], {}, 2, 10) is None, "the last thread is for folders"
    assert next_due([many[0], site, many[1]], {}, 2, 10) is many[1]
    assert next_due([site, few], {}, 3, 1) is site, "the other is not due"
