#!/usr/bin/env bash
# Sets mcp-runner up on Ubuntu 24.04 and Debian 12 or newer. Run it as root; run it again at any time.
#
#   setup.sh               in a checkout: prepare the machine, build, start the service, deploy a demo server and call it;
#                          this file alone: prepare the machine for `docker run` of the published image
#   setup.sh engine        prepare the machine only: packages, Docker engine, gVisor runtime, proof that a sandbox starts
#   setup.sh dependencies  Node and the project's npm packages only
#   setup.sh demo          deploy the demo server to the running service and call it
#   setup.sh stop          stop the service; its sandboxes stay
#   setup.sh uninstall     remove what set-up and the service made, but no packages; --purge: the data directory too
#
# Environment: DATA_DIR (/var/mcp-runner), PORT (3000), BIND_IP (127.0.0.1), API_KEY and every variable of the README.
set -Eeuo pipefail

readonly STATE_DIR=/var/lib/mcp-runner-setup # what set-up added to the machine, so that uninstall takes no more
readonly DAEMON_JSON=/etc/docker/daemon.json
readonly WRAPPER=/usr/local/lib/mcp-runner/runsc
readonly ENGINE_LOG=/var/log/dockerd.log
readonly SYSCTL_FILE=/etc/sysctl.d/60-mcp-runner.conf
readonly RUNSC_LIST=/etc/apt/sources.list.d/mcp-runner-gvisor.list
readonly GVISOR_KEY=/usr/share/keyrings/gvisor-archive-keyring.asc
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The engine of this machine, whatever the caller's shell points at.
export DOCKER_HOST=unix:///var/run/docker.sock
unset DOCKER_CONTEXT

current_step="start"
step() { current_step=$1 && printf '==> %s\n' "$1"; }
note() { printf '    %s\n' "$1"; }
# die WHAT HOW: what failed, and how to mend it.
die() {
  printf 'FAILED  %s\nMEND    %s\n' "$1" "$2" >&2
  trap - ERR && exit 1
}
trap 'die "Step \"$current_step\" stopped at ${BASH_SOURCE[0]##*/}:$LINENO." \
  "The lines above say why. Mend that and run the same command again: what is done already is skipped."' ERR

have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }
in_checkout() { [ -f "$ROOT/package.json" ] && [ -f "$ROOT/scripts/service.sh" ]; }
os_release() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" /etc/os-release; }

# wait_for SECONDS COMMAND…: true as soon as the command is.
wait_for() {
  local deadline=$((SECONDS + $1))
  until "${@:2}"; do
    if [ "$SECONDS" -ge "$deadline" ]; then return 1; fi
    sleep 0.2
  done
}

# ---- packages
apt_is_fresh=false
apt_update() {
  $apt_is_fresh || apt-get -qq -o DPkg::Lock::Timeout=300 update || die "apt-get update failed." "Mend what it names above."
  apt_is_fresh=true
}

# apt_install [-t SUITE] PACKAGE…
apt_install() {
  local log
  is_root || die "Packages are missing: $*" "sudo apt-get install $*"
  apt_update
  note "installing: $*"
  log=$(mktemp)
  DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" >"$log" 2>&1 9>&- || {
    tail -n 30 "$log" >&2
    die "apt-get could not install: $*" "The lines above say why; 'apt-get install $*' repeats it."
  }
  rm -f "$log"
  mkdir -p "$STATE_DIR"
  if [ "$1" = -t ]; then shift 2; fi
  printf '%s\n' "$@" >>"$STATE_DIR/packages"
}

