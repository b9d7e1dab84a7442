"""The governance layer: access, tenants, usage, webhooks, history and the audit log."""
