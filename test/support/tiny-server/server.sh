#!/bin/busybox sh
# An MCP server that boots at once and costs next to nothing. It speaks just enough of the protocol for tests about
# processes: it looks for words in a line where others parse JSON, so texts must not have quotes, and "id" only one meaning.

# member LINE NAME: the string that follows "NAME":" for the first time.
member() {
  rest=${1#*\"$2\":\"}
  [ "$rest" != "$1" ] && printf %s "${rest%%\"*}"
}

answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
refuse() { printf '{"jsonrpc":"2.0","id":%s,"error":{"code":%s,"message":"%s"}}\n' "$id" "$1" "$2"; }
text() { answer "{\"content\":[{\"type\":\"text\",\"text\":\"$1\"}]}"; }
tool() { printf '{"name":"%s","inputSchema":{"type":"object","properties":{%s}}}' "$1" "${2:+\"$2\":{\"type\":\"string\"\}}"; }

call() {
  case $(member "$1" name) in
    echo) text "$(member "$1" text)" ;;
    write) member "$1" text >"$HOME/note" && text written || refuse -32000 'not written' ;;
    read) text "$([ ! -f "$HOME/note" ] || cat "$HOME/note")" ;;
    exit) exit 3 ;;
    say) member "$1" text >&2 && echo >&2 && text said ;;
    # "text":"COUNT LINE"
    flood) line=$(member "$1" text) && yes "${line#* }" | head -n "${line%% *}" >&2 && text flooded ;;
    # "text":"MEGABYTES FILE"
    fill) fill=$(member "$1" text) && head -c "${fill%% *}m" /dev/zero >"${fill#* }" && text filled ;;
    silence) ;;
    *) refuse -32602 'no such tool' ;;
  esac
}

if [ "$1" = --exit-at-start ]; then
  echo 'tiny: giving up' >&2
  exit 3
fi
if [ "$1" = --boot-slowly ]; then /app/busybox sleep 2; fi
while IFS= read -r line; do
  id=${line##*\"id\":}
  # A notification, or an answer to nothing that was asked.
  [ "$id" != "$line" ] || continue
  id=${id%%[,\}]*}
  case $(member "$line" method) in
    initialize)
      answer "{\"protocolVersion\":\"$(member "$line" protocolVersion)\",\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"tiny\",\"version\":\"1.0.0\"}}"
      ;;
    ping) answer '{}' ;;
    tools/list) answer "{\"tools\":[$(tool echo text),$(tool write text),$(tool read),$(tool exit),$(tool silence),$(tool say text),$(tool flood text),$(tool fill text)]}" ;;
    tools/call) call "$line" ;;
    *) refuse -32601 'Method not found' ;;
  esac
done
