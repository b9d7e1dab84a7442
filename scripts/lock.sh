#!/usr/bin/env bash
# Resolve pyproject.toml once for everything, then cut the smaller locks out of that resolution, so that the four agree.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header "$@"; }
compile pyproject.toml --extra ocr --extra files --extra imap --extra ldap --extra smb --group build --group test --group dev --group sbom -o requirements/dev.txt
compile pyproject.toml --extra ocr --extra files --extra imap --extra ldap --extra smb --group build --group test -c requirements/dev.txt -o requirements/test.txt
compile pyproject.toml --group build -c requirements/dev.txt -o requirements/runtime.txt
compile --group bootstrap -o requirements/bootstrap.txt
compile --group sbom -c requirements/dev.txt -o requirements/sbom.txt
compile --group audit -o requirements/audit.txt
compile --group build -c requirements/dev.txt -o requirements/build.txt
# What images hold: packages of every role, which are one layer in all of them, and what a role adds. The embedded database
# is for one machine without containers.
core() { .venv/bin/python scripts/image_requirements.py; }
core | compile - -c requirements/dev.txt -o requirements/image-core.txt
mapfile -t shared < <(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/--no-emit-package=\1/p' requirements/image-core.txt)
# Character recognition, for images of one's own on top of these.
{ core; echo rapidocr; } | compile - -c requirements/dev.txt -o requirements/ocr.txt
# Kinds of source and of directory: what their extra adds, to install over any of the others.
printf '%s\n' fsspec paramiko webdav4 | compile - -c requirements/dev.txt -o requirements/files.txt
for package in imap:imapclient ldap:ldap3 smb:smbprotocol; do
  echo "${package#*:}" | compile - -c requirements/dev.txt -o "requirements/${package%:*}.txt"
done
# The stream worker has what Dagster's image has; the interfaces run from the query servers' image.
for role in dagster query console; do
  core | compile - --group "image-$role" -c requirements/dev.txt "${shared[@]}" -o "requirements/image-$role.txt"
done
