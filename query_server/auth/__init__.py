"""Authentication, scopes, revocations and the audit trail."""
