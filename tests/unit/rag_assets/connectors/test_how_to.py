"""The source files of the how-tos, read as they stand there and connected to what the how-to says is there.

The SQL one goes through Dagster in tests/integration/assets/test_sql_source.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer

from rag_assets.config import load_sources
from rag_assets.connectors import open_connector
from rag_assets.connectors.git.options import GitOptions
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.s3.options import S3Options
from tests.support.kafka_broker import Broker, broker  # noqa: F401
from tests.support.s3 import moto_url
from tests.support.sites import POLICY, Site

GUIDES = Path(__file__).resolve().parents[4] / "docs" / "how-to"


def guide(kind: str) -> str:
    return (GUIDES / f"add-{kind}-source.md").read_text("utf-8")


def blocks(text: str) -> Iterator[str]:
    """The whole source files of a page."""
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        if "\nattributes:" in block:
            yield block


def checked(folder: Path, block: str, **replaced: str) -> dict[str, Any]:
    """What `rag source check` finds with the file of a page, after what must be another place here was replaced."""
    for old, new in replaced.items():
        block = block.replace({"address": "127.0.0.1:18080", "site": "127.0.0.1:18081"}.get(old, old), new)
    (folder / "source.yaml").write_text(block)
    (config,) = load_sources(folder)
    with open_connector(config, ConnectorContext(fetch_policy=POLICY)) as connector:
        return connector.check()


@pytest.mark.parametrize(
    "kind",
    [
        "a-filesystem",
        "a-sql",
        "a-kafka",
        "a-website",
        "an-http-api",
        "an-s3",
        "a-git",
        "an-sftp-or-webdav",
        "an-azure-or-google-cloud",
        "an-imap",
        "a-google-drive",
        "a-slack",
        "a-mediawiki",
        "a-redmine",
        "a-confluence",
        "a-jira",
        "an-smb",
        "a-sharepoint",
        "a-notion",
    ],
)
def test_every_whole_file_of_a_how_to_is_valid(kind: str, tmp_path: Path) -> None:
    found = list(blocks(guide(kind)))
    assert found
    for block in found:
        (tmp_path / "source.yaml").write_text(block)
        assert len(load_sources(tmp_path)) == 1


@pytest.mark.parametrize("number", [0, 1])
def test_the_files_of_the_filesystem_how_to_read_a_folder(tmp_path: Path, number: int) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "pumps.md").write_text("# Pumps\n\nPump 7 needs oil.\n")
    block = list(blocks(guide("a-filesystem")))[number].replace("/srv/handbook", str(docs))
    assert checked(tmp_path, block)["sample"] == ["pumps.md"]


def test_the_file_of_the_http_api_how_to_reads_the_items_that_it_serves(tmp_path: Path, httpserver: HTTPServer) -> None:
    page = guide("an-http-api")
    (served,) = re.findall(r"echo '(\{.*?\})' >", page, re.DOTALL)
    site = Site(httpserver)
    site.json("/articles.json", json.loads(served))
    (block,) = blocks(page)
    found = checked(tmp_path, block, address=f"{httpserver.host}:{httpserver.port}")
    assert (found["ok"], found["items"], found["sample"]) == (True, 2, ["1", "2"])


def test_the_file_of_the_s3_how_to_reads_the_object_that_it_puts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = guide("an-s3")
    (script,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(script.replace("http://127.0.0.1:18082", moto_url()), {})  # noqa: S102
    for name, value in re.findall(r"(RAG_SECRET_\w+)=(\w+)", page):
        monkeypatch.setenv(name, value)
    (block,) = blocks(page)
    found = checked(tmp_path, block.replace("http://127.0.0.1:18082", moto_url()))
    assert (found["ok"], found["sample"]) == (True, ["manuals/pumps.md"])


def test_every_further_option_of_the_s3_how_to_is_one() -> None:
    (further,) = re.findall(r"## Everything else\n\n```yaml\n(.*?)```", guide("an-s3"), re.DOTALL)
    assert S3Options.model_validate({"kind": "s3", "bucket": "handbook", **yaml.safe_load(further)}).path_style


@pytest.mark.skipif(shutil.which("git") is None, reason="no git on PATH: the page makes its repository with it")
def test_the_file_of_the_git_how_to_reads_the_repository_that_it_makes(tmp_path: Path) -> None:
    page = guide("a-git")
    place = "/tmp/guides"  # noqa: S108 - what the page says, and is replaced
    (script,) = re.findall(r"```console\n(\$ mkdir.*?)```", page, re.DOTALL)
    script = script.replace("$ ", "").replace(place, str(tmp_path / "guides"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run(["sh", "-ec", script], check=True, env=environment, capture_output=True)
    (block,) = blocks(page)
    found = checked(tmp_path, block.replace(place, str(tmp_path / "guides")))
    assert (found["ok"], found["sample"]) == (True, ["pumps.md"])


def test_every_further_option_of_the_git_how_to_is_one() -> None:
    (further,) = re.findall(r"## Everything else\n\n```yaml\n(.*?)```", guide("a-git"), re.DOTALL)
    assert GitOptions.model_validate({"kind": "git", **yaml.safe_load(further)}).is_remote


def test_the_file_of_the_website_how_to_reads_the_pages_that_it_serves(tmp_path: Path, httpserver: HTTPServer) -> None:
    page = guide("a-website")
    site = Site(httpserver)
    for content, name in re.findall(r"echo '(.*?)' > (\S+)", page):
        for path in (f"/{name}", "/") if name == "index.html" else (f"/{name}",):
            site.raw(path, content, "text/html")
    (block,) = blocks(page)
    (known,) = re.findall(r"delay_seconds: \S+", block)
    found = checked(tmp_path, block.replace(known, "delay_seconds: 0"), site=f"{httpserver.host}:{httpserver.port}")
    assert (found["ok"], found["sample"]) == (True, [site.url("/"), site.url("/valves.html")])


def test_the_file_of_the_kafka_how_to_reads_the_message_that_it_shows(
    tmp_path: Path,
    broker: Broker,  # noqa: F811
) -> None:
    page = guide("a-kafka")
    (message,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (block,) = blocks(page)
    topic = broker.topic()
    broker.produce(topic, ("7", json.loads(message)))
    options = yaml.safe_load(block)["attributes"]["options"]
    block = block.replace(options["brokers"], broker.address).replace("topic: tickets\n", f"topic: {topic}\n")
    assert checked(tmp_path, block) == {"ok": True, "items": 1, "sample": ["7"]}
