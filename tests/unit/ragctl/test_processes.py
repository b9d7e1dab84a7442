"""Find and stop processes of a stack, and find the owner of a port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from benchmarks.ports import free_port
from rag_core.errors import Conflict, Reason
from ragctl.local_stack.exec import SERVICE_VARIABLE, STACK_VARIABLE
from ragctl.local_stack.probes import ProbeResult
from ragctl.local_stack.processes import (
    LINGER_SECONDS,
    check_distinct_ports,
    check_ports,
    stack_processes,
    stop_processes,
)
from ragctl.local_stack.services import Service
from tests.support.waiting import eventually

ROOT = str(Path(__file__).parents[3])
_SLEEP = "import signal, sys; print('up', flush=True); signal.pause()"
_STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"


async def _healthy() -> ProbeResult:
    return ProbeResult(True)


def _part(name: str, **fields: object) -> Service:
    return Service(name=name, command=("true",), probe=_healthy, **fields)  # type: ignore[arg-type]


def _spawn(stack_id: str, service: str, program: str = _SLEEP) -> subprocess.Popen[bytes]:
    environment = {**os.environ, STACK_VARIABLE: stack_id, SERVICE_VARIABLE: service}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.stdout.close()
    return process


def test_processes_are_found_by_the_mark_they_inherit() -> None:
    stack_id = uuid.uuid4().hex
    process = _spawn(stack_id, "console")
    try:
        assert [(item.process.pid, item.service) for item in stack_processes(stack_id)] == [(process.pid, "console")]
        assert stack_processes("another") == []
    finally:
        process.kill()
        process.wait()


def test_leftovers_are_ended_and_the_stubborn_are_killed() -> None:
    stack_id = uuid.uuid4().hex
    processes = [_spawn(stack_id, "gateway"), _spawn(stack_id, "console", _STUBBORN)]
    services = [_part("gateway", stop_seconds=10), _part("console", stop_seconds=1, stop_wave=1)]
    assert stop_processes(stack_id, services) == 2
    assert not [process.pid for process in processes if psutil.pid_exists(process.pid)]
    for process in processes:
        process.wait()
    assert stop_processes(stack_id, services) == 0


def test_only_the_chosen_processes_are_ended() -> None:
    stack_id = uuid.uuid4().hex
    kept, ended = _spawn(stack_id, "postgres"), _spawn(stack_id, "daemon")
    try:
        assert stop_processes(stack_id, [], only=lambda item: item.service == "daemon") == 1
        assert not psutil.pid_exists(ended.pid)
        ended.wait()
        assert kept.poll() is None
    finally:
        kept.kill()
        kept.wait()


def test_a_taken_port_is_named_with_its_setting_and_its_owner() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Conflict) as caught:
            check_ports([_part("console", port_settings=((port, "RAG_CONSOLE_PORT"),))])
    assert caught.value.reason is Reason.PORT_TAKEN
    assert f"port {port} is taken by {psutil.Process().name()} (process {os.getpid()})" in caught.value.message
    assert "set RAG_CONSOLE_PORT" in caught.value.message


def test_a_port_that_only_a_connection_has_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A client's connection got the port of a service by chance: it ends by itself, and then the services start."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        port = client.getsockname()[1]
        services = [_part("index", port_settings=((port, "RAG_INDEX_PORT"),))]
        with pytest.raises(Conflict, match=f"port {port} is taken by a connection of another program"):
            check_ports(services)
        accepted, _ = server.accept()
        accepted.close()  # first: that side keeps its port for a minute, the client's is free at once
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(check_ports, services, patient=True)
            assert eventually(lambda: "waiting for its end" in capsys.readouterr().err)
            client.close()
            waiting.result(timeout=LINGER_SECONDS)


def test_a_free_port_is_fine() -> None:
    check_ports([_part("console", port_settings=((free_port(), "RAG_CONSOLE_PORT"),))])


def test_two_settings_with_one_port_are_named_together() -> None:
    services = [
        _part("console", port_settings=((8080, "RAG_CONSOLE_PORT"),)),
        _part("gateway", port_settings=((8080, "RAG_GATEWAY_PORT"),)),
    ]
    with pytest.raises(Conflict, match="RAG_CONSOLE_PORT and RAG_GATEWAY_PORT are both 8080"):
        check_distinct_ports(services)


def test_the_wrapper_becomes_the_part_counts_the_start_and_sets_its_environment(tmp_path: Path) -> None:
    counter = tmp_path / "starts"
    program = f"import os; print(os.getpid(), os.environ['{SERVICE_VARIABLE}'], os.environ['X'])"
    command = [
        sys.executable, "-P", "-m", "ragctl.local_stack.exec", "--part=console", f"--count={counter}", "--env=X=a=b c",
        "--", sys.executable, "-c", program,
    ]  # fmt: skip
    for starts in (1, 2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ROOT})
        output, _ = process.communicate(timeout=30)
        assert output.split(maxsplit=2) == [str(process.pid), "console", "a=b c\n"]
        assert counter.read_text() == str(starts)


@pytest.mark.catalogue("A27")
def test_neither_a_full_disk_nor_the_empty_file_it_left_keeps_a_part_from_starting(tmp_path: Path) -> None:
    counter = tmp_path / "starts"
    counter.touch()
    command = [
        sys.executable, "-P", "-m", "ragctl.local_stack.exec", "--part=console", f"--count={counter}",
        "--", sys.executable, "-c", "print('started')",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": ROOT}
    for prefix, counted in ((["prlimit", "--fsize=0", "--"], ""), ([], "1")):
        done = subprocess.run([*prefix, *command], capture_output=True, text=True, env=environment, check=False)
        assert (done.stdout, done.returncode) == ("started\n", 0), done.stderr
        assert counter.read_text() == counted
    assert list(tmp_path.iterdir()) == [counter]


def test_the_wrapper_waits_for_the_servers_the_part_needs() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        command = [
            sys.executable, "-P", "-m", "ragctl.local_stack.exec", "--part=x", f"--wait=127.0.0.1:{port}",
            "--", sys.executable, "-c", "print('after')",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ROOT})
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.7)
        server.listen()
        output, _ = process.communicate(timeout=30)
    assert output == "after\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel call exists on Linux only")
def test_a_part_ends_when_its_supervisor_is_killed() -> None:
    parent = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-P', '-m', 'ragctl.local_stack.exec', '--part=x', "
        "'--', sys.executable, '-c', 'import os, signal; print(os.getpid(), flush=True); signal.pause()']).wait()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ROOT}
    )
    assert process.stdout is not None
    child = psutil.Process(int(process.stdout.readline()))
    process.kill()
    process.wait()
    process.stdout.close()
    gone, alive = psutil.wait_procs([child], timeout=10)
    assert (len(gone), alive) == (1, [])
