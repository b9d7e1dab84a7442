"""Pages and rows of Notion."""
