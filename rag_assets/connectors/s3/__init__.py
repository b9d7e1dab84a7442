"""Objects of a bucket as a source: Amazon S3 and what speaks its protocol."""
