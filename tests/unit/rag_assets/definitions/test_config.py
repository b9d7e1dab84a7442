from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._utils.schedules import is_valid_cron_string
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.config import files_fingerprint, load_all_sources, load_sources, read_sources
from rag_assets.source_config import SourceConfig, cron_problem
from rag_assets.strict_yaml import parse_yaml
from rag_core.content.sources import Source
from rag_core.errors import ConfigError, Reason
from tests.unit.rag_assets.definitions.conftest import Attributes, WriteSource


def refused(directory: Path) -> list[str]:
    """The problems of a folder of sources, one per line."""
    with pytest.raises(ConfigError) as caught:
        load_sources(directory)
    assert caught.value.reason is Reason.CONFIG_INVALID
    heading, *lines = caught.value.message.splitlines()
    assert heading == f"{len(lines)} problem(s) in the source files"
    return lines


def test_a_small_file_gives_a_source_with_defaults(sources_dir: Path, write_source: WriteSource) -> None:
    write_source()
    (source,) = load_sources(sources_dir)
    assert replace(source.source, options="") == Source("handbook", "acme", "folder", ("everyone",))
    assert source.schedule is not None
    assert (source.schedule.cron, source.schedule.timezone) == ("0 3 * * *", "UTC")
    assert source.sensor is not None
    assert source.sensor.interval_seconds == 30


def test_sources_with_other_options_do_not_pass_for_the_same(
    sources_dir: Path, write_source: WriteSource, docs: Path
) -> None:
    options = {"kind": "folder", "root": str(docs)}
    found = []
    for chosen in (options, options, {**options, "include": ["**/*.md"]}):
        write_source(options=chosen)
        found.append(load_sources(sources_dir)[0].source.options)
    assert found[0] == found[1] != found[2]


def test_every_attribute_can_be_set(sources_dir: Path, write_source: WriteSource, docs: Path) -> None:
    write_source(
        acl=["group:support", "user:ann@example.com"],
        shards=8,
        enabled=False,
        schedule={"cron": "*/15 8-18 * * mon-fri", "timezone": "Asia/Shanghai"},
        sensor={"interval_seconds": 120},
        freshness_minutes=60,
        metadata={"team": "support"},
        options={
            "kind": "folder",
            "root": str(docs),
            "include": ["**/*.md"],
            "exclude": ["**/drafts/**"],
            "max_file_bytes": 1000,
            "symlinks": "within_root",
            "hard_links": "refuse",
            "hidden": True,
        },
    )
    (source,) = load_sources(sources_dir)
    assert source.source.metadata == {"team": "support"}
    assert (source.shards, source.enabled) == (8, False)


def test_null_switches_schedule_sensor_and_freshness_off(sources_dir: Path, attributes: Attributes) -> None:
    off = {"schedule": None, "sensor": None, "freshness_minutes": None}
    document = {"type": "rag_assets.components.DocumentSource", "attributes": {**attributes, **off}}
    (sources_dir / "a.yaml").write_text(yaml.safe_dump(document))
    (source,) = load_sources(sources_dir)
    assert (source.schedule, source.sensor, source.freshness_minutes) == (None, None, None)


def test_a_missing_folder_holds_no_source(tmp_path: Path) -> None:
    assert load_sources(tmp_path / "none") == []


WEB = {"kind": "site", "seeds": ["https://example.com/"]}
API = {"kind": "api", "url": "https://example.com/items", "fields": {"id": "$.id", "content": "$.body"}}
TOPIC = {"kind": "topic", "brokers": "localhost:9092", "topic": "tickets"}


def topic(**security: object) -> dict[str, object]:
    return {**TOPIC, "security": security}


