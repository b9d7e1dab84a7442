from . import store as store
from .base import Alert as Alert, AlertKind as AlertKind, Notifier as Notifier
from .conditions import (
    dated_ahead as dated_ahead,
    disappeared_documents as disappeared_documents,
    halted_streams as halted_streams,
    held_deletions as held_deletions,
    over_failure_rate as over_failure_rate,
    rebuilt_indexes as rebuilt_indexes,
    stale_sources as stale_sources,
)
from .delivery import AlertDelivery as AlertDelivery, deliver as deliver, open_notifiers as open_notifiers
from .store import (
    Disappearance as Disappearance,
    SourceAlertState as SourceAlertState,
    disappearances as disappearances,
    source_states as source_states,
)
