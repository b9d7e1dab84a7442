"""A machine of its own in Linux namespaces: what runs in it, its network, its mounts and its processes end with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.postgres import die_with_parent
from tests.support.waiting import eventually

SERVICES = "10.96.0.0/16"
_BETWEEN = "nodes"
_CONTROLLERS = Path("/sys/fs/cgroup")
# Its /var and /run are its own; everything else it sees as this machine has it.
_INIT = """
mount --make-rprivate / && mount --make-rshared /
mount --bind "$0/var" /var && mount -t tmpfs none /run && mkdir -p /run/netns
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
touch "$0/ready"
while :; do sleep 3600 & wait $!; done
"""
_KUBELET_SETS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
_KUBELET_SETS += ("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")


@dataclass(frozen=True, slots=True)
class Place:
    """What one machine has for itself: `name` is also that of its control group and of the cable between this machine
    and that one, whose ends are `host` and `address`."""

    name: str
    host: str
    address: str
    pods: str


FIRST = Place("rag-node", "10.241.0.1", "10.241.0.2", "10.242.0.0/16")
SECOND = Place("rag-node-2", "10.241.0.5", "10.241.0.6", "10.243.0.0/16")
PODS = "10.242.0.0/15"
"""Of both."""


@dataclass
class Machine:
    """`init` is the process with whose end everything in it ends."""

    folder: Path
    place: Place
    init: int
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *words: str, given: bytes = b"") -> str:
        """Run a command in it to its end and return what it printed."""
        result = subprocess.run(self.command(*words), input=given, capture_output=True, check=False)
        said = (result.stdout + result.stderr).decode(errors="replace")
        assert result.returncode == 0, f"{' '.join(words[:4])} …: {said[-3000:]}"
        return result.stdout.decode(errors="replace")

    def start(self, name: str, *words: str) -> None:
        """Start a program that stays; its output is in a file of its name."""
        begin = ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.folder / f"{name}.pid"), *words]
        with self.log(name).open("ab") as log:
            program = subprocess.Popen(self.command(*begin), stdout=log, stderr=log, preexec_fn=die_with_parent)
        self.programs.append(program)

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a program that `start` started."""
        self.run("kill", f"-{int(how)}", (self.folder / f"{name}.pid").read_text().strip())

    def cut_off(self) -> None:
        """Take its power: its cables carry nothing any more, then everything in it is killed."""
        _do(f"ip link delete {self.place.name}", f"nsenter --target {self.init} --net ip link delete {_BETWEEN}")
        os.kill(self.init, signal.SIGKILL)

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def command(self, *words: str) -> list[str]:
        spaces = ["--mount", "--net", "--pid", "--uts", "--ipc"]
        return ["nsenter", "--target", str(self.init), *spaces, "--", *words]


@contextmanager
def machine(folder: Path, place: Place = FIRST) -> Iterator[Machine]:
    """One that lives as long as the block; there is one at a time in each place."""
    for name in ("lib", "log", "tmp"):
        (folder / "var" / name).mkdir(parents=True)
    before = {name: Path("/proc/sys", name).read_text() for name in _KUBELET_SETS if Path("/proc/sys", name).exists()}
    spaces = ["--fork", "--pid", "--mount-proc", "--net", "--uts", "--ipc", "--kill-child"]
    made = None
    outer = subprocess.Popen(["unshare", *spaces, "bash", "-c", _INIT, str(folder)], preexec_fn=die_with_parent)
    try:
        assert eventually((folder / "ready").exists, seconds=30), "no namespaces can be made here"
        init = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0])
        _cgroups(place.name)
        _cable(init, place)
        made = Machine(folder, place, init)
        yield made
    finally:
        outer.kill()  # the kernel kills the first process of the namespace with it, and all others with that
        for program in [outer, *(made.programs if made else [])]:
            program.wait()
        for name, value in before.items():
            with suppress(OSError):
                Path("/proc/sys", name).write_text(value)
        assert eventually(lambda: _cgroups_are_gone(place.name))
        shutil.rmtree(folder / "var", ignore_errors=True)  # gigabytes of images


def connect(one: Machine, two: Machine) -> None:
    """A cable between two machines, by which the pods of both reach each other; it asks nothing of this machine."""
    _do(f"ip link add {_BETWEEN} netns {one.init} type veth peer name {_BETWEEN} netns {two.init}")
    for here, there in ((one, two), (two, one)):
        inside = f"nsenter --target {here.init} --net ip"
        _do(
            f"{inside} address add {here.place.address}/32 dev {_BETWEEN}",
            f"{inside} link set {_BETWEEN} up",
            f"{inside} route add {there.place.address} dev {_BETWEEN}",
            f"{inside} route add {there.place.pods} via {there.place.address}",
        )


def _cable(init: int, place: Place) -> None:
    inside = f"nsenter --target {init} --net ip"
    _do(
        f"ip link add {place.name} type veth peer name eth0 netns {init}",
        f"ip address add {place.host}/30 dev {place.name}",
        f"ip link set {place.name} up",
        f"{inside} address add {place.address}/30 dev eth0",
        f"{inside} link set eth0 up",
        f"{inside} route add default via {place.host}",
        f"ip route add {place.pods} via {place.address}",
    )
    if place == FIRST:  # this machine calls Services by the first one alone
        _do(f"ip route add {SERVICES} via {place.address}")


def _do(*commands: str) -> None:
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)


def _cgroups(name: str) -> None:
    """One group in every hierarchy, under which the kubelet makes those of its pods."""
    for parent in _hierarchies():
        (parent / name).mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # of version 1: empty ones take no process
            if (parent / file).exists():
                (parent / name / file).write_text((parent / file).read_text())


def _cgroups_are_gone(name: str) -> bool:
    for parent in _hierarchies():
        for group in sorted((parent / name).rglob("*/"), reverse=True):
            with suppress(OSError):
                group.rmdir()
        with suppress(OSError):
            (parent / name).rmdir()
    return not any((parent / name).exists() for parent in _hierarchies())


def _hierarchies() -> list[Path]:
    """Version 1 mounts one a controller, version 2 one for all."""
    if (_CONTROLLERS / "cgroup.controllers").exists():
        return [_CONTROLLERS]
    return [path for path in _CONTROLLERS.iterdir() if path.is_dir() and not path.is_symlink() and path.is_mount()]
