"""Objects of a store, whose keys are listed a page at a time: what S3, Azure Blob Storage and Google Cloud share."""