@pytest.mark.catalogue("B71")
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"shedule": {"cron": "@daily"}}, 'attributes.shedule: unknown key; did you mean "schedule"?'),
        ({"shards": "2"}, "attributes.shards: Input should be a valid integer"),
        ({"shards": 0}, "attributes.shards: Input should be greater than or equal to 1"),
        ({"name": "Hand Book"}, "attributes.name: String should match pattern"),
        ({"name": ""}, "attributes.name: String should match pattern"),
        ({"name": "source"}, "attributes.name: reserved: the sensor of all sources is named `source_changes`"),
        ({"tenant": "a/b"}, "attributes.tenant: String should match pattern"),
        ({"acl": ["anyone"]}, "attributes.acl.0: String should match pattern"),
        ({"acl": []}, "attributes.acl: List should have at least 1 item"),
        ({"acl": "everyone"}, "attributes.acl: Input should be a valid list"),
        ({"schedule": {"cron": "61 * * * *"}}, 'attributes.schedule.cron: the minute field "61" is not within 0-59'),
        ({"schedule": {"cron": "* * * *"}}, "attributes.schedule.cron: a cron expression has 5 fields, this has 4"),
        ({"schedule": {"timezone": "Mars/Base"}}, "attributes.schedule.timezone: not a time zone"),
        ({"schedule": {"timezone": "../etc"}}, "attributes.schedule.timezone: not a time zone"),
        ({"sensor": {"interval_seconds": 1}}, "attributes.sensor.interval_seconds: Input should be greater than"),
        ({"sensor": {"seconds": 1}}, "attributes.sensor.seconds: unknown key; did you mean"),
        ({"freshness_minutes": True}, "attributes.freshness_minutes: Input should be a valid integer"),
        ({"metadata": {"Team": "x"}}, "attributes.metadata.Team.[key]: String should match pattern"),
        ({"metadata": {"team": 1}}, "attributes.metadata.team: Input should be a valid string"),
        ({"options": {"kind": "folder"}}, "attributes.options.root: Field required"),
        ({"options": {"kind": "ftp", "root": "/srv"}}, "attributes.options: no installed package has the kind 'ftp'"),
        ({"options": {"kind": "folder", "root": "/srv", "glob": "*"}}, "attributes.options.glob: unknown key"),
        (
            {"shards": 2, "options": WEB},
            "attributes: shards: every shard would crawl the whole site; leave shards at 1",
        ),
        (
            {"shards": 2, "options": API},
            "attributes: shards: every shard would read every page of the list (with `detail` shards divide its "
            "requests); leave shards at 1",
        ),
        ({"shards": 2, "options": TOPIC}, "attributes: shards: a topic has its own partitions; leave shards at 1"),
        (
            {"options": topic(protocol="SASL_SSL")},
            "attributes.options.security: username and password are required with SASL",
        ),
        ({"options": topic(password="hunter2")}, "attributes.options.security.password: SECRET_INLINE_FORBIDDEN"),
        (
            {"options": topic(password={"env": "PGPASSWORD"})},
            "attributes.options.security.password.env: String should match",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    sources_dir: Path, write_source: WriteSource, change: dict[str, Any], problem: str
) -> None:
    write_source(**change)
    (line,) = refused(sources_dir)
    assert line.startswith(f"CONFIG_INVALID at sources/handbook.yaml: {problem}")


@pytest.mark.catalogue("B71")
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"- a\n- b\n", "the file must hold `type:` and `attributes:`"),
        (b"type: x\n\tattributes: 1\n", "line 2: indented with a tab; use spaces"),
        (b"type: caf\xe9\n", "not UTF-8 text (byte 9); save it as UTF-8"),
        (b"\xff\xfet\x00", "not UTF-8 text (byte 0); save it as UTF-8"),
        (b"type: a\ntype: b\nattributes: {}\n", 'line 2: the key "type" appears twice'),
        (b"a: &x 1\nb: *x\n", "line 1: anchors and aliases are not supported"),
        (b"a: &a [1]\nb: &b [*a, *a]\n", "line 1: anchors and aliases are not supported"),
        (b"a: 1\n---\nb: 2\n", "line 2: but found another document"),
        (b"a: [1, 2\n", "line 2: did not find expected ',' or ']'"),
        (b"a: !!python/object/apply:os.system ['true']\n", "line 1: could not determine a constructor for the tag"),
        (b"? [a, b]\n: 1\n", "line 1: a key must be a plain word"),
        (b"[" * 100 + b"]" * 100, "line 1: nested more than 32 levels deep"),
        (b"a: " + b"x" * 300_000, "larger than 262144 bytes"),
        (b"a: \x00\n", "not valid YAML (ReaderError)"),
    ],
)
def test_a_file_that_is_not_plain_yaml_is_refused(sources_dir: Path, content: bytes, problem: str) -> None:
    (sources_dir / "bad.yaml").write_bytes(content)
    assert any(line.startswith(f"CONFIG_INVALID at sources/bad.yaml: {problem}") for line in refused(sources_dir))


@given(st.lists(st.sampled_from([*"ab1:-,[]{}#'\"\n\t|>?!%@`~<=\\.", ": ", "\n  ", "\n- "]), max_size=24).map("".join))
def test_what_is_read_is_what_yaml_means(text: str) -> None:
    found = parse_yaml(text)
    if not found.problems:
        assert found.data == yaml.load(text, yaml.CSafeLoader)


