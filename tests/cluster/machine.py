"""A machine of its own in Linux namespaces: what runs in it, its network, its mounts and its processes end with it."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.postgres import die_with_parent
from tests.support.waiting import eventually

HOST, ADDRESS = "10.241.0.1", "10.241.0.2"
"""Both ends of the one cable between this machine and that one."""
PODS, SERVICES = "10.242.0.0/16", "10.96.0.0/16"
CGROUP = "rag-node"
_CABLE = "rag-node"
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


@dataclass
class Machine:
    """`init` is the process with whose end everything in it ends."""

    folder: Path
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

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def command(self, *words: str) -> list[str]:
        spaces = ["--mount", "--net", "--pid", "--uts", "--ipc"]
        return ["nsenter", "--target", str(self.init), *spaces, "--", *words]


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """One that lives as long as the block; there is one at a time."""
    for name in ("lib", "log", "tmp"):
        (folder / "var" / name).mkdir(parents=True)
    before = {name: Path("/proc/sys", name).read_text() for name in _KUBELET_SETS if Path("/proc/sys", name).exists()}
    spaces = ["--fork", "--pid", "--mount-proc", "--net", "--uts", "--ipc", "--kill-child"]
    made = None
    outer = subprocess.Popen(["unshare", *spaces, "bash", "-c", _INIT, str(folder)], preexec_fn=die_with_parent)
    try:
        assert eventually((folder / "ready").exists, seconds=30), "no namespaces can be made here"
        init = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0])
        _cgroups()
        _cable(init)
        made = Machine(folder, init)
        yield made
    finally:
        outer.kill()  # the kernel kills the first process of the namespace with it, and all others with that
        for program in [outer, *(made.programs if made else [])]:
            program.wait()
        for name, value in before.items():
            with suppress(OSError):
                Path("/proc/sys", name).write_text(value)
        assert eventually(_cgroups_are_gone)
        shutil.rmtree(folder / "var", ignore_errors=True)  # gigabytes of images


def _cable(init: int) -> None:
    for command in (
        f"ip link add {_CABLE} type veth peer name eth0 netns {init}",
        f"ip address add {HOST}/30 dev {_CABLE}",
        f"ip link set {_CABLE} up",
        f"nsenter --target {init} --net ip address add {ADDRESS}/30 dev eth0",
        f"nsenter --target {init} --net ip link set eth0 up",
        f"nsenter --target {init} --net ip route add default via {HOST}",
        f"ip route add {PODS} via {ADDRESS}",
        f"ip route add {SERVICES} via {ADDRESS}",
    ):
        subprocess.run(command.split(), check=True, capture_output=True)


def _cgroups() -> None:
    """One group in every hierarchy, under which the kubelet makes those of its pods."""
    for parent in _hierarchies():
        (parent / CGROUP).mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # of version 1: empty ones take no process
            if (parent / name).exists():
                (parent / CGROUP / name).write_text((parent / name).read_text())


def _cgroups_are_gone() -> bool:
    for parent in _hierarchies():
        for group in sorted((parent / CGROUP).rglob("*/"), reverse=True):
            with suppress(OSError):
                group.rmdir()
        with suppress(OSError):
            (parent / CGROUP).rmdir()
    return not any((parent / CGROUP).exists() for parent in _hierarchies())


def _hierarchies() -> list[Path]:
    """Version 1 mounts one a controller, version 2 one for all."""
    if (_CONTROLLERS / "cgroup.controllers").exists():
        return [_CONTROLLERS]
    return [path for path in _CONTROLLERS.iterdir() if path.is_dir() and not path.is_symlink() and path.is_mount()]
