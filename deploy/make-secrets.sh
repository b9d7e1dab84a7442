#!/bin/sh
# Make the secrets of deploy/compose.yaml, once: files that exist are never changed. Give another folder as argument.
set -eu
folder="${1:-$(dirname "$0")/secrets}"
mkdir -p "$folder"
chmod 700 "$folder"  # the files below are mounted into containers of other users, so the folder keeps others out
random() { head -c 32 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | head -c 40; }
keep() { [ -s "$folder/$1" ] || printf '%s' "$2" > "$folder/$1"; chmod 444 "$folder/$1"; }
keep postgres_password "$(random)"
keep postgres_monitor_password "$(random)"
keep rag_database_url "postgresql://rag:$(cat "$folder/postgres_password")@postgres:5432/rag"
keep rag_qdrant_api_key "$(random)"
keep rag_page_token_secret "$(random)"
keep rag_hash_secret "$(random)"
keep rag_webhook_secret "$(random)"
# Empty but for a rotation (rotate-secret.sh); Compose mounts no file that is absent.
for name in rag_qdrant_api_key rag_page_token_secret rag_hash_secret; do keep "${name}_accepted" ""; done
keep alert_webhook_url "http://127.0.0.1:9/replace-me"
echo "secrets are in $folder"
