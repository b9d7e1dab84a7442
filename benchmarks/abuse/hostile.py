"""The attacker's process, limited to a share of one core and to the attack's rate.

Run as `python -m benchmarks.abuse.hostile` with a `Plan` as JSON on its input; prints what it did as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path

from benchmarks.abuse.attacks import ATTACKS, Target

ROOT = Path(__file__).parents[2]
_PAUSE = 0.05
"""Seconds between two attempts to connect."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which attack, against whom, from which address (and those after it), for how long, with what share of a core."""

    attack: str
    address: str
    source: str
    tokens: tuple[str, ...]
    seconds: float
    share: float


@dataclass(slots=True)
class Done:
    """Work of the attacker: units (calls, frames), connections, and its processor time."""

    units: int = 0
    connections: int = 0
    processor_seconds: float = 0


def addresses_from(first: str, count: int) -> list[str]:
    """The first address and those after it."""
    return [str(ip_address(first) + number) for number in range(count)]


@contextmanager
def attacking(plan: Plan) -> Iterator[subprocess.Popen[str]]:
    """The attacker in its own process, which ends after `plan.seconds`."""
    command = [sys.executable, "-m", "benchmarks.abuse.hostile"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None  # noqa: S101
        try:
            process.stdin.write(json.dumps(asdict(plan)))
            process.stdin.close()
            yield process
        finally:
            process.kill()


def outcome(process: subprocess.Popen[str]) -> Done:
    """Wait for the attacker's end and read what it did."""
    assert process.stdout is not None  # noqa: S101
    return Done(**json.loads(process.stdout.read()))


def attack(plan: Plan) -> Done:
    """Attack until the time is over; what the gateway closes is opened again."""
    done, chosen = Done(), ATTACKS[plan.attack]
    began, used = time.monotonic(), time.process_time()
    target = Target(plan.address, addresses_from(plan.source, chosen.addresses), plan.tokens)
    while (now := time.monotonic() - began) < plan.seconds:
        done.connections += 1
        try:
            for units in chosen.steps(target):
                done.units += units
                now = time.monotonic() - began
                earned = max(done.units / chosen.rate, (time.process_time() - used) / plan.share)
                if earned > now:
                    time.sleep(min(earned - now, max(plan.seconds - now, 0)))
                if now >= plan.seconds:
                    break
        except OSError:
            time.sleep(_PAUSE)
    done.processor_seconds = time.process_time() - used
    return done


if __name__ == "__main__":
    print(json.dumps(asdict(attack(Plan(**json.load(sys.stdin))))))
