"""The monitoring of deploy/ run for real: its Prometheus and Alertmanager files with addresses of this machine."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.chart import ROOT
from tests.support.postgres import free_port

DEPLOY = ROOT / "deploy"
PROGRAMS = ("prometheus", "prometheus-alertmanager")


def missing() -> str | None:
    """Why it cannot run here, `None` when it can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"needs {', '.join(absent)} (Debian: packages of that name)" if absent else None


def prometheus_config(targets: Mapping[str, str], alertmanager: str) -> dict[str, Any]:
    """deploy/prometheus/prometheus.yaml with an address for each job; jobs without one are left out."""
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in config["rule_files"]]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    jobs = {job["job_name"]: job for job in config["scrape_configs"] if job["job_name"] in targets}
    assert jobs.keys() == targets.keys()
    for name, job in jobs.items():
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [targets[name]]}]
    config["scrape_configs"] = list(jobs.values())
    return config


def alertmanager_config(folder: Path, webhook: str) -> dict[str, Any]:
    """deploy/alertmanager/alertmanager.yaml that sends to this address."""
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yaml").read_text("utf-8"))
    (folder / "webhook").write_text(webhook)
    config["receivers"][0]["webhook_configs"][0]["url_file"] = str(folder / "webhook")
    config["route"]["group_interval"] = "1s"
    return config


@contextmanager
def running(folder: Path, targets: Mapping[str, str], webhook: str) -> Iterator[str]:
    """Both programs; yields the address of Prometheus."""
    alerts, metrics = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(prometheus_config(targets, alerts)))
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(alertmanager_config(folder, webhook)))
    with ExitStack() as stack:
        for program, port, *options in (
            ("prometheus", metrics, f"--storage.tsdb.path={folder / 'series'}"),
            ("prometheus-alertmanager", alerts, f"--storage.path={folder / 'alerts'}", "--cluster.listen-address="),
        ):
            file = folder / f"{program.removeprefix('prometheus-')}.yaml"
            command = [program, f"--config.file={file}", f"--web.listen-address={port}", *options]
            stack.enter_context(_process(command, f"http://{port}/-/ready", folder / f"{program}.log"))
        yield f"http://{metrics}"


@contextmanager
def _process(command: list[str], ready: str, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while not _answers(ready):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, f"{command[0]} does not answer"
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
