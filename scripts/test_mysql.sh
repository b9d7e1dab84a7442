#!/usr/bin/env bash
# Run the tests of the SQL source over a MySQL of its own as well: a throw-away MariaDB (Debian's mariadb-server) on a
# free port, as an unprivileged user. RAG_TEST_MYSQL_URL names another server instead.
set -euo pipefail
cd "$(dirname "$0")/.."
tests=(.venv/bin/pytest -n 0 tests/unit/rag_assets/connectors/sql -k mysql)
[ -z "${RAG_TEST_MYSQL_URL:-}" ] || exec "${tests[@]}"
command -v mariadbd >/dev/null || { echo "mariadb-server is not installed (apt-get install mariadb-server)"; exit 2; }
folder="$(mktemp -d)"
chmod 755 "$folder"
as=()
if [ "$(id -u)" = 0 ]; then
  chown nobody "$folder"
  as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
"${as[@]}" mariadb-install-db --no-defaults --datadir="$folder/data" --auth-root-authentication-method=normal \
  --skip-test-db >"$folder.log" 2>&1
# MariaDB makes no certificate by itself before 11.4, and some tests connect by TLS.
"${as[@]}" openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
  -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>>"$folder.log"
"${as[@]}" mariadbd --no-defaults --datadir="$folder/data" --port="$port" --bind-address=127.0.0.1 \
  --socket="$folder/socket" --pid-file="$folder/pid" --skip-log-bin \
  --ssl-cert="$folder/cert.pem" --ssl-key="$folder/key.pem" >>"$folder.log" 2>&1 &
server=$!
trap 'kill "$server"; wait "$server" || true; rm -rf "$folder" "$folder.log"' EXIT
for _ in $(seq 100); do
  mariadb-admin --no-defaults --socket="$folder/socket" -u root ping >/dev/null 2>&1 && break
  sleep 0.2
done
RAG_TEST_MYSQL_URL="mysql://root@127.0.0.1:$port" "${tests[@]}"
