"""deploy/logging/rsyslog.conf, run by rsyslog: lines arrive as JSON, also after an outage of the receiver."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.chart import ROOT
from tests.support.postgres import die_with_parent

pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(shutil.which("rsyslogd") is None, reason="rsyslogd is not installed (Debian: rsyslog)"),
]


@contextmanager
def rsyslog(folder: Path, logs: Path, port: int) -> Iterator[None]:
    state = folder / "state"
    state.mkdir(exist_ok=True)
    given = {"FILES": f"{logs}/*.log", "STATE": str(state), "HOST": "127.0.0.1", "PORT": str(port)}
    environment = {**os.environ, **{f"RAG_LOG_{name}": value for name, value in given.items()}}
    command = ["rsyslogd", "-n", "-i", str(folder / "pid"), "-f", str(ROOT / "deploy" / "logging" / "rsyslog.conf")]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, preexec_fn=die_with_parent)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def lines(server: socket.socket, count: int) -> list[dict[str, object]]:
    """What the receiver gets of the next connection."""
    server.settimeout(60)
    connection, _ = server.accept()
    with closing(connection), connection.makefile("r", encoding="utf-8") as stream:
        connection.settimeout(60)
        return [json.loads(stream.readline()) for _ in range(count)]


def test_lines_of_services_arrive_whole_and_with_their_fields(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with (logs / "query.log").open("w") as file:
        file.write('{"event": "started", "level": "info", "trace_id": "ab", "n": 1}\n')
        file.write("a line of a library\n")
        file.write('2026-11-30T10:00:00.1Z stderr F {"event": "as a container runtime writes it"}\n')
    with socket.create_server(("127.0.0.1", 0)) as server, rsyslog(tmp_path, logs, server.getsockname()[1]):
        found = lines(server, 3)
    source = str(logs / "query.log")
    assert found == [
        {"event": "started", "level": "info", "trace_id": "ab", "n": 1, "file": source},
        {"message": "a line of a library", "file": source},
        {"event": "as a container runtime writes it", "file": source},
    ]


def test_what_is_written_while_the_receiver_is_away_arrives_when_it_is_back(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "query.log").write_text('{"event": "first"}\n')
    with socket.socket() as away:
        away.bind(("127.0.0.1", 0))  # nobody listens yet
        port = away.getsockname()[1]
        with rsyslog(tmp_path, logs, port):
            refused, pause = tmp_path / "output", threading.Event()
            while b"Connection refused" not in refused.read_bytes():
                pause.wait(0.05)
            away.listen()
            assert lines(away, 1)[0]["event"] == "first"