@pytest.mark.catalogue("B71")
def test_a_duplicate_key_deep_in_the_file_is_refused(sources_dir: Path, write_source: WriteSource) -> None:
    path = write_source()
    path.write_text(path.read_text().replace("tenant: acme", "tenant: acme\n  tenant: other"))
    (line,) = refused(sources_dir)
    assert line.endswith('the key "tenant" appears twice')


@pytest.mark.catalogue("B71")
def test_all_problems_of_all_files_are_listed(sources_dir: Path, write_source: WriteSource) -> None:
    write_source("a.yaml", name="a", shards="x", colour="red")
    write_source("b.yaml", name="B", tenant=None)
    (sources_dir / "c.yml").write_bytes(b"")
    lines = refused(sources_dir)
    assert [line.split(": ")[0] for line in lines] == [
        "CONFIG_INVALID at sources/a.yaml",
        "CONFIG_INVALID at sources/a.yaml",
        "CONFIG_INVALID at sources/b.yaml",
        "CONFIG_INVALID at sources/b.yaml",
        "CONFIG_INVALID at sources/c.yml",
    ]


@pytest.mark.catalogue("B74")
@pytest.mark.parametrize("name", ["handbook", "hand-book"])
def test_two_sources_of_one_name_are_refused(sources_dir: Path, write_source: WriteSource, name: str) -> None:
    write_source("a.yaml", name=name)
    write_source("b.yaml", name=name.replace("-", "_"))
    (line,) = refused(sources_dir)
    assert line.startswith("DUPLICATE_SOURCE at sources/b.yaml: attributes.name:")
    assert line.endswith("is also defined in sources/a.yaml")
    assert len(read_sources(sources_dir).sources) == 1


@pytest.mark.catalogue("B74")
def test_a_project_source_and_a_local_one_may_not_share_a_name(
    sources_dir: Path, write_source: WriteSource, tmp_path: Path
) -> None:
    defs = tmp_path / "defs" / "handbook"
    defs.mkdir(parents=True)
    (defs / "defs.yaml").write_text(write_source().read_text())
    assert [source.name for source in load_all_sources(tmp_path / "none", defs=tmp_path / "defs")] == ["handbook"]
    with pytest.raises(ConfigError) as caught:
        load_all_sources(sources_dir, defs=tmp_path / "defs")
    assert "DUPLICATE_SOURCE at sources/handbook.yaml" in caught.value.message
    assert "defs/handbook/defs.yaml" in caught.value.message


def test_each_problem_says_whose_source_it_is(sources_dir: Path, write_source: WriteSource) -> None:
    write_source("a.yaml", name="wiki", shards="x")
    write_source("b.yaml", name=["no", "name"], tenant="acme")
    (sources_dir / "c.yaml").write_text("type: [")
    write_source("d.yaml")
    found = read_sources(sources_dir)
    assert [source.name for source in found.sources] == ["handbook"]
    assert {(one.place, one.source, one.tenant) for one in found.problems} == {
        ("sources/a.yaml", "wiki", "acme"),
        ("sources/b.yaml", "b", "acme"),
        ("sources/c.yaml", "c", ""),
    }


def test_the_fingerprint_of_the_files_changes_with_each_of_them(sources_dir: Path, write_source: WriteSource) -> None:
    seen = [files_fingerprint(sources_dir)]
    path = write_source()
    seen.append(files_fingerprint(sources_dir))
    path.write_text(path.read_text() + "# edited\n")
    seen.append(files_fingerprint(sources_dir))
    assert files_fingerprint(sources_dir) == seen[-1]
    text = path.read_text()
    path.write_text(text.replace("edited", "united"))  # as long, within the same tick of the file system's clock
    seen.append(files_fingerprint(sources_dir))
    os.utime(path, (1000, 1000))
    assert files_fingerprint(sources_dir) == seen[-1], "an older time is no other text"
    path.write_text(text)
    os.utime(path, (2000, 2000))
    assert files_fingerprint(sources_dir) == seen[2]
    path.unlink()
    assert len(set(seen)) == 4
    assert files_fingerprint(sources_dir) == seen[0]


def test_components_of_other_types_in_the_project_are_not_ours_to_check(tmp_path: Path) -> None:
    (tmp_path / "defs" / "x").mkdir(parents=True)
    (tmp_path / "defs" / "x" / "defs.yaml").write_text("type: dagster.DefsFolderComponent\n")
    assert load_all_sources(tmp_path / "none", defs=tmp_path / "defs") == []


