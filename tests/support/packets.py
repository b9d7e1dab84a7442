"""Pods as network namespaces, and NetworkPolicies as packet filter rules on the node between them.

Each pod has its own namespace and one wire to the node. The node routes, and holds for every pod a chain of what may
leave it and one of what may reach it, compiled from the policies; what no rule lets through is reset at once. So the
kernel says which connections open, and nothing waits.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

_NEW_NETWORK = 0x40000000
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Host:
    """A pod, or with `namespace=""` something outside the cluster."""

    name: str
    namespace: str
    labels: dict[str, str]
    addresses: tuple[str, ...]


def missing() -> str | None:
    """Why namespaces cannot be made here, `None` when they can."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    absent = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    return f"needs {', '.join(absent)} (Debian: iproute2 nftables)" if absent else None


def rules(policies: list[dict[str, Any]], hosts: list[Host]) -> str:
    """The node's packet filter for these policies of one namespace."""
    chains, leaving, arriving = [], [], []
    for number, host in enumerate(hosts):
        chosen = [policy for policy in policies if host.namespace and _matches(policy["spec"]["podSelector"], host)]
        chosen = [policy for policy in chosen if policy["metadata"]["namespace"] == host.namespace]
        for way, side, address, jumps in (
            ("Egress", "to", "daddr", leaving),
            ("Ingress", "from", "saddr", arriving),
        ):
            isolating = [policy["spec"] for policy in chosen if way in policy["spec"]["policyTypes"]]
            if not isolating:
                continue
            allowed = [rule for spec in isolating for rule in spec.get(way.lower()) or []]
            near = [(item, item.namespace == host.namespace) for item in hosts]
            lines = [line for rule in allowed for line in _lines(rule, side, address, near)]
            chains.append(f"chain {way}{number} {{ {' ; '.join([*lines, 'reject with tcp reset'])} ; }}")
            jumps += [f"{where} : jump {way}{number}" for where in host.addresses]
    vmaps = [f"ip saddr vmap {{ {', '.join(leaving)} }}", f"ip daddr vmap {{ {', '.join(arriving)} }}"]
    hook = f"type filter hook forward priority 0 ; ct state established accept ; {' ; '.join(vmaps)} ;"
    return "table inet policies {\n" + "\n".join([*chains, f"chain forward {{ {hook} }}"]) + "\n}\n"


def _lines(rule: dict[str, Any], side: str, address: str, hosts: list[tuple[Host, bool]]) -> Iterator[str]:
    ports = ", ".join(str(item["port"]) for item in rule["ports"] if item["protocol"] == "TCP")
    peers = rule.get(side)
    matches = [""] if peers is None else [_match(peer, address, hosts) for peer in peers]
    return (f"{match} tcp dport {{ {ports} }} return" for match in matches if match is not None and ports)


def _match(peer: dict[str, Any], address: str, hosts: list[tuple[Host, bool]]) -> str | None:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        if ":" in block["cidr"]:
            return None
        excepted = "".join(f" ip {address} != {but}" for but in block.get("except", []))
        return f"ip {address} {block['cidr']}{excepted}"
    found = [where for host, near in hosts if _is_peer(peer, host, near) for where in host.addresses]
    return f"ip {address} {{ {', '.join(found)} }}" if found else None


def _is_peer(peer: dict[str, Any], host: Host, near: bool) -> bool:
    """Whether a peer of a policy means this host; `near` says that it is in the policy's own namespace."""
    if not host.namespace or not _matches(peer.get("podSelector", {}), host):
        return False
    wanted = peer.get("namespaceSelector")
    if wanted is None:
        return near
    return bool(wanted["matchLabels"].items() <= {"kubernetes.io/metadata.name": host.namespace}.items())


def _matches(selector: dict[str, Any], host: Host) -> bool:
    return bool(selector.get("matchLabels", {}).items() <= host.labels.items())


class Wires:
    """Hosts that can open connections to one another through the node."""

    def __init__(self, hosts: list[Host], spaces: dict[str, str]) -> None:
        self._hosts, self._spaces = hosts, spaces

    def open_connections(self, ports: list[int]) -> set[tuple[str, str, int]]:
        """Source, target address and port of every connection that opens."""
        with ExitStack() as listening:
            for host in self._hosts:
                for listener in _within(self._spaces[host.name], lambda: [_listener(port) for port in ports]):
                    listening.enter_context(listener)
            targets = [(where, port) for host in self._hosts for where in host.addresses for port in ports]
            found = set()
            for host in self._hosts:
                others = [(where, port) for where, port in targets if where not in host.addresses]
                opened = _within(self._spaces[host.name], lambda others=others: [t for t in others if _opens(*t)])
                found |= {(host.name, *target) for target in opened}
            return found


@contextmanager
def wired(hosts: list[Host], ruleset: str) -> Iterator[Wires]:
    """Namespaces, wires and rules; gone afterwards."""
    prefix = f"rag{os.getpid()}"
    node = f"{prefix}-node"
    spaces = {host.name: f"{prefix}-{number}" for number, host in enumerate(hosts)}
    try:
        for name in (node, *spaces.values()):
            _run("ip", "netns", "add", name)
        _within(node, lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1"))
        for number, host in enumerate(hosts):
            space, near, far = spaces[host.name], f"10.250.{number}.1", f"10.250.{number}.2"
            _batch(node, f"link add w{number} type veth peer name eth0 netns {space}", f"link set w{number} up")
            _batch(node, f"addr add {near}/30 dev w{number}")
            own = [f"addr add {where}/32 dev lo" for where in host.addresses]
            _batch(space, "link set lo up", "link set eth0 up", f"addr add {far}/30 dev eth0", *own)
            _batch(space, f"route add default via {near} src {host.addresses[0]}")
            _batch(node, *(f"route add {where}/32 via {far}" for where in host.addresses))
        _run("ip", "netns", "exec", node, "nft", "-f", "-", stdin=ruleset)
        yield Wires(hosts, spaces)
    finally:
        for name in (node, *spaces.values()):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _batch(space: str, *commands: str) -> None:
    _run("ip", "-n", space, "-batch", "-", stdin="\n".join(commands) + "\n")


def _run(*command: str, stdin: str = "") -> None:
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}: {result.stderr}"


def _within(space: str, work: Callable[[], _Result]) -> _Result:
    """The result of `work` run in a network namespace; sockets made there stay there."""
    results: list[_Result] = []

    def enter() -> None:
        with Path("/run/netns", space).open() as handle:
            assert ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _NEW_NETWORK) == 0
        results.append(work())

    thread = threading.Thread(target=enter)  # only this thread changes its namespace
    thread.start()
    thread.join()
    return results[0]


def _listener(port: int) -> socket.socket:
    return socket.create_server(("", port), backlog=64)


def _opens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=5):
            return True
    except ConnectionRefusedError:
        return False
