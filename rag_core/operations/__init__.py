"""Operations: the audit log with its hash chain, and blue/green deployments."""

from rag_core.operations import audit_store, deployment_store
from rag_core.operations.audit_store import ChainReport, Entry, Query, append, find, prune, verify_chains
from rag_core.operations.deployment_store import ROLLBACK, SWITCH, Colour, Deployment, State, Step
