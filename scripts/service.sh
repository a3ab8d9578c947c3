#!/usr/bin/env bash
# The service on this machine: install, start, show, stop. Sourced by setup.sh, whose functions it uses.

# shellcheck source=scripts/node.sh
. "$ROOT/scripts/node.sh"
# shellcheck source=scripts/uninstall.sh
. "$ROOT/scripts/uninstall.sh"
# shellcheck source=scripts/systemd.sh
. "$ROOT/scripts/systemd.sh"

load_settings
export DATA_DIR=${DATA_DIR:-/var/mcp-runner} PORT=${PORT:-3000} BIND_IP=${BIND_IP:-127.0.0.1}
readonly PID_FILE=$DATA_DIR/service.pid
readonly VERSION_FILE=$DATA_DIR/service.version # what the running service was built from and configured with
readonly SERVICE_LOG=$DATA_DIR/service.log
readonly KEY_FILE=$DATA_DIR/api-key
readonly DEMO_IMAGE=mcp-runner/server-everything:local
readonly DEMO_PACKAGE=@modelcontextprotocol/server-everything@2026.8.31

# Where this machine reaches the service.
service_url() {
  case $BIND_IP in
    0.0.0.0) printf 'http://127.0.0.1:%s' "$PORT" ;;
    ::) printf 'http://[::1]:%s' "$PORT" ;;
    *:*) printf 'http://[%s]:%s' "$BIND_IP" "$PORT" ;;
    *) printf 'http://%s:%s' "$BIND_IP" "$PORT" ;;
  esac
}

is_healthy() { curl -fsS --noproxy '*' --max-time 10 -o /dev/null "$(service_url)/health" 2>/dev/null; }

# The pid of our running service; nothing when it does not run or the number is another process by now.
service_pid() {
  local pid
  if unit_is_installed; then
    unit_pid
    return
  fi
  pid=$(cat "$PID_FILE" 2>/dev/null) || return 0
  if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q 'dist/main\.js'; then echo "$pid"; fi
}
is_stopped() { [ -z "$(service_pid)" ]; }
is_healthy_or_stopped() { is_healthy || is_stopped; }

# What decides whether a running service may stay: the build, each variable that the service reads, and the unit.
service_version() {
  cat "$ROOT/dist/.build-key"
  { settings && if has_systemd; then unit_text; fi; } | sha256sum
}

log_place() { if has_systemd; then echo "journalctl -u ${UNIT%.service}"; else echo "$SERVICE_LOG"; fi; }
last_words() {
  if has_systemd; then journalctl --unit "$UNIT" --lines 20 --no-pager; else tail -n 20 "$SERVICE_LOG"; fi
}

start_service() {
  step "Service on $(service_url)"
  if ! is_stopped && is_healthy && [ "$(cat "$VERSION_FILE" 2>/dev/null)" = "$(service_version)" ]; then
    note "runs already, pid $(service_pid)"
    return 0
  fi
  stop_service
  mkdir -p "$DATA_DIR"
  if has_systemd; then
    start_unit
  else
    touch "$SERVICE_LOG"
    chmod 600 "$SERVICE_LOG" # a key that the service makes is printed once
    (cd "$ROOT" && NODE_ENV=production exec setsid node dist/main.js >>"$SERVICE_LOG" 2>&1 </dev/null) &
    echo $! >"$PID_FILE"
  fi
  service_version >"$VERSION_FILE"
  wait_for 60 is_healthy_or_stopped || true
  if is_stopped || ! is_healthy; then
    last_words >&2
    curl -sS --noproxy '*' --max-time 10 "$(service_url)/health" >&2 || true
    die "The service does not come up healthy." "Its last log lines ($(log_place)) and what /health says are above."
  fi
  note "pid $(service_pid), log: $(log_place)"
}

# Sandboxes stay; the next start of the service finds them again.
stop_service() {
  local pid
  pid=$(service_pid)
  if [ -n "$pid" ]; then note "stopping the service, pid $pid"; fi
  if unit_is_installed; then
    systemctl stop "$UNIT" # also one that waits for its next start
  elif [ -n "$pid" ]; then
    kill -TERM "$pid"
    wait_for 30 is_stopped || kill -KILL "$pid"
  fi
  rm -f "$PID_FILE" "$VERSION_FILE"
}

stop() {
  step "Stop the service"
  if is_stopped; then note "it does not run"; fi
  stop_service
}

demo() {
  is_healthy || die "No healthy service on $(service_url)." "Start it with ./setup.sh; PORT, BIND_IP and DATA_DIR must be the same."
  step "Demo: $DEMO_PACKAGE in a sandbox, called by an MCP client"
  "$ROOT/scripts/make-image.sh" npm "$DEMO_IMAGE" "$DEMO_PACKAGE" \
    || die "The demo image could not be made." "The lines above say why; scripts/make-image.sh repeats it."
  if [ -n "${API_KEY:-}" ]; then
    printf '%s\n' "$API_KEY" | node "$ROOT/scripts/demo.mjs" "$(service_url)" "$DEMO_IMAGE" "$DATA_DIR/demo.json"
  else
    node "$ROOT/scripts/demo.mjs" "$(service_url)" "$DEMO_IMAGE" "$DATA_DIR/demo.json" <"$KEY_FILE"
  fi || die "The demo did not answer." "The lines above say why; $(log_place) has the service's side."
  printf '\nAPI and its documentation: %s/api\nAPI key (X-API-Key): %s\nService log: %s\n' "$(service_url)" \
    "$(if [ -n "${API_KEY:-}" ]; then echo 'your API_KEY'; else echo "in $KEY_FILE"; fi)" "$(log_place)"
}

install_and_show() {
  dependencies
  build
  start_service
  demo
}
