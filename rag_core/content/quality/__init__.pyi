from . import quarantine_read_store as quarantine_read_store, quarantine_store as quarantine_store, store as store
from .documents import assess_text as assess_text
from .quarantine_read_store import Quarantined as Quarantined, QuarantineFilter as QuarantineFilter, page as page
from .quarantine_store import (
    AFTER_STORE as AFTER_STORE,
    BEFORE_STORE as BEFORE_STORE,
    QuarantineEntry as QuarantineEntry,
    discard as discard,
    redrive as redrive,
)
from .rules import RULES as RULES, QualityPolicy as QualityPolicy, Severity as Severity
from .sources import Assessment as Assessment, assess as assess
from .store import RuleFindings as RuleFindings, Latest as Latest, ShardResult as ShardResult
