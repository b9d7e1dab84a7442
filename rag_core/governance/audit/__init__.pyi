from . import audit_store as audit_store, deployment_store as deployment_store
from .audit_store import (
    ChainReport as ChainReport,
    AuditEntry as AuditEntry,
    AuditQuery as AuditQuery,
    append as append,
    find as find,
    prune as prune,
    verify_chains as verify_chains,
)
from .deployment_store import DeliveryFigures as DeliveryFigures
from .deployment_store import (
    ROLLBACK as ROLLBACK,
    SWITCH as SWITCH,
    Colour as Colour,
    Deployment as Deployment,
    DeploymentState as DeploymentState,
    Step as Step,
)
