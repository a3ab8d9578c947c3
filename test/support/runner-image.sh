#!/usr/bin/env bash
# Builds the service's own image from the Dockerfile, on bases made here, so that no image registry is needed.
#
#   runner-image.sh TAG
#
# The bases are this machine's release of Debian or Ubuntu, fresh from its package source, with this machine's Node. The one
# to build on has npm, the machine's certificates and the native module that the project's packages have been installed
# with as well. They carry the key of their content as a label; those that exist with the right key are left alone.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Not that of make-image.sh, which prunes what has it, and would take the layers of a build under way.
readonly KEY_LABEL=mcp-runner.runner-image-key
readonly BASE=mcp-runner/os-base:local
readonly BUILD_BASE=mcp-runner/os-node:local
readonly NPM=npm@10.9.4
readonly CACHE=${MCP_RUNNER_TEST_CACHE:-${HOME:-/root}/.cache/mcp-runner-test}
readonly CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
tag=$1
work=""
trap 'rm -rf "$work"' EXIT

key_of() { docker image inspect --format "{{index .Config.Labels \"$KEY_LABEL\"}}" "$1" 2>/dev/null || true; }
codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
node=$(node -p process.execPath)
# Its libraries that do not come with every Debian, and the builtin modules that Debian's Node keeps in files.
mapfile -t libraries < <(ldd "$node" | grep -o '/[^ ]*' | sort -u)
mapfile -t builtins < <(grep -ahoE '/usr/share/nodejs/[A-Za-z0-9_./-]+\.js' "${libraries[@]}" | sort -u)
readonly sqlite=$ROOT/node_modules/better-sqlite3
version=$(node -p 'require(process.argv[1]).version' "$sqlite/package.json")
script=$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-16)
base_key="$codename, node $(node --version), $script"
build_key="$base_key, better-sqlite3 $version"

make_base() {
  local uri
  if ! command -v mmdebstrap >/dev/null; then
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends mmdebstrap >/dev/null
  fi
  # The first source of this release; Ubuntu has catatonit and busybox-static in another component of it.
  uri=$(apt-get indextargets 'Created-By: Packages' "Codename: $codename" | awk '$1 == "Repo-URI:" { print $2; exit }')
  mmdebstrap --quiet --variant=apt --components=main"$([ -f /usr/share/keyrings/ubuntu-archive-keyring.gpg ] && echo ,universe)" \
    --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$codename" "$work/base" "$uri"
  for file in "${libraries[@]}" "${builtins[@]}"; do
    if [ ! -e "$work/base$file" ]; then
      mkdir -p "$work/base$(dirname "$file")"
      cp -L "$file" "$work/base$file"
    fi
  done
  tar -C "$work/base" --exclude='./dev/*' -cf - . | docker import --change "LABEL $KEY_LABEL=\"$base_key\"" - "$BASE" >/dev/null
}

make_build_base() {
  local files=$work/files prebuilt
  if [ ! -f "$CACHE/$NPM/complete" ]; then
    rm -rf "${CACHE:?}/$NPM"
    npm install --silent --ignore-scripts --no-package-lock --prefix "$CACHE/$NPM" "$NPM"
    touch "$CACHE/$NPM/complete"
  fi
  mkdir -p "$files"/{usr/local/bin,usr/local/lib,etc/ssl/certs,prebuilt/build/Release}
  cp -L "$node" "$files/usr/local/bin/node"
  if command -v strip >/dev/null; then strip "$files/usr/local/bin/node" 2>/dev/null || true; fi
  cp -R "$CACHE/$NPM/node_modules" "$files/usr/local/lib/"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$files/usr/local/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$files/usr/local/bin/npx"
  cp -L "$CERTIFICATES" "$files$CERTIFICATES"
  # Where better-sqlite3's installer looks before it asks its download server.
  prebuilt=better-sqlite3-v$version-node-v$(node -p process.versions.modules)-linux-$(node -p process.arch).tar.gz
  cp "$sqlite/build/Release/better_sqlite3.node" "$files/prebuilt/build/Release/"
  tar -C "$files/prebuilt" --owner=0 --group=0 -czf "$files/$prebuilt" build
  rm -r "$files/prebuilt/build"
  mv "$files/$prebuilt" "$files/prebuilt/"
  printf 'FROM %s\nCOPY files /\nENV NODE_EXTRA_CA_CERTS=%s npm_config_cafile=%s npm_config_better_sqlite3_local_prebuilds=/prebuilt\nLABEL %s="%s"\n' \
    "$BASE" "$CERTIFICATES" "$CERTIFICATES" "$KEY_LABEL" "$build_key" >"$work/Dockerfile"
  docker build --quiet --tag "$BUILD_BASE" "$work" >/dev/null
}

work=$(mktemp -d)
if [ "$(key_of "$BASE")" != "$base_key" ]; then
  make_base
  docker image rm -f "$BUILD_BASE" >/dev/null 2>&1 || true
fi
rm -rf "$work/base"
if [ "$(key_of "$BUILD_BASE")" != "$build_key" ]; then make_build_base; fi
# What RUN fetches, it fetches as this machine does. The stage with the build has a name, so that no prune takes it.
build() {
  docker build --quiet --network host --build-arg "NODE_IMAGE=$BUILD_BASE" --build-arg "BASE_IMAGE=$BASE" \
    --label "$KEY_LABEL=Dockerfile" "$@" "$ROOT" 2>&1
}
for target in "--target build --tag mcp-runner/build:local" "--tag $tag"; do
  # shellcheck disable=SC2086
  build $target >"$work/log" || {
    cat "$work/log" >&2
    exit 1
  }
done
# The engine does one at a time; what another leaves is for the next.
docker image prune --force --filter "label=$KEY_LABEL" >/dev/null 2>&1 || true
