# Every image in one build, with what they share built once: docker buildx bake -f deploy/docker-bake.hcl
variable "BASE" { default = "docker.io/library/python:3.12-slim-trixie" }
variable "RAG_IMAGE" { default = "rag-platform" }
variable "RAG_VERSION" { default = "local" }
# linux/amd64,linux/arm64 for both; this machine's own when empty, which is the only kind an engine can load.
variable "RAG_PLATFORMS" { default = "" }

group "default" { targets = ["images"] }

target "build" {
  context    = "."
  dockerfile = "deploy/Dockerfile"
  args       = { BASE = BASE }
}

target "images" {
  name      = role
  inherits  = ["build"]
  matrix    = { role = ["dagster", "query", "stream", "console"] }
  target    = role
  platforms = RAG_PLATFORMS == "" ? null : split(",", RAG_PLATFORMS)
  tags      = ["${RAG_IMAGE}/${role}:${RAG_VERSION}"]
}

# What is in them: docker buildx bake -f deploy/docker-bake.hcl sbom
target "sbom" {
  inherits = ["build"]
  target   = "sbom"
  output   = ["type=local,dest=dist"]
}
