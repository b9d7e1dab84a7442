"""Who is calling and what that caller may do: credentials, revocations, scopes, the audit trail."""
