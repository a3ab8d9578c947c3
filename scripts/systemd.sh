#!/usr/bin/env bash
# The service under systemd, where that runs. Sourced by service.sh, and like it by setup.sh, whose functions it uses.

# Another root than / is for tests.
readonly UNIT=mcp-runner.service
readonly UNIT_FILE=${SYSTEMD_ROOT:-}/etc/systemd/system/$UNIT
readonly SETTINGS_FILE=${SYSTEMD_ROOT:-}/etc/mcp-runner.env
readonly SETTINGS='^(PORT|BIND_IP|API_KEY|DATA_DIR|PUBLIC_URL|ALLOW[A-Z_]*|CORS_ORIGINS|DOCKER_SOCKET|PAUSE_UNDER_PRESSURE|SLOW_START_SECONDS|(SANDBOX|MAX|SESSION|SENTRY|LOG|METRICS|OTEL)_[A-Z_]+)='

has_systemd() { [ -d "${SYSTEMD_ROOT:-}/run/systemd/system" ]; }
unit_is_installed() { has_systemd && [ -f "$UNIT_FILE" ]; }

# The variables of the service that are set, one `NAME=value` a line.
settings() { env | grep -E "$SETTINGS" | sort; }

# What an earlier set-up was told holds until it is told otherwise.
load_settings() {
  local line name value
  has_systemd && [ -r "$SETTINGS_FILE" ] || return 0
  while IFS= read -r line; do
    if [[ ! $line =~ $SETTINGS ]]; then continue; fi
    name=${line%%=*} value=${line#*=}
    if [[ $value == \"*\" ]]; then value=$(sed 's/\\\(.\)/\1/g' <<<"${value:1:-1}"); fi
    if [ -z "${!name:-}" ]; then export "$name=$value"; fi
  done <"$SETTINGS_FILE"
}

# In quotes as systemd reads them; a key is in it.
save_settings() {
  touch "$SETTINGS_FILE"
  chmod 600 "$SETTINGS_FILE"
  {
    echo '# Settings of mcp-runner, kept by setup.sh; after a change by hand: systemctl restart mcp-runner'
    echo '# DATA_DIR stands in the unit as well: change it by DATA_DIR=… ./setup.sh'
    # shellcheck disable=SC2016
    settings | sed -e 's/[\\"$`]/\\&/g' -e 's/^\([A-Z_]*\)=\(.*\)$/\1="\2"/'
  } >"$SETTINGS_FILE"
}

unit_text() {
  sed -e "s|@NODE@|$(command -v node)|; s|@ROOT@|$ROOT|g; s|@DATA_DIR@|$DATA_DIR|" "$ROOT/scripts/$UNIT"
}

start_unit() {
  is_root || die "The service is started by systemd, which takes root." "sudo ./setup.sh"
  save_settings
  unit_text >"$UNIT_FILE"
  systemctl daemon-reload
  systemctl enable --quiet "$UNIT"
  systemctl start "$UNIT"
}

unit_pid() {
  local pid
  pid=$(systemctl show --property MainPID --value "$UNIT")
  if [ "${pid:-0}" != 0 ]; then echo "$pid"; fi
}

remove_unit() {
  if ! unit_is_installed; then return 0; fi
  systemctl disable --quiet --now "$UNIT"
  rm -f "$UNIT_FILE" "$SETTINGS_FILE"
  systemctl daemon-reload
  note "systemd unit $UNIT"
}
