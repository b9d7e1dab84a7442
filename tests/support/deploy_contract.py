"""The contract of every deployment target: a cluster, the local stack and the one in memory."""

from __future__ import annotations

import time

from ragctl.gateway.colours import Release
from ragctl.rollout.targets.base import Health, Target, serving_colour

_PATIENCE_SECONDS = 180


def check_target(target: Target, first: Release, second: Release) -> None:
    """From blue alone to green and back. Every act is done twice: the second time changes nothing."""
    assert serving_colour(target) == "blue"
    assert target.release("blue") is not None
    _nothing_runs(target, "green")
    for release in (first, first, second):
        target.start("green", release)
        seen = target.release("green")
        assert seen is not None
        assert (seen.name, seen.image, seen.environment) == (release.name, release.image, release.environment)
    assert target.green_percent() == 0
    assert _settled(target, "green").good
    assert len(target.servers("green")) == target.health("green").servers
    for share in (10, 10, 100):
        target.shift(share)
        assert target.green_percent() == share
    assert serving_colour(target) == "green"
    assert target.health("blue").good
    target.shift(0)
    for _ in range(2):
        target.stop("green")
        _nothing_runs(target, "green")
    assert target.health("blue").good


def _nothing_runs(target: Target, colour: str) -> None:
    assert target.release(colour) is None
    assert target.health(colour).servers == 0
    assert not target.health(colour).good
    assert not target.servers(colour)


def _settled(target: Target, colour: str) -> Health:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (health := target.health(colour)).good and time.monotonic() < deadline:
        time.sleep(0.1)  # a process of another machine or supervisor: there is no event to wait for
    return health