@pytest.mark.catalogue("B25")
@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"root": "../docs"}, "root"),
        ({"root": "docs"}, "root"),
        ({"root": "~/docs"}, "root"),
        ({"root": "/srv/../etc"}, "root"),
        ({"root": "/srv/\0"}, "root"),
        ({"root": "C:\\docs"}, "root"),
        ({"root": "/"}, "root"),
        ({"root": "/proc"}, "root"),
        ({"root": "/sys/kernel"}, "root"),
        ({"root": "/dev/"}, "root"),
        ({"root": "/srv", "include": ["../*"]}, "include.0"),
        ({"root": "/srv", "include": ["/etc/*"]}, "include.0"),
        ({"root": "/srv", "include": ["a/../../b"]}, "include.0"),
        ({"root": "/srv", "include": ["~/*"]}, "include.0"),
        ({"root": "/srv", "exclude": ["C:\\x"]}, "exclude.0"),
        ({"root": "/srv", "exclude": ["a\0"]}, "exclude.0"),
    ],
)
def test_a_root_or_pattern_that_leads_elsewhere_is_refused(
    sources_dir: Path, write_source: WriteSource, options: dict[str, Any], place: str
) -> None:
    write_source(options={"kind": "folder", **options})
    (line,) = refused(sources_dir)
    assert line.startswith(f"CONFIG_INVALID at sources/handbook.yaml: attributes.options.{place}: PATH_OUTSIDE_ROOT:")


@pytest.mark.catalogue("S25")
@pytest.mark.parametrize("name", ["../etc", "a/b", "/a", "a\\b", ".hidden", "a.b", "A", "", "a" * 64])
def test_a_name_that_becomes_a_group_a_job_and_an_asset_key_cannot_be_a_path(
    sources_dir: Path, write_source: WriteSource, name: str
) -> None:
    write_source(name=name)
    (line,) = refused(sources_dir)
    assert line.startswith("CONFIG_INVALID at sources/handbook.yaml: attributes.name:")


@pytest.mark.parametrize("pattern", ["a//b", "./a", "a/", "**a", "a**/b"])
def test_a_pattern_that_could_never_match_is_refused(
    sources_dir: Path, write_source: WriteSource, pattern: str
) -> None:
    write_source(options={"kind": "folder", "root": "/srv", "include": [pattern]})
    (line,) = refused(sources_dir)
    assert "attributes.options.include.0: must be names and wildcards" in line


@pytest.mark.catalogue("S26")
def test_values_of_a_refused_file_are_not_repeated(sources_dir: Path, write_source: WriteSource) -> None:
    write_source(password="hunter2-canary", tenant="hunter2 canary", shards="hunter2-canary")
    assert "hunter2" not in "\n".join(refused(sources_dir))


def test_a_config_is_immutable(config: SourceConfig) -> None:
    with pytest.raises(ValueError, match="frozen"):
        config.tenant = "other"


@pytest.mark.parametrize("owner", ["ops@example.com", "team:search_docs"])
def test_an_owner_is_an_address_or_a_team(sources_dir: Path, write_source: WriteSource, owner: str) -> None:
    write_source(owners=[owner])
    (source,) = load_sources(sources_dir)
    assert source.owners == [owner]


@pytest.mark.parametrize("owner", ["ann", "team:", "team:a b", "ann@example", "a@b@example.com"])
def test_anything_else_is_no_owner(sources_dir: Path, write_source: WriteSource, owner: str) -> None:
    write_source(owners=[owner])
    (problem,) = refused(sources_dir)
    assert "owners.0: an owner is an email address or `team:NAME`" in problem


@pytest.mark.parametrize(
    "expression",
    ["* * * * *", "0 3 * * *", "*/15 8-18 * * mon-fri", "0 0 1,15 jan *", "5 4 * * 7", "@daily", "0 0 1-31/2 * *"],
)
def test_common_expressions_are_accepted(expression: str) -> None:
    assert cron_problem(expression) is None
    assert is_valid_cron_string(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *", "*/0 * * * *"],
)
def test_impossible_expressions_are_refused(expression: str) -> None:
    assert cron_problem(expression) is not None


_NUMBER = st.integers(0, 70).map(str)
_PART = st.one_of(
    st.just("*"), _NUMBER, st.builds("{}-{}".format, _NUMBER, _NUMBER), st.builds("*/{}".format, st.integers(0, 70))
)


@given(st.lists(_PART, min_size=5, max_size=5).map(" ".join))
def test_what_is_accepted_is_what_dagster_accepts(expression: str) -> None:
    if cron_problem(expression) is None:
        assert is_valid_cron_string(expression)
