"""Issues, comments and attachments of Jira."""
