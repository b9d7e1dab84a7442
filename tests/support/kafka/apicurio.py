"""Apicurio Registry itself, from its published archive: a schema registry that tests start, stop and start again.

`RAG_TEST_SCHEMA_REGISTRY=http://host:port/…` names another to use. The unpacked archive is in the folder
`RAG_TEST_APICURIO`, or Maven fetches it once into the user's cache (109 MB).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from benchmarks.ports import free_port
from tests.support.postgres import die_with_parent
from tests.support.waiting import eventually

VERSION = "3.0.9"
_FETCH_SECONDS = 120
_ARCHIVE = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"


def folder() -> Path:
    """The folder of the unpacked archive. Skips the test, with how to give it, where it cannot be had."""
    how = f"RAG_TEST_SCHEMA_REGISTRY=http://host:port/path, or RAG_TEST_APICURIO=folder of {_ARCHIVE}, unpacked"
    if given := os.environ.get("RAG_TEST_APICURIO"):
        return Path(given)
    if shutil.which("java") is None or shutil.which("mvn") is None:
        pytest.skip(f"a schema registry needs Java 17 and Maven on PATH; or {how}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rag-platform" / f"apicurio-{VERSION}"
    if not (cache / "complete").exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={_ARCHIVE}", f"-DoutputDirectory={cache}"]
        try:
            subprocess.run(command, check=True, timeout=_FETCH_SECONDS, capture_output=True)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
            pytest.skip(f"Maven did not bring Apicurio Registry within {_FETCH_SECONDS} s; {how}")
        (archive,) = cache.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(cache, filter="data")
        archive.unlink()
        (cache / "complete").touch()
    return cache


@dataclass
class Apicurio:
    """A registry at `url`, with what it holds in a file."""

    url: str
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        (jar,) = folder().glob("apicurio-registry-app-*-runner.jar")
        assert self.log is not None
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", str(jar)],
                env=os.environ
                | {
                    "QUARKUS_HTTP_HOST": "127.0.0.1",
                    "QUARKUS_HTTP_PORT": str(self.port),
                    "APICURIO_DATASOURCE_URL": f"jdbc:h2:file:{self.log.with_name('rows')}",
                },
                cwd=self.log.parent,
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )
        if not eventually(self._answers, seconds=120):
            self.kill()
            raise TimeoutError(f"Apicurio does not answer: {self.log.read_text(errors='replace')[-1000:]}")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/subjects", timeout=5).status_code == 200
        return False


def start_registry() -> Apicurio:
    """The registry that was named, or one that is started here."""
    if given := os.environ.get("RAG_TEST_SCHEMA_REGISTRY"):
        return Apicurio(given)
    port = free_port()
    log = Path(tempfile.mkdtemp(prefix="apicurio-")) / "log"
    made = Apicurio(f"http://127.0.0.1:{port}/apis/ccompat/v7", port, None, log)
    made.start()
    return made
