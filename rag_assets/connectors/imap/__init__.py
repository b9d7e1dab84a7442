"""Messages and attachments of an IMAP server."""
