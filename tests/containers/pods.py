"""Pods of the rendered chart under Docker, as a kubelet runs them.

Exactly their command, arguments, environment, user and groups, a read-only root, no rights, their memory, emptyDirs and
Secrets that belong to the group, ConfigMaps laid out with symlinks, a token and the certificate of the API. What a
cluster gives besides: a network on which Services have names, and probes that are asked until they pass.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

Manifest = dict[str, Any]
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass
class Node:
    """Runs containers of one installation. `images` gives what an image of the chart is called here."""

    docker: Callable[..., str]
    folder: Path
    network: str
    manifests: list[Manifest]
    images: Callable[[str], str]
    api: tuple[str, int]
    namespace: str
    token: str
    authority: Path
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    documents: Path | None = None
    also: Callable[[str, dict[str, str]], dict[str, str]] = lambda name, environment: environment
    """Has the last word on the environment of a container."""

    def object(self, kind: str, name: str) -> Manifest | None:
        return next((i for i in self.manifests if i["kind"] == kind and i["metadata"]["name"] == name), None)

    def pod(self, name: str, template: Manifest) -> Iterator[str]:
        """Start the containers of a pod one after the other; init containers have ended with 0 before the others."""
        spec, volumes = template["spec"], self.folder / name
        shutil.rmtree(volumes, ignore_errors=True)
        mounted = {item["name"]: self._volume(volumes / item["name"], item, spec) for item in spec.get("volumes", [])}
        for container in spec.get("initContainers", []):
            identity = self._start(name, container, template, mounted)
            self.ended(identity)
        for container in spec["containers"]:
            yield self._start(name, container, template, mounted)

    def run(self, name: str, template: Manifest) -> str:
        """A pod to its end, which must be good; returns what it printed."""
        return "".join(self.ended(identity) for identity in self.pod(name, template))

    def serve(self, pods: dict[str, Manifest]) -> dict[str, str]:
        """Pods that stay, by name; returns their addresses when all probes of all of them pass."""
        started = {name: next(self.pod(name, template)) for name, template in pods.items()}
        for name, identity in started.items():
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                self._await(identity, pods[name]["spec"]["containers"][0], self.address(identity), kind)
        return {name: self.address(identity) for name, identity in started.items()}

    def ended(self, identity: str) -> str:
        code = self.docker("wait", identity).strip()
        said = self.said(identity)
        assert code == "0", f"{identity} ended with {code}:\n{said[-4000:]}"
        return said

    def said(self, identity: str) -> str:
        return self.docker("logs", identity, both=True)

    def address(self, identity: str) -> str:
        networks = json.loads(self.docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", identity))
        return str(networks[self.network]["IPAddress"])

    def _start(self, name: str, container: Manifest, template: Manifest, volumes: dict[str, Path]) -> str:
        spec, identity = template["spec"], f"{self.network}-{name}-{container['name']}"
        security = {**spec["securityContext"], **container["securityContext"]}
        # A kubelet knows nothing of an image's own health check.
        words = ["create", "--no-healthcheck", "--name", identity, "--hostname", name, "--network", self.network]
        for alias in self._services(template):
            words += ["--network-alias", alias]
        words += ["--user", f"{security['runAsUser']}:{spec['securityContext']['runAsGroup']}"]
        words += ["--group-add", str(spec["securityContext"]["fsGroup"]), "--cap-drop", "ALL"]
        words += ["--security-opt", "no-new-privileges"]
        words += ["--memory", str(_bytes(container["resources"]["limits"]["memory"]))]
        words += ["--read-only"] if security["readOnlyRootFilesystem"] else []
        for mount in container.get("volumeMounts", []):
            mode = "ro" if mount.get("readOnly") else "rw"
            source = (volumes[mount["name"]] / mount.get("subPath", "")).resolve()
            words += ["--volume", f"{source}:{mount['mountPath']}:{mode}"]
        for key, value in self.also(name, self._environment(container)).items():
            words += ["--env", f"{key}={value}"]
        command = [*container.get("command", []), *container.get("args", [])]
        entry = ["--entrypoint", command[0]] if container.get("command") else []
        self.docker(*words, *entry, self.images(container["image"]), *(command[1:] if entry else command))
        self.docker("start", identity)
        return identity

    def _services(self, template: Manifest) -> list[str]:
        labels = template["metadata"].get("labels", {}).items()
        services = (item for item in self.manifests if item["kind"] == "Service")
        return [item["metadata"]["name"] for item in services if item["spec"]["selector"].items() <= labels]

    def _environment(self, container: Manifest) -> dict[str, str]:
        host, port = self.api
        found = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port)}
        for source in container.get("envFrom", []):
            known = self.object("ConfigMap", source["configMapRef"]["name"])
            assert known is not None, source
            found |= known["data"]
        for item in container.get("env", []):
            if "value" in item:
                found[item["name"]] = item["value"]
                continue
            asked = item["valueFrom"]["secretKeyRef"]
            value = self.secrets.get(asked["name"], {}).get(asked["key"])
            assert value is not None or asked.get("optional"), asked
            if value is not None:
                found[item["name"]] = value
        return found

    def _volume(self, path: Path, volume: Manifest, spec: Manifest) -> Path:
        group = spec["securityContext"]["fsGroup"]
        if "persistentVolumeClaim" in volume:
            assert self.documents is not None
            return self.documents
        path.mkdir(parents=True)
        if "emptyDir" in volume:
            os.chown(path, 0, group)
            path.chmod(0o2777)
        elif "configMap" in volume:
            known = self.object("ConfigMap", volume["configMap"]["name"])
            assert known is not None, volume
            _lay_out(path, _chosen(volume["configMap"], known["data"]), group, 0o644)
        elif "secret" in volume:
            data = _chosen(volume["secret"], self.secrets[volume["secret"]["secretName"]])
            _lay_out(path, data, group, volume["secret"].get("defaultMode", 0o644))
        else:
            assert "projected" in volume, volume
            known = {"token": self.token, "ca.crt": self.authority.read_text(), "namespace": self.namespace}
            _lay_out(path, known, group, 0o640)
        return path

    def _await(self, identity: str, container: Manifest, address: str, kind: str) -> None:
        probe = container.get(kind)
        if probe is None:
            return
        # A machine that builds and tests at the same time is slower than a node: three times what the chart gives.
        deadline = time.monotonic() + max(120, 3 * probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3))
        while not (answer := self._asked(identity, container, address, probe)).startswith("ok"):
            state = json.loads(self.docker("inspect", "-f", "{{json .State}}", identity))
            assert state["Running"], f"{identity} ended with {state['ExitCode']}:\n{self.said(identity)[-4000:]}"
            if time.monotonic() > deadline:
                pytest.fail(f"{identity}: {kind}: {answer}\n{self.said(identity)[-4000:]}")
            time.sleep(0.5)

    def _asked(self, identity: str, container: Manifest, address: str, probe: Manifest) -> str:
        ports = {item["name"]: item["containerPort"] for item in container.get("ports", [])}
        try:
            if "exec" in probe:
                return "ok" + self.docker("exec", identity, *probe["exec"]["command"])
            if "tcpSocket" in probe:
                socket.create_connection((address, ports[probe["tcpSocket"]["port"]]), 5).close()
                return "ok"
            asked = probe["httpGet"]
            url = f"http://{address}:{ports[asked['port']]}{asked['path']}"
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(url, timeout=probe.get("timeoutSeconds", 1) * 3):
                return "ok"
        except urllib.error.HTTPError as error:
            return f"HTTP {error.code}: {error.read()[:500]!r}"
        except (OSError, AssertionError) as error:
            return str(error)


def _chosen(source: Manifest, data: dict[str, str]) -> dict[str, str]:
    items = source.get("items")
    return {item["path"]: data[item["key"]] for item in items} if items else data


def _lay_out(path: Path, files: dict[str, str], group: int, mode: int) -> None:
    """As a kubelet does: a folder with a time, a link `..data` to it, and a link for each file."""
    real = path / "..2026_11_26"
    real.mkdir()
    for name, text in files.items():
        (real / name).write_text(text)
        os.chown(real / name, 0, group)
        (real / name).chmod(mode)
        (path / name).symlink_to(f"..data/{name}")
    (path / "..data").symlink_to(real.name)
    os.chown(path, 0, group)
    path.chmod(0o2755)


def _bytes(text: str) -> int:
    return int(float(text[:-2]) * _UNITS[text[-2:]])


def decoded(secret: Manifest) -> dict[str, str]:
    """The data of a Secret."""
    return {name: base64.b64decode(value).decode() for name, value in secret.get("data", {}).items()}


def docker_of(environment: dict[str, str]) -> Callable[..., str]:
    """The docker command of an engine."""

    def docker(*words: str, both: bool = False) -> str:
        result = subprocess.run(["docker", *words], env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"docker {' '.join(words[:3])} …: {(result.stdout + result.stderr)[-3000:]}"
        return result.stdout + (result.stderr if both else "")

    return docker
