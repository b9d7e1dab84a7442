"""Files and pages of SharePoint and OneDrive."""
