"""The machine that figures were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from rag_core.platform import usable_cores


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware, and how busy it was when the benchmark ended (1-minute load average)."""

    cpu: str
    cores: int
    memory_gib: float
    python: str
    load: float

    def __str__(self) -> str:
        return f"{self.cores} cores ({self.cpu}), {self.memory_gib:.0f} GiB, Python {self.python}, load {self.load:.1f}"


def describe_machine() -> Machine:
    """This machine, as far as this process may use it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(_cpu_model(), usable_cores(), round(memory, 1), platform.python_version(), os.getloadavg()[0])


def resident_mb() -> float:
    """Resident memory of this process in MB (10^6 bytes)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def anonymous_mb() -> float:
    """Memory of this process in MB that is its own, without the pages of mapped files (index, model)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon"))


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
