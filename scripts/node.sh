#!/usr/bin/env bash
# Node, the project's npm packages and its build. Sourced by setup.sh, whose functions it uses.

# Before 20.19.5 and 22.15, Node cannot load the ES modules that the build needs (ERR_REQUIRE_CYCLE_MODULE).
node_is_recent() {
  have npm && node -e 'const [major, minor, patch] = process.versions.node.split(".").map(Number);
    const oldest = { 20: [19, 5], 22: [15, 0] }[major] ?? [major > 22 ? 0 : Infinity, 0];
    process.exit(minor > oldest[0] || (minor === oldest[0] && patch >= oldest[1]) ? 0 : 1)' 2>/dev/null
}

# The distribution's Node where it is recent enough; otherwise its npm fetches a newer one into /usr/local.
ensure_node() {
  local arch
  step "Node 20.19.5 or newer"
  if ! node_is_recent; then
    have node || apt_install nodejs
    have npm || apt_install npm
  fi
  if ! node_is_recent; then
    note "Node $(node --version) is too old: installing Node 22 and npm into /usr/local"
    is_root || die "Node $(node --version) is too old." "Install Node 22, or run this as root."
    arch=$(node -p process.arch)
    npm install --global --prefix /usr/local --loglevel=error "node-linux-$arch@22" npm@10 >/dev/null \
      || die "npm could not install Node 22." "Install Node 22 (https://nodejs.org/en/download) and run again."
    hash -r
  fi
  node_is_recent || die "'node' is $(command -v node), $(node --version)." "Put Node 22 first in PATH and run again."
  note "$(command -v node), $(node --version)"
}

# The directory with include/node of exactly the Node that runs, if the machine has it; node-gyp would download it.
node_headers() {
  # shellcheck disable=SC2016
  node -e '
    const { readFileSync } = require("node:fs");
    for (const directory of [require("node:path").resolve(process.execPath, "../.."), "/usr", "/usr/local"]) {
      try {
        const header = readFileSync(`${directory}/include/node/node_version.h`, "utf8");
        const numbers = ["MAJOR", "MINOR", "PATCH"].map((n) => RegExp(`define NODE_${n}_VERSION (\\d+)`).exec(header)[1]);
        if (numbers.join(".") !== process.versions.node) continue;
        console.log(directory);
        break;
      } catch {}
    }
  '
}

# Runs the install scripts that package.json approves; better-sqlite3's downloads a binary or compiles one.
run_install_scripts() {
  local approved headers
  mapfile -t approved < <(cd "$ROOT" && node -p 'const all = require("./package.json").allowScripts ?? {};
    Object.keys(all).filter((name) => all[name]).join("\n")')
  headers=$(node_headers)
  (cd "$ROOT" && JOBS=max ${headers:+env "npm_config_nodedir=$headers"} npm rebuild --loglevel=error "${approved[@]}")
}

install_toolchain() {
  local missing=()
  have python3 || missing+=(python3)
  have make || missing+=(make)
  have g++ || missing+=(g++)
  # Debian keeps the headers of its own Node apart.
  if [ -z "$(node_headers)" ] && dpkg -S "$(node -p process.execPath)" 2>/dev/null | grep -q ^nodejs; then missing+=(libnode-dev); fi
  if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi
}

# content_key PATH…: one hash over these files and directories of the project and the version of Node.
content_key() {
  (cd "$ROOT" && { find "$@" -type f -print0 | sort -z | xargs -0 sha256sum && node --version; } | sha256sum | cut -c1-32)
}

dependencies() {
  local key log stamp=$ROOT/node_modules/.install-key
  ensure_node
  step "The project's npm packages"
  key=$(content_key package-lock.json)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then
    note "as in package-lock.json"
    return 0
  fi
  (cd "$ROOT" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null) \
    || die "npm ci failed." "The lines above say why; 'npm ci' in $ROOT repeats it."
  note "native modules: downloading, or compiling for a minute or two"
  log=$(mktemp)
  if ! run_install_scripts >"$log" 2>&1; then
    install_toolchain
    run_install_scripts >"$log" 2>&1 || {
      tail -n 40 "$log" >&2
      die "A native module could not be built." "The lines above say why; 'npm rebuild better-sqlite3' repeats it."
    }
  fi
  rm -f "$log"
  echo "$key" >"$stamp"
}

build() {
  local key stamp=$ROOT/dist/.build-key
  step "Build"
  key=$(content_key src drizzle nest-cli.json tsconfig.json package.json package-lock.json)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then
    note "dist/ is up to date"
    return 0
  fi
  (cd "$ROOT" && npm run --silent build) || die "npm run build failed." "The lines above say why."
  echo "$key" >"$stamp"
}
