"""Wiki pages, issues and files of projects in Redmine."""
