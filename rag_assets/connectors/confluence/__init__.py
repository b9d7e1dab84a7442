"""Pages, blog posts and attachments of Confluence."""
