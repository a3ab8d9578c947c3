#!/usr/bin/env bash
# Stands in for systemctl below SYSTEMD_ROOT: notes what it is told, and knows whether the unit runs.
set -eu
echo "$*" >>"$SYSTEMD_ROOT/told"
case "$*" in
  start\ * | restart\ *) echo 4711 >"$SYSTEMD_ROOT/pid" ;;
  stop\ * | disable\ *--now\ *) rm -f "$SYSTEMD_ROOT/pid" ;;
  show\ *) cat "$SYSTEMD_ROOT/pid" 2>/dev/null || echo 0 ;;
esac
