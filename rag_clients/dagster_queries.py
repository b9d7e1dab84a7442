"""The GraphQL documents of the client, each tried against the pinned Dagster."""

from __future__ import annotations

HEALTH = """{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  workspaceOrError { __typename ... on Workspace { locationEntries { name loadStatus
    locationOrLoadError { __typename } } } ... on Error { message } } }"""
RUNS = """query($filter: RunsFilter, $limit: Int!, $cursor: String) {
  runsOrError(filter: $filter, limit: $limit, cursor: $cursor) { __typename
  ... on Runs { results { runId jobName status startTime endTime creationTime canTerminate
    assetSelection { path } tags { key value } } } ... on Error { message } } }"""
RUN_LOG = """query($id: ID!, $after: String) { logsForRun(runId: $id, afterCursor: $after, limit: 1000) { __typename
  ... on EventConnection { cursor hasMore events { __typename ... on MessageEvent { timestamp level message stepKey }
    ... on AssetCheckEvaluationEvent { evaluation { success severity checkName description } }
    ... on ExecutionStepFailureEvent { error { message causes { message } } }
    ... on RunFailureEvent { error { message causes { message } } } } } ... on Error { message } } }"""
GRAPH = """query($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) { assetKey { path }
  dependencyKeys { path } } }"""
LATEST = """query($keys: [AssetKeyInput!]!) { assetsLatestInfo(assetKeys: $keys) { assetKey { path } inProgressRunIds
  unstartedRunIds latestRun { runId status endTime } latestMaterialization { timestamp runId } } }"""
CHECKS = """query($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) { assetKey { path } assetChecksOrError {
  __typename ... on AssetChecks { checks { name blocking } } } } }"""
_EXECUTIONS = """assetCheckExecutions(assetKey: $key{n}, checkName: $name{n}, limit: 10) { timestamp evaluation {
  severity success description metadataEntries { label __typename ... on IntMetadataEntry { intValue }
    ... on FloatMetadataEntry { floatValue } ... on TextMetadataEntry { text } } } }"""
_SENSOR = """{ name targets { pipelineName } nextTick { timestamp } sensorState { id status
    ticks(limit: 1) { status timestamp skipReason error { message } } } }"""
_SCHEDULE = """{ name pipelineName scheduleState { id status nextTick { timestamp }
    ticks(limit: 1) { status timestamp skipReason error { message } } } }"""
AUTOMATIONS = f"""query($repository: RepositorySelector!) {{
  sensorsOrError(repositorySelector: $repository) {{ __typename ... on Sensors {{ results {_SENSOR} }}
    ... on Error {{ message }} }}
  schedulesOrError(repositorySelector: $repository) {{ __typename ... on Schedules {{ results {_SCHEDULE} }}
    ... on Error {{ message }} }} }}"""
AUTOMATIONS_OF = f"""query($job: PipelineSelector!) {{ job: pipelineOrError(params: $job) {{ __typename
  ... on Pipeline {{ sensors {_SENSOR} schedules {_SCHEDULE} }} ... on Error {{ message }} }} }}"""
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } ... on PipelineNotFoundError { message }
  ... on InvalidSubsetError { message } ... on UnauthorizedError { message } } }"""
BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) { __typename
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } ... on UnauthorizedError { message } } }"""
RETRY = """mutation($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } ... on UnauthorizedError { message } } }"""
TERMINATE = """mutation($id: String!) { terminateRun(runId: $id) { __typename ... on TerminateRunFailure { message }
  ... on RunNotFoundError { message } ... on UnauthorizedError { message } ... on PythonError { message } } }"""
CANCEL_BACKFILL = """mutation($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename
  ... on UnauthorizedError { message } ... on PythonError { message } } }"""
START_SENSOR = """mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) { __typename
  ... on SensorNotFoundError { message } ... on UnauthorizedError { message } ... on PythonError { message } } }"""
STOP_SENSOR = """mutation($id: String!) { stopSensor(id: $id) { __typename
  ... on UnauthorizedError { message } ... on PythonError { message } } }"""
START_SCHEDULE = """mutation($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) { __typename
  ... on ScheduleNotFoundError { message } ... on UnauthorizedError { message } ... on PythonError { message } } }"""
STOP_SCHEDULE = """mutation($id: String!) { stopRunningSchedule(id: $id) { __typename
  ... on UnauthorizedError { message } ... on PythonError { message } } }"""
CHECK_SENSOR = """mutation($selector: SensorSelector!) {
  sensorDryRun(selectorData: $selector, cursor: null) { __typename
  ... on DryRunInstigationTick { evaluationResult { skipReason cursor error { message causes { message } }
    runRequests { runKey } } }
  ... on SensorNotFoundError { message } ... on PythonError { message } } }"""
SENSOR_TAGS = """query($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { __typename
  ... on Sensor { tags { key value } } ... on Error { message } } }"""
RELOAD = """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename
  ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on PythonError { message } } }
  ... on UnauthorizedError { message } ... on PythonError { message } } }"""
BACKFILLS = """query($limit: Int!) { partitionBackfillsOrError(limit: $limit) { __typename ... on PartitionBackfills {
  results { id status timestamp numPartitions assetSelection { path }
    partitionStatusCounts { runStatus count } } } ... on Error { message } } }"""


def executions(checks: int) -> str:
    """The newest executions of so many checks as `check0`, `check1` …; variables `key0`, `name0` …

    Not `executionForLatestMaterialization`: it is empty from the start of a run until its check has ended, and for
    good when the run fails before that.
    """
    numbers = range(checks)
    declared = ", ".join(f"$key{n}: AssetKeyInput!, $name{n}: String!" for n in numbers)
    asked = " ".join(f"check{n}: {_EXECUTIONS.replace('{n}', str(n))}" for n in numbers)
    return f"query({declared}) {{ {asked} }}"
