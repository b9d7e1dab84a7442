"""Who may read, who did what, and how much: access, tenants, usage, webhooks, history and the audit log."""
