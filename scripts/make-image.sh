#!/usr/bin/env bash
# Makes local Node images for the demo and the tests, with or without an image registry.
#
#   make-image.sh [--force] base                               mcp-runner/node-base:local
#   make-image.sh [--force] npm TAG PACKAGE@VERSION [BIN]      base + that npm package, its bin as ENTRYPOINT
#   make-image.sh [--force] dir TAG DIRECTORY ENTRYPOINT_JSON  base + that directory as /app
#
# An image carries the key of its content as a label; one that exists with the right key is left alone.
set -euo pipefail

readonly BASE=mcp-runner/node-base:local
readonly PUBLIC_BASE=node:22-slim
readonly KEY_LABEL=mcp-runner.image-key
readonly LAYOUT=1 # raise it when the layout of the base below changes
readonly CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/mcp-runner
readonly NO_REGISTRY=$CACHE/no-registry # there while a registry was found not to answer within the last hour
force=false
container="" work="" # what is to be removed at the end, whatever happens
trap '[ -z "$container" ] || docker rm -f "$container" >/dev/null; rm -rf "$work"' EXIT

die() {
  printf 'make-image: %s\n' "$*" >&2
  exit 1
}
usage() {
  sed -n '2,/^set -/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}
key_of() { docker image inspect --format "{{index .Config.Labels \"$KEY_LABEL\"}}" "$1" 2>/dev/null || true; }
is_current() { ! $force && [ "$(key_of "$1")" = "$2" ]; }
# pack DIRECTORY [tar option]…: its content as a tar that everybody may read and only root may change.
pack() { tar -C "$1" --owner=0 --group=0 --mode="u+rwX,go+rX,go-w" "${@:2}" -cf - .; }

# ---- base --------------------------------------------------------------------------------------------------------

registry_answers() {
  if [ -n "$(find "$NO_REGISTRY" -mmin -60 2>/dev/null)" ]; then return 1; fi
  if timeout 5 docker manifest inspect "$PUBLIC_BASE" >/dev/null 2>&1; then
    rm -f "$NO_REGISTRY"
    return 0
  fi
  touch "$NO_REGISTRY"
  return 1
}

# copy_into ROOTFS FILE…: each file at its own path, symbolic links as the files they name.
copy_into() {
  local rootfs=$1 file
  shift
  for file; do
    mkdir -p "$rootfs$(dirname "$file")"
    cp -L "$file" "$rootfs$file"
  done
}

make_rootfs() {
  local rootfs=$1 node file libraries builtins
  node=$(node -p process.execPath)
  chmod 755 "$rootfs"
  mkdir -p "$rootfs"/{usr/local/bin,etc/ssl/certs,usr/lib/ssl,app,proc,sys,dev,root}
  mkdir -m 1777 "$rootfs/tmp"
  cp -L "$node" "$rootfs/usr/local/bin/node"
  if command -v strip >/dev/null; then strip "$rootfs/usr/local/bin/node" 2>/dev/null || true; fi
  # Every word of ldd that names a file: the libraries and the loader.
  mapfile -t libraries < <(ldd "$node" | grep -o '/[^ ]*' | sort -u)
  # The resolver is loaded by name at run time, so ldd does not know it.
  for file in /lib/*-linux-gnu/libnss_{files,dns}.so.2 /lib/*-linux-gnu/libresolv.so.2; do
    if [ -e "$file" ]; then copy_into "$rootfs" "$file"; fi
  done
  # Debian's Node keeps some of its builtin modules in files; their paths are in its library.
  mapfile -t builtins < <(grep -ahoE '/usr/share/nodejs/[A-Za-z0-9_./-]+\.js' "${libraries[@]}" | sort -u)
  copy_into "$rootfs" "${libraries[@]}" "${builtins[@]}"
  copy_into "$rootfs" /etc/ssl/certs/ca-certificates.crt
  ln -s /etc/ssl/certs "$rootfs/usr/lib/ssl/certs"
  printf 'root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/tmp:/sbin/nologin\n' >"$rootfs/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$rootfs/etc/group"
  printf 'hosts: files dns\n' >"$rootfs/etc/nsswitch.conf"
}

make_base() {
  local local_key public_key="base $LAYOUT, $PUBLIC_BASE"
  local_key="base $LAYOUT, node $(node --version)"
  if is_current "$BASE" "$local_key" || is_current "$BASE" "$public_key"; then return; fi
  if registry_answers && docker pull -q "$PUBLIC_BASE" >/dev/null; then
    commit_image "$PUBLIC_BASE" "$BASE" "$public_key" "" --change 'WORKDIR /app' --change 'ENTRYPOINT []'
  else
    work=$(mktemp -d)
    make_rootfs "$work"
    tar -C "$work" --owner=0 --group=0 -cf - . | docker import --change 'ENV PATH=/usr/local/bin' --change 'WORKDIR /app' --change 'CMD ["node"]' \
      --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' --change "LABEL $KEY_LABEL=\"$local_key\"" - "$BASE" >/dev/null
  fi
  docker run --rm --read-only --user 200001:200001 --cap-drop ALL --network none "$BASE" node -e 0 || {
    docker rmi -f "$BASE" >/dev/null
    die "node does not run in the base image"
  }
  printf '%s: %s\n' "$BASE" "$(key_of "$BASE")"
}

# ---- images on top -----------------------------------------------------------------------------------------------

# commit_image FROM TAG KEY DIRECTORY [docker commit option]…: DIRECTORY, when not empty, becomes /app.
commit_image() {
  local from=$1 tag=$2 key=$3 directory=$4
  container=$(docker create "$from" node)
  if [ -n "$directory" ]; then pack "$directory" | docker cp - "$container:/app" >/dev/null; fi
  docker commit --change "LABEL $KEY_LABEL=\"$key\"" "${@:5}" "$container" "$tag" >/dev/null
  docker rm "$container" >/dev/null
  container=""
}

# bin_of DIRECTORY PACKAGE [BIN]: the path, below DIRECTORY, of the package's executable.
bin_of() {
  # shellcheck disable=SC2016
  node -e '
    const [directory, name, wanted] = process.argv.slice(1);
    const { bin } = JSON.parse(require("node:fs").readFileSync(`${directory}/node_modules/${name}/package.json`, "utf8"));
    const path = typeof bin === "string" ? bin : wanted ? bin?.[wanted] : Object.values(bin ?? {})[0];
    if (!path) throw new Error(`${name} has no executable ${wanted ?? ""}`);
    console.log(require("node:path").posix.join("node_modules", name, path));
  ' "$@"
}

make_npm() {
  local tag=$1 package=$2 bin=${3:-} name key installed entry
  [[ $package =~ ^(@[a-z0-9._~-]+/)?[a-z0-9._~-]+@[0-9][A-Za-z0-9.+-]*$ ]] || die "not PACKAGE@VERSION: $package"
  name=${package%@*}
  make_base
  key="npm $package${bin:+ $bin} on $(docker image inspect --format '{{.Id}}' "$BASE")"
  if is_current "$tag" "$key"; then return; fi
  installed=$CACHE/npm/$package
  if $force || [ ! -f "$installed/complete" ]; then
    rm -rf "$installed"
    mkdir -p "$installed"
    # Scripts of a package that is to run in a sandbox do not run outside of one.
    npm install --silent --prefer-offline --prefix "$installed" --omit=dev --ignore-scripts --no-audit --no-fund --no-package-lock "$package" \
      || die "npm could not install $package; 'npm install $package' in an empty folder repeats it"
    touch "$installed/complete"
  fi
  entry=$(bin_of "$installed" "$name" ${bin:+"$bin"})
  commit_image "$BASE" "$tag" "$key" "$installed" --change "ENTRYPOINT [\"node\",\"/app/$entry\"]" --change 'CMD []'
  printf '%s: %s\n' "$tag" "$key"
}

make_dir() {
  local tag=$1 directory=$2 entrypoint=$3 key
  [ -d "$directory" ] || die "no such directory: $directory"
  node -e 'if (!Array.isArray(JSON.parse(process.argv[1]))) throw 0' "$entrypoint" 2>/dev/null || die "not a JSON array: $entrypoint"
  make_base
  key="dir $({
    pack "$directory" --sort=name --mtime=@0 | sha256sum
    printf '%s' "$entrypoint"
  } | sha256sum | cut -c1-32) on $(docker image inspect --format '{{.Id}}' "$BASE")"
  if is_current "$tag" "$key"; then return; fi
  commit_image "$BASE" "$tag" "$key" "$directory" --change "ENTRYPOINT $entrypoint" --change 'CMD []'
  printf '%s: %s\n' "$tag" "$key"
}

if [ "${1:-}" = --force ]; then
  force=true
  shift
fi
mkdir -p "$CACHE"
exec 8>"$CACHE/lock"
flock -w 300 8 || die "another make-image has been running for five minutes"
case "${1:-} $#" in
  "base 1") make_base ;;
  "npm 3" | "npm 4") make_npm "${@:2}" ;;
  "dir 4") make_dir "${@:2}" ;;
  *) usage ;;
esac
# What a newer image of the same name has replaced.
# The engine does one at a time; what another leaves is for the next.
docker image prune --force --filter "label=$KEY_LABEL" >/dev/null 2>&1 || true
