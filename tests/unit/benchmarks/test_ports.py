"""Free ports for processes about to start."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

from benchmarks.ports import free_port


def test_processes_that_ask_at_once_are_dealt_different_ports_outside_of_the_range_of_connections() -> None:
    with ProcessPoolExecutor(3) as workers:
        ports = list(workers.map(_ask, range(60)))
    assert len(set(ports)) == len(ports)
    assert all(10_000 <= port < 32_768 for port in ports)


def _ask(_: int) -> int:
    return free_port()
