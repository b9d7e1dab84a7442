#!/bin/sh
# Rotate a secret of deploy/compose.yaml in three steps, old and new accepted between the first and the last:
#   rotate-secret.sh prepare|switch|finish NAME [FOLDER]
# After each step restart what reads the secret; docs/how-to/harden.md says what that is. `switch` again goes back.
set -eu
step="$1"
name="$2"
folder="${3:-$(dirname "$0")/secrets}"
used="$folder/$name"
accepted="$folder/${name}_accepted"
fail() { echo "$1" >&2; exit 1; }
random() { head -c 64 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | head -c 40; }
write() { printf '%s' "$2" > "$1.new"; chmod 444 "$1.new"; mv "$1.new" "$1"; }
[ -s "$used" ] || fail "there is no secret $used"
case "$step" in
  prepare)
    [ ! -s "$accepted" ] || fail "$name is being rotated already: switch, or finish first"
    write "$accepted" "$(random)" ;;
  switch)
    [ -s "$accepted" ] || fail "prepare $name first"
    old="$(cat "$used")"
    write "$used" "$(cat "$accepted")"
    write "$accepted" "$old" ;;
  finish) write "$accepted" "" ;;
  *) fail "usage: $0 prepare|switch|finish NAME [FOLDER]" ;;
esac
