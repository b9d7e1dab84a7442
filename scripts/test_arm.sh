#!/usr/bin/env bash
# Run what differs between processors in a Debian of ARM64 under qemu-user: tests of embedding, chunking and the parser's
# sandbox, vectors beside those of this machine, and a whole stack with twenty documents (verify, a query).
# Needs root and Debian's mmdebstrap and qemu-user-static; without them it is skipped, by name. The root is kept in
# RAG_TEST_ARM64 (default: the user's cache), with everything that was installed.
set -euo pipefail
cd "$(dirname "$0")/.."
skip() { echo "skipped: $1"; exit 0; }
[ "$(id -u)" = 0 ] || skip "a chroot needs root"
for program in mmdebstrap qemu-aarch64-static; do
  command -v $program >/dev/null || skip "no $program (apt-get install mmdebstrap qemu-user-static)"
done
misc=/proc/sys/fs/binfmt_misc
[ -e $misc/register ] || mount -t binfmt_misc none $misc || skip "the kernel runs no programs of other processors (binfmt_misc)"
# Debian 12's qemu (7.2) ends onnxruntime in a segmentation fault now and then: RAG_TEST_QEMU=/path/to/qemu-aarch64 is another
# (`scripts/newer_debian.sh FOLDER qemu-user` has 10.0).
[ -z "${RAG_TEST_QEMU:-}" ] || [ ! -e $misc/qemu-aarch64 ] || echo -1 >$misc/qemu-aarch64
if [ ! -e $misc/qemu-aarch64 ]; then
  sed "s#:[^:]*:\([A-Z]*\)\$#:${RAG_TEST_QEMU:-/usr/bin/qemu-aarch64-static}:\1#" /usr/lib/binfmt.d/qemu-aarch64.conf \
    >$misc/register 2>/dev/null || skip "qemu-aarch64 could not be registered"
fi
root=${RAG_TEST_ARM64:-${XDG_CACHE_HOME:-$HOME/.cache}/rag-platform/arm64}
uv=.venv/bin/uv
if [ ! -x "$root/usr/bin/python3" ]; then
  mkdir -p "$root"
  # Unpacked and not configured: Debian's own installer takes half an hour under emulation.
  mmdebstrap --quiet --mode=root --arch=arm64 --variant=extract \
    --include=base-files,base-passwd,dash,coreutils,libc-bin,libgomp1,libstdc++6,procps,python3,tzdata bookworm "$root"
  printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
fi
# Resolved and unpacked by this machine's own uv: under emulation that alone would take half an hour.
make --no-print-directory wheel DIST="$root/opt/dist" >/dev/null
for file in -r\ requirements/test.txt --no-deps\ "$(ls -t "$root"/opt/dist/rag_platform-*.whl | head -n 1)"; do
  # shellcheck disable=SC2086  # an option and its value
  $uv pip install --quiet --python-platform aarch64-manylinux_2_31 --python-version 3.11 \
    --target "$root/opt/packages" --upgrade $file
done
# Bytecode is the same on every processor, and compiling under emulation is most of a start.
[ "$(.venv/bin/python -c 'import sys; print(*sys.version_info[:2])')" != "3 11" ] ||
  .venv/bin/python -m compileall -q -j 0 -s "$root" "$root/opt/packages" || true  # templates of other versions among them
mounted=()
finish() {
  [ ! -d "$root/opt/home" ] || rag down >/dev/null 2>&1 || true
  for place in "${mounted[@]}"; do umount -l "$root$place"; done
}
trap finish EXIT
for place in /proc /dev /sys /rag; do
  mkdir -p "$root$place"
  mount --bind "$([ "$place" = /rag ] && pwd || echo "$place")" "$root$place"
  mounted+=("$place")
done
inside() {
  chroot "$root" env -i PATH=/usr/bin:/bin LANG=C.UTF-8 HOME=/root PYTHONPATH=/opt/packages PYTHONDONTWRITEBYTECODE=1 \
    RAG_HOME=/opt/home RAG_HANG_SECONDS=600 RAG_START_SECONDS=14400 RAG_EMBEDDING_RUNS=1 RAG_MAX_CONCURRENT_RUNS=1 "$@"
}
rag() { inside python3 -c 'from ragctl.app import main; main()' "$@"; }
vectors='
import sys, numpy
from rag_core.content.embedding import open_embedder, prepare_model
from rag_core.settings import Settings
texts = [f"Pump {n} needs oil every {n + 2} days; the valve is closed first." for n in range(20)] + ["泵需要每三天加油一次。"]
settings = Settings.load()
prepare_model(settings)
with open(sys.argv[1], "wb") as file:
    numpy.save(file, numpy.array(open_embedder(settings).embed_passages(texts)))
'
echo "== $(inside uname -m): vectors"
inside python3 -c "$vectors" /tmp/vectors.npy
RAG_HOME=$root/opt .venv/bin/python -c "$vectors" "$root/tmp/vectors.here.npy"
.venv/bin/python - "$root/tmp" <<'EOF'
import sys
import numpy
there, here = (numpy.load(f"{sys.argv[1]}/vectors{name}.npy") for name in ("", ".here"))
cosines = (there * here).sum(1) / numpy.linalg.norm(there, axis=1) / numpy.linalg.norm(here, axis=1)
print(f"cosine with this machine's vectors: {cosines.min():.5f} at least")
sys.exit(cosines.min() < 0.998)
EOF
echo "== tests"
inside sh -c "cd /rag && python3 -m pytest -q -n 0 -p no:cacheprovider --timeout 1800 \
  tests/unit/rag_core/content/embedding tests/unit/rag_core/content/chunking tests/unit/rag_core/content/parsing/test_sandbox.py \
  $*"
echo "== a stack, begun after $SECONDS s"
rm -rf "$root/opt/home" "$root/opt/docs"
mkdir -p "$root/opt/docs"
for number in $(seq 20); do
  printf '# Pump %s\n\nPump %s needs oil every %s days.\n' "$number" "$number" "$((number + 2))" >"$root/opt/docs/pump-$number.md"
done
rag up --docs /opt/docs --wait --ports-from "${RAG_TEST_ARM64_PORTS:-18080}"  # the network is that of this machine
rag verify
rag query "How often does pump 7 need oil?"
echo "== all of it took $SECONDS s"
