#!/usr/bin/env bash
# Unpack packages of Debian 13 into a folder, without installing them: `scripts/newer_debian.sh FOLDER PACKAGE…`.
# Debian 12's docker-compose (1.29) and alertmanager (0.25) are too old for our files; those of Debian 13 run there as
# they are. Needs root (for apt's sandbox user) and the machine's own Debian mirror. Programs end up in FOLDER/usr/bin.
set -euo pipefail
folder=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mirror=$(cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null |
  sed -nE 's/^URIs: +([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' | head -n 1) || true
[ -n "$mirror" ] || { echo "no Debian mirror in apt's sources here" >&2; exit 1; }
mkdir -p "$work"/{lists,cache,packages} "$folder"
chmod 755 "$work" "$work/packages"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/sources.list"
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
  -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update
(cd "$work/packages" && "${apt[@]}" download "$@")
for package in "$work"/packages/*.deb; do dpkg -x "$package" "$folder"; done
# Compose is a plugin of the docker client, and a program of its own when it is called by its name.
plugin=$folder/usr/libexec/docker/cli-plugins/docker-compose
[ ! -x "$plugin" ] || [ -e "$folder/usr/bin/docker-compose" ] || { mkdir -p "$folder/usr/bin"; ln -s "$plugin" "$folder/usr/bin/docker-compose"; }
# Alertmanager reads its templates from where its package installs them.
templates=$(realpath "$folder")/usr/share/prometheus
[ ! -d "$templates" ] || [ -e /usr/share/prometheus ] || ln -s "$templates" /usr/share/prometheus
