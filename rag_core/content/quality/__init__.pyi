from . import quarantine_read_store as quarantine_read_store, quarantine_store as quarantine_store, store as store
from .documents import assess_text as assess_text
from .quarantine_read_store import Quarantined as Quarantined, Wanted as Wanted, page as page
from .quarantine_store import (
    AFTER_STORE as AFTER_STORE,
    BEFORE_STORE as BEFORE_STORE,
    Entry as Entry,
    discard as discard,
    redrive as redrive,
)
from .rules import RULES as RULES, QualityPolicy as QualityPolicy, Severity as Severity
from .sources import Assessment as Assessment, assess as assess
from .store import Findings as Findings, Latest as Latest, Result as Result
