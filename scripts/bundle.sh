#!/usr/bin/env bash
# One archive that installs and runs the platform on a machine without a network: the checkout at HEAD, every wheel that
# it runs on (the models and servers are inside some of them), the chart, an SBOM of the wheels, and checksums of all.
# For the Python that makes it, and Linux x86-64. Use: tar xf dist/rag-platform-….tar && cd rag-platform-… && make up BUNDLE=bundle
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
version=$("$bin/python" -c 'import importlib.metadata as m; print(m.version("rag-platform"))')
python=$("$bin/python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
name=rag-platform-$version-$python-linux-x86_64
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/$name/bundle
mkdir -p "$bundle/wheels" dist
git archive HEAD | tar -x -C "$work/$name"
for lock in bootstrap runtime; do
  echo "Fetching the wheels of requirements/$lock.txt …"
  "$bin/python" -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
    -r "requirements/$lock.txt" -d "$bundle/wheels"
done
"$bin/cyclonedx-py" requirements --output-reproducible --of JSON -o "$bundle/sbom.cdx.json" requirements/runtime.txt
"$bin/python" scripts/generate_chart.py --package "$bundle/chart"
(cd "$bundle" && find . -type f ! -name SHA256SUMS | sort | xargs sha256sum >SHA256SUMS)
# The same commit gives the same archive.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -C "$work" -cf "dist/$name.tar" "$name"
(cd dist && sha256sum "$name.tar" >"$name.tar.sha256")
echo "dist/$name.tar ($(du -h "dist/$name.tar" | cut -f1)), with its checksum beside it"
