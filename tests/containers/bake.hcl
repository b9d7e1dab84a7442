# Beside deploy/docker-bake.hcl: the machine's network and certificates for every build, and stand-ins for the upstream
# images on the same base.
variable "CERTIFICATES" { default = "" }

target "build" {
  network = "host"
  secret  = CERTIFICATES == "" ? [] : ["id=ca,src=${CERTIFICATES}"]
}

target "stand-ins" {
  name       = helper
  inherits   = ["build"]
  matrix     = { helper = ["postgres", "envoy", "kafka", "exporter"] }
  context    = "tests/containers"
  dockerfile = "helpers.Dockerfile"
  target     = helper
  args       = { ENVOY = "1.40.0", BROKER = "0.1.2", POSTGRES = "18.6.3" }
  tags       = ["rag-test/${helper}:local"]
}
