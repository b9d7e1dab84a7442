"""Reports for operators and their actions."""
