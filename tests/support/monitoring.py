"""The monitoring of deploy/ run for real: its Prometheus and Alertmanager files with addresses of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.ports import free_port
from tests.support.chart import ROOT

DEPLOY = ROOT / "deploy"
PROGRAMS = ("prometheus", "prometheus-alertmanager")
EXPORTER = "prometheus-postgres-exporter"


def missing(*programs: str) -> str | None:
    """Why it cannot run here, `None` when it can."""
    absent = [name for name in programs or PROGRAMS if shutil.which(name) is None]
    return f"needs {', '.join(absent)} (Debian: packages of that name)" if absent else None


def prometheus_config(targets: Mapping[str, str], alertmanager: str) -> dict[str, Any]:
    """deploy/prometheus/prometheus.yaml with an address for each job; jobs without one are left out."""
    config: dict[str, Any] = yaml.load((DEPLOY / "prometheus" / "prometheus.yaml").read_text("utf-8"), yaml.CSafeLoader)
    config["global"] = {"scrape_interval": "3s", "evaluation_interval": "1s"}  # a page gets as long to answer
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
    config: dict[str, Any] = yaml.load(
        (DEPLOY / "alertmanager" / "alertmanager.yaml").read_text("utf-8"), yaml.CSafeLoader
    )
    (folder / "webhook").write_text(webhook)
    config["receivers"][0]["webhook_configs"][0]["url_file"] = str(folder / "webhook")
    config["route"]["group_interval"] = "1s"
    return config


@contextmanager
def running(folder: Path, targets: Mapping[str, str], webhook: str) -> Iterator[str]:
    """Both programs; yields the address of Prometheus."""
    alerts = f"127.0.0.1:{free_port()}"
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(alertmanager_config(folder, webhook)))
    command = ["prometheus-alertmanager", f"--config.file={folder / 'alertmanager.yaml'}"]
    command += [f"--web.listen-address={alerts}", f"--storage.path={folder / 'alerts'}", "--cluster.listen-address="]
    with (
        process(command, f"http://{alerts}/-/ready", folder / "alertmanager.log"),
        prometheus(folder, targets, alerts) as url,
    ):
        yield url


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, str], alertmanager: str = "127.0.0.1:9") -> Iterator[str]:
    """Prometheus alone; yields its address."""
    where, file = f"127.0.0.1:{free_port()}", folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump(prometheus_config(targets, alertmanager)))
    command = ["prometheus", f"--config.file={file}", f"--web.listen-address={where}"]
    command += [f"--storage.tsdb.path={folder / 'series'}"]
    with process(command, f"http://{where}/-/ready", folder / "prometheus.log"):
        yield f"http://{where}"


@contextmanager
def postgres_exporter(folder: Path, port: int, user: str, password: str = "") -> Iterator[str]:
    """The exporter as Compose runs it; yields its address."""
    where, secret = f"127.0.0.1:{free_port()}", folder / "postgres_monitor_password"
    secret.write_text(password)
    environment = {
        "DATA_SOURCE_URI": f"127.0.0.1:{port}/rag?sslmode=disable",
        "DATA_SOURCE_USER": user,
        "DATA_SOURCE_PASS_FILE": str(secret),
    }
    command = [EXPORTER, "--no-collector.wal", f"--web.listen-address={where}"]
    with process(command, f"http://{where}/", folder / "exporter.log", environment):
        yield where


@contextmanager
def process(command: list[str], ready: str, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **(environment or {})})
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
