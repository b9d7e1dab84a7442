"""The log shipper's file. No package that can be had here brings Fluent Bit, so all but the last test compare the file
with its manual (4.2, copied by hand); they do not prove that it works."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.support.chart import ROOT

FILE = ROOT / "deploy" / "logging" / "fluent-bit.yaml"
_COMMON = {"name", "match", "tag"}
_STORAGE = {"storage.type", "mem_buf_limit"}
OPTIONS = {
    "service": {"flush", "storage.path", "storage.sync"},
    "tail": _COMMON | _STORAGE | {"path", "multiline.parser", "db", "read_from_head", "refresh_interval"}
    | {"buffer_max_size", "skip_long_lines"},
    "parser": _COMMON | {"key_name", "parser", "reserve_data", "preserve_key"},
    "kubernetes": _COMMON | {"kube_tag_prefix", "merge_log", "labels", "annotations"},
    "http": _COMMON | {"host", "port", "uri", "header", "format", "tls", "tls.verify"}
    | {"storage.total_limit_size", "retry_limit"},
}  # fmt: skip
"""Options that the manual lists, of the plugins that the file uses."""
MULTILINE = {"docker", "cri", "go", "java", "python", "ruby"}
"""Parsers of several lines that are built in; others must be defined."""


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return yaml.load(FILE.read_text("utf-8"), yaml.CSafeLoader)  # type: ignore[no-any-return]


def plugins(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [plugin for part in ("inputs", "filters", "outputs") for plugin in config["pipeline"][part]]


def test_every_section_and_option_is_one_that_the_manual_lists(config: dict[str, Any]) -> None:
    assert config.keys() == {"service", "parsers", "pipeline"}
    assert config["pipeline"].keys() == {"inputs", "filters", "outputs"}
    assert config["service"].keys() <= OPTIONS["service"]
    for plugin in plugins(config):
        assert plugin.keys() <= OPTIONS[plugin["name"]], plugin["name"]


def test_every_parser_that_is_named_is_defined(config: dict[str, Any]) -> None:
    defined = {parser["name"] for parser in config["parsers"]}
    assert {plugin["parser"] for plugin in plugins(config) if "parser" in plugin} <= defined
    several = {name.strip() for plugin in plugins(config) for name in plugin.get("multiline.parser", "").split(",")}
    assert several - {""} <= MULTILINE


def test_kubernetes_metadata_is_looked_up_by_the_name_of_the_log_file(config: dict[str, Any]) -> None:
    (source,) = config["pipeline"]["inputs"]
    (lookup,) = [plugin for plugin in config["pipeline"]["filters"] if plugin["name"] == "kubernetes"]
    # A star in the tag of `tail` stands for the file's path with dots for slashes.
    folder = source["path"].rpartition("/")[0].lstrip("/").replace("/", ".")
    assert lookup["kube_tag_prefix"] == f"{source['tag'].removesuffix('*')}{folder}."


def test_what_is_read_passes_every_filter_and_reaches_the_output(config: dict[str, Any]) -> None:
    (source,) = config["pipeline"]["inputs"]
    tag = source["tag"].replace("*", "var.log.containers.rag-rag-platform-query-blue-x_rag_query-0.log")
    for plugin in [*config["pipeline"]["filters"], *config["pipeline"]["outputs"]]:
        assert fnmatch.fnmatch(tag, plugin["match"]), plugin["name"]


def test_what_cannot_be_sent_yet_waits_on_disk_within_a_limit(config: dict[str, Any]) -> None:
    assert config["service"]["storage.path"]
    assert {plugin["storage.type"] for plugin in config["pipeline"]["inputs"]} == {"filesystem"}
    for output in config["pipeline"]["outputs"]:
        assert output["storage.total_limit_size"]
        assert output["tls"] is True
        assert output["tls.verify"] is True


def test_it_takes_from_the_environment_what_its_page_says() -> None:
    used = set(re.findall(r"\$\{(\w+)\}", FILE.read_text("utf-8")))
    page = (ROOT / "docs" / "how-to" / "ship-logs.md").read_text("utf-8")
    assert used == set(re.findall(r"`(HTTP_\w+)`", page))


@pytest.mark.skipif(shutil.which("fluent-bit") is None, reason="fluent-bit is not installed (no package index has it)")
def test_fluent_bit_accepts_the_file() -> None:
    command = ["fluent-bit", "--dry-run", "-c", str(FILE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
