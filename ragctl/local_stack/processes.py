"""Processes of a stack, found by the mark in their environment, and other owners of its ports.

A recorded process id may have been reused; the mark (a random id that only this stack's processes inherit) cannot.
The mark also finds processes that services have started: run workers, parser sandboxes.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

import psutil

from rag_core.errors import Conflict, Reason
from ragctl.local_stack.exec import SERVICE_VARIABLE, STACK_VARIABLE
from ragctl.local_stack.services import Service
from ragctl.output import note

LINGER_SECONDS: Final = 65
"""Time that a port is waited for: Linux keeps that of a closed connection for a minute (TIME_WAIT)."""


@dataclass(frozen=True, slots=True)
class StackProcess:
    """A process that carries a stack's mark. `service` is empty for supervisord itself."""

    process: psutil.Process
    service: str


def stack_processes(stack_id: str) -> list[StackProcess]:
    """Living processes of the stack, whatever their parent is now. Never this process or one above it."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in spared:
            continue
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if environment.get(STACK_VARIABLE) == stack_id:
            found.append(StackProcess(process, environment.get(SERVICE_VARIABLE, "")))
    return found


def stop_processes(
    stack_id: str, services: Iterable[Service], *, only: Callable[[StackProcess], bool] = lambda _: True
) -> int:
    """End processes of the stack, each as its service wants it, in the order of the stop waves. Returns how many.

    What outlives the time its service is allowed is killed.
    """
    known = {part.name: part for part in services}
    chosen = [item for item in stack_processes(stack_id) if only(item)]
    by_wave: dict[int, list[StackProcess]] = {}
    for item in chosen:
        by_wave.setdefault(known[item.service].stop_wave if item.service in known else -1, []).append(item)
    for _, members in sorted(by_wave.items()):
        for item in members:
            name = known[item.service].stop_signal if item.service in known else "TERM"
            _signal(item.process, getattr(signal, f"SIG{name}"))
        patience = max(known[item.service].stop_seconds if item.service in known else 5 for item in members)
        _, stubborn = psutil.wait_procs([item.process for item in members], timeout=patience)
        for process in stubborn:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(stubborn, timeout=5)
    return len(chosen)


def check_ports(services: Iterable[Service], *, ours: Collection[int] = (), patient: bool = False) -> None:
    """Raise `Conflict` (`PORT_TAKEN`) that names every port taken by another process, and the process if visible.

    Ports that are `ours` may be taken. If `patient`, a port on which nobody listens is waited for, a minute at most:
    default ports lie in the range from which Linux gives ports to clients.
    """
    deadline = time.monotonic() + (LINGER_SECONDS if patient else 0)
    settings = {port: setting for part in services for port, setting in part.port_settings if port not in ours}
    while taken := {port: _listener(port) for port in settings if not _bindable(port)}:
        if any(taken.values()) or time.monotonic() >= deadline:
            owners = {port: listener or "a connection of another program" for port, listener in taken.items()}
            found = [f"port {port} is taken by {who}: stop it or set {settings[port]}" for port, who in owners.items()]
            raise Conflict(Reason.PORT_TAKEN, "; ".join(found))
        note(f"  a connection of another program uses port {min(taken)}; waiting for its end, a minute at most")
        # Nothing announces the end of a connection of another program.
        while time.monotonic() < deadline and not _bindable(min(taken)):
            time.sleep(0.5)


def check_distinct_ports(services: Iterable[Service]) -> None:
    """Raise `Conflict` (`PORT_TAKEN`) when two settings name the same port."""
    users: dict[int, list[str]] = {}
    for service in services:
        for port, setting in service.port_settings:
            users.setdefault(port, []).append(setting)
    clashes = [f"{' and '.join(settings)} are both {port}" for port, settings in users.items() if len(settings) > 1]
    if clashes:
        raise Conflict(Reason.PORT_TAKEN, "; ".join(clashes))


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do it: connections of a stopped server that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _listener(port: int) -> str | None:
    """The process that listens on a port, as far as it can be seen; `None` when none does."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return "another process"
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if not connection.pid:
                return "a process of another user"
            try:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
            except psutil.Error:
                return f"process {connection.pid}"
    return None


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return  # it has already ended
