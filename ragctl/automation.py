"""Switch the change sensor and the schedule of a source in Dagster."""

from __future__ import annotations

from typing import Any

from rag_assets import LOCATION
from rag_core.errors import Reason, Unavailable
from ragctl.dagster import DagsterApi, storage_failure

_PLACE = {"repositoryName": "__repository__", "repositoryLocationName": LOCATION}
_STATES = """query($sensor: SensorSelector!, $schedule: ScheduleSelector!) {
  sensorOrError(sensorSelector: $sensor) { __typename ... on Sensor { sensorState { id status } } }
  scheduleOrError(scheduleSelector: $schedule) { __typename ... on Schedule { scheduleState { id status } } } }"""
_SWITCHES = {
    ("sensor", True): """mutation($selector: SensorSelector!) { done: startSensor(sensorSelector: $selector) {
  __typename ... on PythonError { message } ... on UnauthorizedError { message } } }""",
    ("sensor", False): """mutation($id: String!) { done: stopSensor(id: $id) {
  __typename ... on PythonError { message } ... on UnauthorizedError { message } } }""",
    ("schedule", True): """mutation($selector: ScheduleSelector!) { done: startSchedule(scheduleSelector: $selector) {
  __typename ... on PythonError { message } ... on UnauthorizedError { message } } }""",
    ("schedule", False): """mutation($id: String!) { done: stopRunningSchedule(id: $id) {
  __typename ... on PythonError { message } ... on UnauthorizedError { message } } }""",
}


def automations(api: DagsterApi, key: str) -> dict[str, tuple[str, bool]]:
    """Of `sensor` and `schedule` those that a source has: the id of its state, and whether it is on."""
    found = api.query(_STATES, sensor=_selector("sensor", key), schedule=_selector("schedule", key))
    known = {kind: found[f"{kind}OrError"].get(f"{kind}State") for kind in ("sensor", "schedule")}
    return {kind: (state["id"], state["status"] == "RUNNING") for kind, state in known.items() if state}


def switch(api: DagsterApi, key: str, kind: str, state_id: str, *, on: bool) -> None:
    """Start or stop one of them. Raises `Unavailable` (`DAGSTER_UNAVAILABLE`) when Dagster refuses."""
    chosen: dict[str, Any] = {"selector": _selector(kind, key)} if on else {"id": state_id}
    answer = api.query(_SWITCHES[kind, on], **chosen)["done"]
    if answer["__typename"].endswith("Error"):
        said = str(answer.get("message", answer["__typename"])).strip()
        message = f"the {kind} of the source was not switched: {said.partition(chr(10))[0]}"
        raise storage_failure(said) or Unavailable(Reason.DAGSTER_UNAVAILABLE, message)


def _selector(kind: str, key: str) -> dict[str, str]:
    names = {"sensor": ("sensorName", f"{key}_changes"), "schedule": ("scheduleName", f"{key}_reconcile")}
    field, name = names[kind]
    return {**_PLACE, field: name}
