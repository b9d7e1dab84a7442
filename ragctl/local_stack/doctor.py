"""The checks of `rag doctor`: what a stack needs of the machine, whether it runs, and its sources, with remedies."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import psutil
from rich.filesize import decimal

from rag_core import database
from rag_core.errors import RagError
from rag_core.ingestion import source_status
from rag_core.packages import DISTRIBUTION as _DISTRIBUTION
from rag_core.packages import EXTRAS, REINSTALL, missing_extras
from rag_core.platform import LINUX, TESTED, is_tested
from rag_core.retrieval.engines.edge import SPACE_RESERVE
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir, existing_part
from ragctl.local_stack.estimate import MEMORY_IDLE
from ragctl.local_stack.processes import check_distinct_ports, check_ports
from ragctl.local_stack.services import build_services
from ragctl.local_stack.status import read_status
from ragctl.local_stack.supervisor import Supervisor

State = Literal["ok", "warning", "failed"]
_COMFORTABLE_DISK = 5 << 30
_MIN_FILES = 1024
_CLOCK_SECONDS = 2.0
_RELEASED = 1_764_000_000
"""A clock before this release is wrong: tokens would be refused, certificates not be valid yet."""


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One check: `detail` says what was found, `remedy` what to do when it is not ok."""

    name: str
    state: State
    detail: str
    remedy: str = ""


def examine(settings: Settings, data_dir: DataDir) -> list[DoctorCheck]:
    """Every check. None of them changes anything, and none raises."""
    found: list[DoctorCheck] = []
    machine = (_platform, _ports, _disk, _memory, _files, _clock, _permissions)
    checks = (_versions, _extras, _sources, _connectors, *machine, _stack, _source_states)
    for check in checks:
        try:
            found.extend(check(settings, data_dir))
        except RagError as error:
            found.append(DoctorCheck(check.__name__.strip("_"), "failed", error.message, f"reason code {error.reason}"))
    return found


