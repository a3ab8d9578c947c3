#!/usr/bin/env bash
# Takes away what set-up and the service of this DATA_DIR made. Sourced by setup.sh, whose functions it uses.

# of_instance KIND…: the ids of that kind of resource that carry the label of our instance.
of_instance() { docker "$@" --filter "label=mcp-runner.instance=$(cat "$DATA_DIR/instance-id")" --quiet; }

remove_sandboxes() {
  local accounts file
  step "Sandboxes, with their networks, volumes and accounts"
  if [ ! -s "$DATA_DIR/instance-id" ]; then
    note "none: the service never ran in $DATA_DIR"
    return 0
  fi
  engine_answers || die "The Docker engine does not answer, so sandboxes cannot be removed." "./setup.sh engine starts it; then run again."
  accounts=$(of_instance ps --all | xargs -r docker inspect --format '{{index .Config.Labels "mcp-runner.user"}}')
  of_instance ps --all | xargs -r docker rm --force >/dev/null
  of_instance network ls | xargs -r docker network rm >/dev/null
  of_instance volume ls | xargs -r docker volume rm >/dev/null
  # The content of the homes stays with the data directory, and so do the deployments: the service would start them again.
  for file in "$DATA_DIR"/homes/*.img; do
    if [ -e "$file" ]; then losetup --associated "$file" --noheadings --output NAME | xargs -r losetup --detach; fi
  done
  for account in $accounts; do
    if id "$account" >/dev/null 2>&1; then userdel --force "$account" && note "account $account"; fi
    if getent group "$account" >/dev/null; then groupdel "$account"; fi
  done
}

remove_firewall() {
  local pool=${SANDBOX_SUBNET_POOL:-10.213.0.0/16} table
  table=mcp_runner_${pool//[.\/]/_}
  step "Firewall table $table"
  if nft list table inet "$table" >/dev/null 2>&1; then nft delete table inet "$table"; fi
}

remove_data() {
  local name
  step "Data directory $DATA_DIR"
  if [ "${1:-}" = --purge ]; then
    # Nothing but what the service and set-up are known to make, should DATA_DIR name something else by mistake.
    for name in bin homes logs resolv.conf instance-id api-key mcp-runner.sqlite{,-shm,-wal,.draft,.draft-journal} backups {lock,maintenance}{,.pid} restore{,.draft} service.log demo.json; do
      rm -rf "${DATA_DIR:?}/$name"
    done
    rm -rf "${DATA_DIR:?}"/before-restore-[0-9]*
    if [ -d "$DATA_DIR" ]; then rmdir "$DATA_DIR" || note "has other files too: left there"; fi
  else
    note "stays; 'uninstall --purge' removes it"
  fi
}

remove_images() {
  step "Images that make-image.sh made"
  if ! engine_answers; then return 0; fi
  # Newest first, as they are listed: an image cannot go before those that were made on it.
  docker images --quiet --filter label=mcp-runner.image-key | awk '!seen[$0]++' | xargs -r docker rmi --force >/dev/null
  rm -rf "${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/mcp-runner"
}

remove_runtime() {
  local change
  step "Runtime, limits, package sources"
  if [ -f "$STATE_DIR/runtime-added" ]; then
    change='del(.runtimes.runsc) | if .runtimes == {} then del(.runtimes) else . end'
  elif [ "$(configured_runtime)" = "$WRAPPER" ]; then
    change=".runtimes.runsc.path = \"$(command -v runsc)\""
  fi
  if [ -n "${change:-}" ] && [ -s "$DAEMON_JSON" ]; then
    change=$(jq "$change" "$DAEMON_JSON")
    if [ "$change" = "{}" ]; then rm "$DAEMON_JSON"; else printf '%s\n' "$change" >"$DAEMON_JSON"; fi
    if engine_answers; then kill -HUP "$(engine_pid)"; fi
  fi
  rm -rf "$(dirname "$WRAPPER")" "$SYSCTL_FILE"
  if [ -f "$RUNSC_LIST" ]; then rm -f "$RUNSC_LIST" "$GVISOR_KEY"; fi
}

uninstall() {
  is_root || die "Uninstalling needs root." "sudo ./setup.sh uninstall"
  step "Service"
  stop_service
  # Sandboxes that are taken from under a service come back.
  if is_healthy; then
    die "Another service answers on $(service_url): a container, or one that was started by hand." "Stop it (docker rm -f mcp-runner-container) and run again."
  fi
  remove_unit
  remove_sandboxes
  remove_firewall
  remove_data "$@"
  remove_images
  remove_runtime
  if [ -s "$STATE_DIR/packages" ]; then
    note "The packages that set-up installed stay. To remove them:"
    note "apt-get remove $(sort -u "$STATE_DIR/packages" | tr '\n' ' ')"
  fi
  rm -rf "$STATE_DIR"
}
