#!/usr/bin/env bash
# Makes a local image of a Python MCP server without an image registry.
#
#   python-image.sh TAG PACKAGE==VERSION SERVER.py   the machine's Python 3, that package from PyPI, and the server
#
# Python is the distribution's, /usr/bin/python3, with its library; it is installed where it is missing. The image carries
# the key of its content as a label; one that exists with the right key is left alone.
set -euo pipefail

readonly PYTHON=/usr/bin/python3
readonly KEY_LABEL=mcp-runner.image-key
readonly CACHE=${MCP_RUNNER_TEST_CACHE:-${HOME:-/root}/.cache/mcp-runner-test}
tag=$1 package=$2 server=$3
rootfs=""
trap 'rm -rf "$rootfs"' EXIT

# What a shell of pyenv or a virtual environment has set must not reach the distribution's Python.
python() { env -u PYTHONPATH -u PYTHONHOME -u VIRTUAL_ENV "$PYTHON" "$@"; }

if ! python -m pip --version >/dev/null 2>&1; then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -y -qq install --no-install-recommends python3 python3-pip >/dev/null
fi

version=$(python -c 'import sys; print("{}.{}.{}".format(*sys.version_info))')
key="$package on Python $version, $(cat "${BASH_SOURCE[0]}" "$server" | sha256sum | cut -c1-32)"
if [ "$(docker image inspect --format "{{index .Config.Labels \"$KEY_LABEL\"}}" "$tag" 2>/dev/null)" = "$key" ]; then exit; fi

installed=$CACHE/python-$version-$package
if [ ! -f "$installed/complete" ]; then
  rm -rf "$installed"
  mkdir -p "$installed"
  python -m pip install --quiet --no-input --disable-pip-version-check --root-user-action=ignore --target "$installed/site" "$package"
  touch "$installed/complete"
fi

rootfs=$(mktemp -d)
chmod 755 "$rootfs"
mkdir -p "$rootfs"/{usr/bin,usr/lib,etc/ssl/certs,app,proc,sys,dev}
mkdir -m 1777 "$rootfs/tmp"
cp -L "$PYTHON" "$rootfs/usr/bin/python3"
library=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
# Times stay, or the compiled modules would count as outdated and be compiled at every start.
tar -C / --exclude=test --exclude=idlelib --exclude=lib2to3 --exclude=ensurepip --exclude='config-*' -cf - "${library#/}" | tar -C "$rootfs" -xf -
cp -a "$installed/site" "$rootfs/app/site"
cp "$server" "$rootfs/app/server.py"
# Every word of ldd that names a file: the libraries and the loader, of Python and of all compiled modules.
mapfile -t modules < <(find "$rootfs/app/site" "$rootfs$library" -name '*.so*' -type f)
{ ldd "$PYTHON" "${modules[@]}" 2>/dev/null || true; } | grep -o '/[^ ]*\.so[^ :]*' | grep -v "^$rootfs" | sort -u | while read -r file; do
  mkdir -p "$rootfs$(dirname "$file")"
  cp -L "$file" "$rootfs$file"
done
cp -L /etc/ssl/certs/ca-certificates.crt "$rootfs/etc/ssl/certs/"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/tmp:/sbin/nologin\n' >"$rootfs/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$rootfs/etc/group"

tar -C "$rootfs" --owner=0 --group=0 --mode='u+rwX,go+rX,go-w' -cf - . | docker import --change 'ENV PATH=/usr/bin' --change 'ENV PYTHONPATH=/app/site' \
  --change 'WORKDIR /app' --change 'ENTRYPOINT ["python3", "-B", "/app/server.py"]' --change "LABEL $KEY_LABEL=\"$key\"" - "$tag" >/dev/null
printf '%s: %s\n' "$tag" "$key"
# The engine does one at a time; what another leaves is for the next.
docker image prune --force --filter "label=$KEY_LABEL" >/dev/null 2>&1 || true