def _versions(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    """Compare what is installed with what this release was tested with."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in requires(_DISTRIBUTION) or []]
    except PackageNotFoundError:
        yield DoctorCheck("versions", "warning", "the platform is not installed as a package", REINSTALL)
        return
    wrong = []
    for one in wanted:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(one.name)
        except PackageNotFoundError:
            wrong.append(f"{one.name} is missing")
            continue
        if not one.specifier.contains(installed, prereleases=True):
            wrong.append(f"{one.name} {installed} is installed, {one.specifier} is needed")
    running = f"{_DISTRIBUTION} {version(_DISTRIBUTION)} with the packages it needs, Python {platform.python_version()}"
    detail = "; ".join(wrong) or running
    yield DoctorCheck("versions", "failed" if wrong else "ok", detail, REINSTALL if wrong else "")


def _extras(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    """Say what each extra adds that is not installed: none of them is needed."""
    found = [f"{_DISTRIBUTION}[{extra}] {EXTRAS[extra]}" for extra in missing_extras()]
    yield DoctorCheck("extras", "ok", f"not installed: {'; '.join(found)}" if found else "all installed")


def _sources(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    from rag_assets.config import load_all_sources

    found = load_all_sources(settings.effective_sources_dir)
    yield DoctorCheck("sources", "ok", f"source files: {len(found)}, all valid")


def _connectors(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    """Check that every registered kind of source can be used; one that cannot stops no other."""
    from rag_assets.connectors.kinds import installed_kinds

    found = installed_kinds()
    broken = [one for one in found if one.problem]
    for one in broken:
        remedy = f"mend or uninstall the package {one.package}"
        yield DoctorCheck(f"connector {one.name}", "failed", f"{one.package} {one.version}: {one.problem}", remedy)
    if not broken:
        packages = len({one.package for one in found})
        yield DoctorCheck("connectors", "ok", f"kinds of source: {len(found)}, of packages: {packages}")


def _stack(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    found = read_status(settings, data_dir, build_services(settings, data_dir))
    if not found.running:
        yield DoctorCheck("stack", "warning", "not running", "rag up")
        return
    wrong = [f"{one.name} is {one.state}" for one in found.parts if one.state != "healthy"]
    wrong += [f"{one['name']}: {one['detail']}" for one in found.platform.get("components", []) if not one["healthy"]]
    wrong += [found.problem] if found.problem else []
    remedy = "`rag logs NAME` says why; `rag up` starts what is stopped" if wrong else ""
    yield DoctorCheck("stack", "failed" if wrong else "ok", "; ".join(wrong) or "every service does its work", remedy)


def _source_states(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    """Check for sources that need attention, by the state that every face of the platform shows."""
    try:
        with closing(database.open_store(settings)) as store, store.engine.connect() as connection:
            found = [report for _, report in source_status.read_all(connection)]
    except RagError as error:
        yield DoctorCheck("source states", "warning", f"not known: {error.message}", "rag up")
        return
    troubled = [one for one in found if source_status.needs_attention(one.status)]
    for one in troubled:
        failed = one.status.state is source_status.SourceState.FAILED or one.status.failing_since is not None
        detail = ": ".join(filter(None, (source_status.describe(one.status), one.status.message)))
        remedy = one.status.remedy or f"rag source show {one.counts.name}"
        yield DoctorCheck(f"source {one.counts.name}", "failed" if failed else "warning", detail, remedy)
    if not troubled:
        yield DoctorCheck("source states", "ok", f"sources: {len(found)}, none needs attention")


def _platform(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    """Say whether the tests run on such a machine, and what protects less on another system."""
    found = f"{platform.system()} on {platform.machine()}"
    if is_tested():
        yield DoctorCheck("platform", "ok", found)
        return
    missing = "" if LINUX else "; parsers keep the network and files, services may outlive the supervisor"
    remedy = f"Tested is {TESTED}. Say what does not work (SECURITY.md, docs/reference/supported.md)."
    yield DoctorCheck("platform", "warning", f"{found}: not tested here{missing}", remedy)


def _ports(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    services = build_services(settings, data_dir)
    check_distinct_ports(services)
    alive = {name for name, info in Supervisor(data_dir).infos().items() if info.alive}
    check_ports(part for part in services if part.name not in alive)
    numbers = sorted(port for part in services for port, _ in part.port_settings)
    state = "in use by this stack" if alive else "free"
    yield DoctorCheck("ports", "ok", f"{', '.join(map(str, numbers))} are {state}")


def _disk(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    free = shutil.disk_usage(existing_part(data_dir.root)).free
    state: State = "ok" if free >= _COMFORTABLE_DISK else "warning" if free >= SPACE_RESERVE else "failed"
    remedy = "" if state == "ok" else "Free space, or set RAG_HOME to a larger disk."
    detail = f"{decimal(free)} free for RAG_HOME; the index stops below {decimal(SPACE_RESERVE)}"
    yield DoctorCheck("disk", state, detail, remedy)


def _memory(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    running = bool(Supervisor(data_dir).infos())
    free = psutil.virtual_memory().available
    enough = running or free >= MEMORY_IDLE
    detail = f"{decimal(free)} available; a stack needs about {decimal(MEMORY_IDLE)}"
    yield DoctorCheck("memory", "ok" if enough else "warning", detail, "" if enough else "End other programs first.")


def _files(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = limit >= _MIN_FILES
    yield DoctorCheck("open files", "ok" if enough else "failed", f"limit {limit}", "" if enough else "ulimit -n 4096")


def _clock(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    """The clocks of this machine, of the disk and of the database must agree: cursors and tokens compare them."""
    now = time.time()
    if now < _RELEASED:
        yield DoctorCheck("clock", "failed", "the clock of this machine is in the past", "Set it, best by NTP.")
        return
    apart = {"the disk": _disk_offset(data_dir), "the database": _database_offset(settings)}
    wrong = {name: seconds for name, seconds in apart.items() if seconds is not None and abs(seconds) > _CLOCK_SECONDS}
    asked = " and ".join(name for name, seconds in apart.items() if seconds is not None)
    if wrong:
        detail = "; ".join(f"{name} is {seconds:+.0f} s from this machine" for name, seconds in wrong.items())
        yield DoctorCheck("clock", "failed", detail, "Set the clocks of both machines by NTP.")
    else:
        yield DoctorCheck(
            "clock", "ok", f"agrees with {asked}" if asked else "plausible; nothing runs to compare it with"
        )


def _disk_offset(data_dir: DataDir) -> float | None:
    try:
        with tempfile.NamedTemporaryFile(dir=existing_part(data_dir.root)) as file:
            return Path(file.name).stat().st_mtime - time.time()
    except OSError:
        return None


def _database_offset(settings: Settings) -> float | None:
    try:
        with closing(database.open_store(settings)) as store, store.engine.connect() as connection:
            return source_status.store.clock(connection).timestamp() - time.time()
    except RagError:
        return None


def _permissions(settings: Settings, data_dir: DataDir) -> Iterator[DoctorCheck]:
    place = existing_part(data_dir.root)
    if not os.access(place, os.W_OK | os.X_OK):
        yield DoctorCheck(
            "permissions", "failed", f"{place} cannot be written", "Own it, or set RAG_HOME to another folder."
        )
        return
    owner = place.stat().st_uid
    if data_dir.root.exists() and owner != os.geteuid():
        yield DoctorCheck("permissions", "failed", f"RAG_HOME belongs to user id {owner}", "Run as that user.")
        return
    files = [path for path in data_dir.secrets.glob("*") if path.is_file() and path.suffix != ".lock"]
    exposed = sorted(path.name for path in files if path.stat().st_mode & 0o077)
    if exposed:
        detail = f"others can read the secrets {', '.join(exposed)}"
        yield DoctorCheck("permissions", "failed", detail, f"chmod 600 {data_dir.secrets}/*; rag secret rotate")
    else:
        yield DoctorCheck("permissions", "ok", f"RAG_HOME is writable, {len(files)} secrets are private")