busybox_is_static() { [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1; }

install_packages() {
  local pair missing=()
  step "Packages: engine, firewall, pause process"
  for pair in dockerd:docker.io nft:nftables catatonit:catatonit ip:iproute2 mkfs.ext4:e2fsprogs jq:jq curl:curl ps:procps; do
    have "${pair%:*}" || missing+=("${pair#*:}")
  done
  busybox_is_static || missing+=(busybox-static)
  # A package of its own since Debian 13.
  have docker || { apt_update && ! apt-cache show docker-cli >/dev/null 2>&1; } || missing+=(docker-cli)
  [ -s /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
  # With AppArmor in the kernel the engine needs its parser to start any container.
  if grep -qsx Y /sys/module/apparmor/parameters/enabled && ! have apparmor_parser; then missing+=(apparmor); fi
  if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; else note "all there"; fi
}

runsc_version() { runsc --version 2>/dev/null | awk 'NR == 1 { print $NF }'; }
# is_recent VERSION: releases are named by their day, as in release-20240729.0; before 2024 is worth replacing.
is_recent() { [[ $1 =~ (20[0-9]{6}) && ${BASH_REMATCH[1]} -ge 20240101 ]]; }

# add_runsc_source: Ubuntu has no runsc, the gVisor project does (https://gvisor.dev/docs/user_guide/install/); Debian has
# it in the backports suite of the archive that this machine already uses.
add_runsc_source() {
  local suite=$1 uri key=/usr/share/keyrings/debian-archive-keyring.gpg
  if [ "$(os_release ID)" = ubuntu ]; then
    suite=release uri=https://storage.googleapis.com/gvisor/releases key=$GVISOR_KEY
    curl -fsSL --retry 3 -o "$key" https://gvisor.dev/archive.key || die "The key of gVisor's apt repository cannot be fetched." \
      "Check that https://gvisor.dev answers and run again."
  else
    uri=$(apt-get indextargets 'Created-By: Packages' "Codename: ${suite%-*}" | awk '$1 == "Repo-URI:" { print $2 }')
    [ -n "$uri" ] || die "No apt source for Debian ${suite%-*}." "Add the Debian archive to /etc/apt/sources.list and run again."
  fi
  printf 'deb [signed-by=%s] %s %s main\n' "$key" "${uri%%$'\n'*}" "$suite" >"$RUNSC_LIST"
  apt_is_fresh=false
  apt_update
}

install_runsc() {
  local suite
  step "gVisor (runsc)"
  if ! is_recent "$(runsc_version)"; then
    apt_update
    suite=$(os_release VERSION_CODENAME)
    if ! is_recent "$(apt-cache policy runsc | awk '/Candidate:/ { print $2 }')"; then
      suite=$suite-backports
      note "none recent in this machine's package sources: adding one, $RUNSC_LIST"
      add_runsc_source "$suite"
    fi
    if [ "$(os_release ID)" = ubuntu ]; then apt_install runsc; else apt_install -t "$suite" runsc; fi
  fi
  note "$(command -v runsc), $(runsc_version)"
}

# ---- engine
engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
engine_pid() { cat /var/run/docker.pid 2>/dev/null; }

start_engine() {
  step "Docker engine"
  if ! engine_answers; then
    if [ -d /run/systemd/system ]; then
      systemctl enable --now docker >/dev/null 2>&1 || true
    elif ! grep -qsx dockerd "/proc/$(engine_pid)/comm"; then
      note "nothing here starts services: starting dockerd itself, log in $ENGINE_LOG"
      rm -f /var/run/docker.pid # it names a process that is gone, or another one by now
      setsid dockerd >>"$ENGINE_LOG" 2>&1 </dev/null 9>&- &
    fi
    wait_for 60 engine_answers || {
      { tail -n 20 "$ENGINE_LOG" 2>/dev/null || journalctl -u docker -n 20 --no-pager; } >&2 || true
      die "The Docker engine does not answer after 60 s." "Its last log lines are above; mend what they name and run again."
    }
  fi
  note "engine $(docker version --format '{{.Server.Version}}, API {{.Server.APIVersion}}')"
}

configured_runtime() { jq -r '.runtimes.runsc.path // empty' "$DAEMON_JSON" 2>/dev/null; }
loaded_runtime() { docker info --format '{{json .Runtimes}}' 2>/dev/null | jq -r '.runsc.path // empty'; }
runtime_is_loaded() { [ "$(loaded_runtime)" = "$1" ]; }

# set_runtime PATH: runtimes.runsc.path in daemon.json, everything else in the file as it was.
set_runtime() {
  local merged
  if [ "$(configured_runtime)" != "$1" ]; then
    mkdir -p "$(dirname "$DAEMON_JSON")" "$STATE_DIR"
    if [ ! -s "$DAEMON_JSON" ]; then
      printf '{}\n' >"$DAEMON_JSON"
    elif [ ! -f "$STATE_DIR/runtime-added" ]; then
      cp -p "$DAEMON_JSON" "$DAEMON_JSON.before-mcp-runner"
      note "the file as it was: $DAEMON_JSON.before-mcp-runner"
    fi
    jq empty "$DAEMON_JSON" || die "$DAEMON_JSON is not valid JSON." "Correct it by hand (the line above says where) and run again."
    if [ -z "$(configured_runtime)" ]; then touch "$STATE_DIR/runtime-added"; fi
    merged=$(jq --arg path "$1" '.runtimes.runsc.path = $path' "$DAEMON_JSON")
    printf '%s\n' "$merged" >"$DAEMON_JSON"
  fi
  runtime_is_loaded "$1" || kill -HUP "$(engine_pid)"
  wait_for 15 runtime_is_loaded "$1" \
    || die "The engine did not take the runtime from $DAEMON_JSON." "Restart the engine (systemctl restart docker) and run again."
  note "$DAEMON_JSON: runsc is $1"
}

register_runtime() {
  local path
  step "Runtime runsc in the engine"
  path=$(configured_runtime) || true
  # What somebody set up already stays; our wrapper stays while it is for the runsc that is installed.
  if [ ! -x "$path" ] || { [ "$path" = "$WRAPPER" ] && ! grep -qxF "# for runsc $(runsc_version)" "$WRAPPER"; }; then
    path=$(command -v runsc)
  fi
  set_runtime "$path"
}

# ---- proof
readonly PROBE=mcp-runner-probe-$$ # the probe's image, network and container

# A failed start of runsc leaves processes behind; they all have the id of their container on the command line.
probe_cleanup() {
  local id pids=()
  id=$(docker ps -aq --no-trunc --filter "name=^$PROBE\$")
  docker rm -f "$PROBE"
  if [ -n "$id" ]; then mapfile -t pids < <(grep -slzF -- "$id" /proc/[0-9]*/cmdline | cut -d/ -f3) && kill -9 "${pids[@]}"; fi
  docker network rm "$PROBE"
  docker rmi -f "$PROBE"
} >/dev/null 2>&1

# Runs an unprivileged sandbox on a bridge of its own; prints its kernel's log, its address and its uid, or why it failed.
run_probe() {
  tar -C / --dereference -cf - bin/busybox | docker import - "$PROBE" >/dev/null
  docker network create "$PROBE" >/dev/null
  timeout 60 docker run --name "$PROBE" --runtime runsc --network "$PROBE" --user 65534:65534 --read-only --cap-drop ALL \
    --security-opt no-new-privileges --memory 256m "$PROBE" \
    /bin/busybox sh -c "/bin/busybox dmesg; /bin/busybox ip -4 addr show eth0; /bin/busybox id -u" || true
  probe_cleanup || true
}
probe_is_good() { grep -qi 'gvisor' <<<"$1" && grep -q 'inet [0-9]' <<<"$1" && grep -qx 65534 <<<"$1"; }

# runsc before late 2024 takes a readable /proc/sys/net/core/rmem_default for the host's network namespace and refuses to
# start; kernels of today show that file in every namespace.
write_wrapper() {
  mkdir -p "$(dirname "$WRAPPER")"
  sed "s|RUNSC|$(command -v runsc)|g; s|VERSION|$(runsc_version)|" >"$WRAPPER" <<'WRAPPER_END'
#!/bin/sh
# for runsc VERSION
# Hides /proc/sys from "start", except for the one value that runsc needs, so that it does not take the sandbox's network
# namespace for the host's. Every other subcommand goes straight to runsc.
case " $* " in
  *" start "*)
    exec unshare -m sh -c 'value=$(cat /proc/sys/vm/mmap_min_addr) && mount -t tmpfs -o size=64k tmpfs /proc/sys &&
      mkdir /proc/sys/vm && echo "$value" >/proc/sys/vm/mmap_min_addr && exec RUNSC "$@"' runsc "$@" ;;
esac
exec RUNSC "$@"
WRAPPER_END
  chmod 755 "$WRAPPER"
}

prove_sandbox() {
  local output
  step "Proof: a sandbox with networking starts"
  trap 'probe_cleanup || true' EXIT
  output=$(run_probe 2>&1) || true
  if grep -q 'root network namespace' <<<"$output"; then
    note "this runsc misjudges this kernel's network namespaces: putting a wrapper before it"
    write_wrapper
    set_runtime "$WRAPPER"
    output=$(run_probe 2>&1) || true
  fi
  trap - EXIT
  probe_is_good "$output" || {
    printf '%s\n' "$output" >&2
    die "A gVisor sandbox with networking does not start." "What it said is above; mend that and run again."
  }
  note "gVisor, unprivileged, address $(awk '$1 == "inet" { print $2 }' <<<"$output")"
}

# containerd keeps an inotify instance per container under cgroup v2: the kernel's default of 128 ends near 100 sandboxes.
raise_limits() {
  local limit=/proc/sys/fs/inotify/max_user_instances
  if [ ! -f /sys/fs/cgroup/cgroup.controllers ] || [ "$(cat $limit)" -ge 1024 ]; then return 0; fi
  step "Kernel limit: fs.inotify.max_user_instances from $(cat $limit) to 1024, $SYSCTL_FILE"
  echo 'fs.inotify.max_user_instances = 1024' >"$SYSCTL_FILE"
  echo 1024 >"$limit"
}

# ---- commands
engine() {
  if ! is_root && have nft && have catatonit && busybox_is_static && [ -n "$(loaded_runtime)" ]; then return 0; fi
  is_root || die "Preparing the machine needs root." "sudo bash $0 engine"
  [[ " ubuntu debian " == *" $(os_release ID) "* ]] || die "This is $(os_release PRETTY_NAME), not Ubuntu 24.04 or Debian 12." \
    "Install Docker, runsc, nftables, catatonit and busybox-static by hand and register the runtime runsc."
  exec 9>/run/lock/mcp-runner-setup.lock
  flock -w 900 9 || die "Another set-up has been running for 15 minutes." "Wait for it, or end it, and run again."
  install_packages
  install_runsc
  raise_limits
  start_engine
  register_runtime
  prove_sandbox
  exec 9>&-
}

show_docker_run() {
  cat <<'RUN'
The machine is ready. Start mcp-runner:
  docker run -d --privileged --network=host --name mcp-runner-container --restart=always -e NODE_ENV=production \
    -v /var/run/docker.sock:/var/run/docker.sock -v /etc:/etc -v /var/mcp-runner:/var/mcp-runner tangierai/mcp-runner:latest
RUN
}

main() {
  local command=${1:-all}
  if in_checkout; then . "$ROOT/scripts/service.sh"; fi
  case $command in
    engine) engine && if in_checkout; then ensure_node; fi ;;
    all) engine && if in_checkout; then install_and_show; else show_docker_run; fi ;;
    dependencies | demo | stop | uninstall)
      in_checkout || die "'$command' works in a checkout only." "Clone the repository and run ./setup.sh $command there."
      "$command" "${@:2}" ;;
    *) sed -n '2,/^set -/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && [[ $command =~ ^(-h|--help|help)$ ]] || exit 2 ;;
  esac
}

main "$@"
