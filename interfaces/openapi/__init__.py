"""The description of the REST API at `/openapi.json`, generated from the protos, and a page to read and try it."""
